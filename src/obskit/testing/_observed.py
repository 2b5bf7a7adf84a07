"""The recorder: everything obskit emits while a block runs, and nothing of anybody else's."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import REGISTRY, CollectorRegistry

from obskit._guard import guard
from obskit.clock import Clock, SystemClock
from obskit.logs import is_ours
from obskit.runtime import Backends, Runtime, active_runtime, redirected
from obskit.testing._listing import listing
from obskit.testing._logs import Logs
from obskit.testing._metrics import Metrics
from obskit.testing._operations import Log, Operations
from obskit.testing._spans import Spans

if TYPE_CHECKING:
    from collections.abc import Generator, MutableMapping


class Observed:
    """What was emitted. Ask for it with the fixture ``observed``, or make it with `observing`.

    Attributes:
        metrics: Samples of this recorder's registry and of the default one.
        logs: Log lines.
        spans: Spans.
        registry: Where obskit's own metrics are while this recorder is at work.
    """

    metrics: Metrics

    def __init__(self) -> None:
        self.registry: CollectorRegistry = CollectorRegistry()
        self.logs: Logs = Logs()
        self.spans: Spans = Spans()
        self._operations = Log()
        self._faults: list[tuple[str, Exception]] = []
        self._runtime: Runtime | None = None

    def _begin(self, runtime: Runtime, faults: list[tuple[str, Exception]]) -> None:
        self._runtime, self._faults = runtime, faults
        self.metrics = Metrics(lambda: [REGISTRY, self.registry])

    def _runtimes(self) -> list[Runtime]:
        """Return the runtime that recording began with, and the one configured since."""
        return [self._runtime, active_runtime()] if self._runtime else []

    def operation(self, name: str) -> Operations:
        """Return the operations of this name that have ended, for assertions.

        Args:
            name: The operation's name; a request's is ``METHOD route``.
        """
        found = [ended for ended in self._operations.all() if ended.name == name]
        return Operations(name, found, self._operations)

    def internal_errors(self) -> list[tuple[str, Exception]]:
        """Return obskit's own faults so far, and take them as seen: they fail the test no more."""
        faults = list(self._faults)
        self._faults.clear()
        return faults

    def in_flight(self) -> list[str]:
        """Return the names of the operations that are running now."""
        stores = {id(runtime.store): runtime.store for runtime in self._runtimes()}
        return [op.name for store in stores.values() for op in store.in_flight.copy()]

    def check(self) -> None:
        """Assert what holds at the end of every test: nothing in flight, no fault of obskit's."""
        running = self.in_flight()
        if running:
            raise AssertionError("operations are still in flight" + listing("running", running))
        faults = self.internal_errors()
        if faults:
            lines = [f"{site}: {error!r}" for site, error in faults]
            raise AssertionError("obskit had internal errors" + listing("errors", lines))


@contextmanager
def observing(clock: Clock | None = None) -> "Generator[Observed]":
    """Record everything obskit emits while the block runs, from all threads.

    Settings stay as they are configured, and may be changed inside; only where the signals go is
    different. At the end, `Observed.check` must hold.

    Args:
        clock: Times operations and log lines; the system's unless given.
    """
    recorder = Observed()
    backends = Backends(
        registry=recorder.registry,
        deliver=recorder.logs.add,
        span_processor=recorder.spans.processor,
        listener=recorder._operations.add,
        clock=clock or SystemClock(),
    )
    with (
        guard.recording() as faults,
        _host_events(recorder.logs),
        redirected(backends) as runtime,
    ):
        recorder._begin(runtime, faults)
        yield recorder
        recorder.check()


@contextmanager
def _host_events(logs: Logs) -> "Generator[None]":
    """Also take the events of loggers that are cached with a configuration of the host's own."""
    if not structlog.is_configured() or is_ours():
        yield
        return

    def take(_: Any, level: str, event_dict: "MutableMapping[str, Any]") -> Any:
        logs.add({"level": level, **event_dict})
        return event_dict

    processors = structlog.get_config()["processors"]
    if not isinstance(processors, list):
        yield
        return
    processors.insert(0, take)  # in place: cached loggers hold this very list
    try:
        yield
    finally:
        processors.remove(take)
