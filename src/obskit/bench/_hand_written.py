"""What one would write with prometheus_client to have what a decorated call has.

Count, duration, calls in progress and outcome, written into the function: no decorator, which
would cost a further call.
"""

from time import perf_counter
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from prometheus_client import CollectorRegistry


class Metrics:
    """The same three families that an operation has.

    Args:
        registry: Where they are registered.
        labels: Labels of the calls, besides.
    """

    def __init__(self, registry: "CollectorRegistry", *labels: str) -> None:
        self.calls = Counter(
            "calls", "Calls.", ["operation", "outcome", "error_type", *labels], registry=registry
        )
        self.seconds = Histogram(
            "call_duration_seconds",
            "Their duration.",
            ["operation", "outcome", *labels],
            registry=registry,
        )
        self.running = Gauge(
            "calls_in_progress", "Calls in progress.", ["operation"], registry=registry
        )


def bound_call(registry: "CollectorRegistry") -> "Callable[[object], object]":
    """Return a function whose metrics have been bound to their labels once.

    Args:
        registry: Where the metrics are registered.
    """
    metrics = Metrics(registry)
    running = metrics.running.labels("work")
    ok = metrics.calls.labels("work", "ok", "")
    ok_seconds = metrics.seconds.labels("work", "ok")
    failed = metrics.calls.labels("work", "error", "Exception")
    failed_seconds = metrics.seconds.labels("work", "error")

    def work(kind: object) -> object:
        running.inc()
        began = perf_counter()
        try:
            result = kind
        except Exception:  # pragma: no cover - this work never fails
            failed.inc()
            failed_seconds.observe(perf_counter() - began)
            raise
        else:
            ok.inc()
            ok_seconds.observe(perf_counter() - began)
            return result
        finally:
            running.dec()

    return work


def bound_coroutine(
    registry: "CollectorRegistry",
) -> "Callable[[object], Coroutine[object, object, object]]":
    """Return a coroutine function whose metrics have been bound to their labels once.

    Args:
        registry: Where the metrics are registered.
    """
    metrics = Metrics(registry)
    running = metrics.running.labels("work")
    ok = metrics.calls.labels("work", "ok", "")
    ok_seconds = metrics.seconds.labels("work", "ok")
    failed = metrics.calls.labels("work", "error", "Exception")
    failed_seconds = metrics.seconds.labels("work", "error")

    async def work(kind: object) -> object:
        running.inc()
        began = perf_counter()
        try:
            result = kind
        except Exception:  # pragma: no cover - this work never fails
            failed.inc()
            failed_seconds.observe(perf_counter() - began)
            raise
        else:
            ok.inc()
            ok_seconds.observe(perf_counter() - began)
            return result
        finally:
            running.dec()

    return work


def labelled_call(registry: "CollectorRegistry") -> "Callable[[object], object]":
    """Return a function that asks for its labels in every call: their values are arguments.

    Args:
        registry: Where the metrics are registered.
    """
    metrics = Metrics(registry, "kind")

    def work(kind: object) -> object:
        running = metrics.running.labels("work")
        running.inc()
        began = perf_counter()
        try:
            result = kind
        except Exception as error:  # pragma: no cover - the same
            metrics.calls.labels("work", "error", type(error).__name__, kind).inc()
            metrics.seconds.labels("work", "error", kind).observe(perf_counter() - began)
            raise
        else:
            metrics.calls.labels("work", "ok", "", kind).inc()
            metrics.seconds.labels("work", "ok", kind).observe(perf_counter() - began)
            return result
        finally:
            running.dec()

    return work
