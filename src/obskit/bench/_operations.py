"""Rows about decorated calls: metrics, tracing, and being switched off."""

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import NoOpTracerProvider
from prometheus_client import CollectorRegistry

import obskit
from obskit.bench._hand_written import bound_call, bound_coroutine, labelled_call
from obskit.bench._measure import awaiting, calling
from obskit.bench._rows import Row, Sides
from obskit.control import disable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from opentelemetry.trace import TracerProvider

    from obskit.bench._rows import Effort

KINDS = ("tea", "biscuits", "milk", "bread", "salt")
"""Label values of calls, in turn."""


@contextmanager
def configured(**settings: Any) -> "Generator[CollectorRegistry]":
    """Configure obskit for metrics alone, in a registry of its own, while the block runs.

    Args:
        **settings: What else, or otherwise.
    """
    registry = CollectorRegistry()
    chosen: dict[str, Any] = {"logging": "off", "tracing": "off", **settings}
    with obskit.configure(registry=registry, **chosen):
        yield registry


def bare_call(kind: object) -> object:
    """Do next to nothing: the work whose observation is measured."""
    return kind


async def bare_coroutine(kind: object) -> object:
    """Do next to nothing, as a coroutine."""
    return kind


def decorated_call(**declared: Any) -> "Callable[[object], object]":
    """Return a function with the decorator.

    Args:
        **declared: What `obskit.observe` takes.
    """

    @obskit.observe("bench.work", **declared)
    def work(kind: object) -> object:
        return kind

    return work


@contextmanager
def _sync(_: "Effort") -> "Generator[Sides]":
    with configured():
        yield Sides(
            bare=calling(bare_call),
            baseline=calling(bound_call(CollectorRegistry())),
            ours=calling(decorated_call()),
        )


@contextmanager
def _coroutine(_: "Effort") -> "Generator[Sides]":
    with configured():
        yield Sides(
            bare=awaiting(bare_coroutine),
            baseline=awaiting(bound_coroutine(CollectorRegistry())),
            ours=awaiting(obskit.observe("bench.work")(bare_coroutine)),
        )


@contextmanager
def _labelled(_: "Effort") -> "Generator[Sides]":
    with configured():
        yield Sides(
            bare=calling(bare_call, KINDS),
            baseline=calling(labelled_call(CollectorRegistry()), KINDS),
            ours=calling(decorated_call(labels={"kind": obskit.arg("kind")}), KINDS),
        )


def _spanned_call(provider: "TracerProvider") -> "Callable[[object], object]":
    tracer = provider.get_tracer("bench")

    def work(kind: object) -> object:
        with tracer.start_as_current_span("work"):
            return kind

    return work


@contextmanager
def _not_traced(tracing: str, _: "Effort") -> "Generator[Sides]":
    with configured(tracing=tracing):
        yield Sides(
            bare=calling(bare_call),
            baseline=calling(_spanned_call(NoOpTracerProvider())),
            ours=calling(decorated_call()),
        )


def recording_provider() -> "TracerProvider":
    """Return a tracer provider of the SDK whose spans are recorded, and then kept by nobody."""
    from opentelemetry.sdk import trace  # noqa: PLC0415 - the SDK loads when needed

    provider = trace.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(trace.SpanProcessor())
    return provider


@contextmanager
def _traced(_: "Effort") -> "Generator[Sides]":
    provider = recording_provider()
    with configured(tracing=provider):
        yield Sides(
            bare=calling(bare_call),
            baseline=calling(_spanned_call(provider)),
            ours=calling(decorated_call()),
        )


@contextmanager
def _disabled(_: "Effort") -> "Generator[Sides]":
    with configured(), disable("bench.work"):
        yield Sides(bare=calling(bare_call), ours=calling(decorated_call()))


@contextmanager
def _suppressed(_: "Effort") -> "Generator[Sides]":
    with configured(), obskit.suppressed():
        yield Sides(bare=calling(bare_call), ours=calling(decorated_call()))


OPERATION_ROWS = (
    Row(
        name="operation.call",
        work="decorated function: count, duration, in progress, outcome",
        baseline="prometheus_client by hand, labels bound once",
        goal=0.35,
        sides=_sync,
    ),
    Row(
        name="operation.coroutine",
        work="the same for a coroutine function",
        baseline="prometheus_client by hand, labels bound once",
        goal=0.35,
        sides=_coroutine,
    ),
    Row(
        name="operation.labelled",
        work="the same with a label from an argument",
        baseline="prometheus_client by hand, .labels() in each call",
        goal=0.20,
        sides=_labelled,
    ),
    Row(
        name="tracing.off",
        work="decorated function, tracing off; its metrics included",
        baseline="start_as_current_span of a no-op provider, no metrics",
        goal=0.20,
        sides=partial(_not_traced, "off"),
    ),
    Row(
        name="tracing.unset",
        work="decorated function, no tracing set up; its metrics included",
        baseline="start_as_current_span of a no-op provider, no metrics",
        goal=0.20,
        sides=partial(_not_traced, "auto"),
    ),
    Row(
        name="tracing.recorded",
        work="decorated function, span recorded; its metrics included",
        baseline="start_as_current_span of the SDK, same processor, no metrics",
        goal=0.85,
        sides=_traced,
        needs=("opentelemetry.sdk.trace:TracerProvider",),
    ),
    Row(
        name="control.disabled",
        work="decorated function whose operation is disabled",
        baseline="the bare call",
        limit=0.15e-6,
        sides=_disabled,
    ),
    Row(
        name="control.suppressed",
        work="decorated function inside obskit.suppressed()",
        baseline="the bare call",
        limit=0.15e-6,
        sides=_suppressed,
    ),
)
