"""One configuration at work."""

from typing import TYPE_CHECKING, Any, NamedTuple, Self

from prometheus_client import REGISTRY

from obskit.clock import Clock, SystemClock
from obskit.logs import (
    LEVELS,
    LogPipeline,
    StandardOutput,
    install_logging,
    is_terminal,
    log_record,
    render_console,
    render_json,
)
from obskit.metrics._exposition import render_pieces
from obskit.runtime._store import MetricStore
from obskit.tracing import current_trace_ids, set_up_tracing
from obskit.workers import warn_of_several_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from opentelemetry.sdk.trace import SpanProcessor
    from prometheus_client import CollectorRegistry

    from obskit.logs import Installation
    from obskit.settings import Settings
    from obskit.tracing import Tracing
    from obskit.workers import Worker


class Backends(NamedTuple):
    """Where the signals go in place of what the settings say: for test suites."""

    registry: "CollectorRegistry"
    """Takes the metrics of obskit's own."""

    deliver: "Callable[[Mapping[str, Any]], None]"
    """Takes each log entry."""

    span_processor: "SpanProcessor"
    """Takes each span."""

    listener: "Callable[[Any], None]"
    """Takes each operation when it has ended."""

    clock: Clock
    """Times operations and log lines."""


class Runtime:
    """One configuration. `obskit.configure` makes it; leaving it as a context manager undoes it.

    Args:
        settings: What was configured.
        backends: Take the signals in place of what the settings say.
        undo: Goes back to the runtime before this one.
    """

    def __init__(
        self,
        settings: "Settings",
        backends: Backends | None = None,
        undo: "Callable[[Runtime], None] | None" = None,
    ) -> None:
        self.settings = settings
        self.backends = backends
        self.clock: Clock = backends.clock if backends else SystemClock()
        self.registry: CollectorRegistry = (
            backends.registry if backends else settings.registry or REGISTRY
        )
        self.store: MetricStore = MetricStore(
            self.registry, namespace=settings.namespace, max_series=settings.max_series
        )
        self.listeners: tuple[Callable[[Any], None], ...] = (backends.listener,) if backends else ()
        self.worker: Worker | None = None
        self.tracing: Tracing | None = None
        self.logs: LogPipeline | None = None
        self.configured: bool = False
        self.before: Runtime | None = None
        self.holds = 1
        self.entered: bool = False
        self._undo = undo
        self._installation: Installation | None = None

    def __enter__(self) -> Self:
        self.entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        self.close()

    def close(self) -> None:
        """Undo this configuration: spans are flushed, and what was configured before is back.

        Where `obskit.configure` has been called several times with the same settings, the last
        one to close undoes it.
        """
        if self._undo is not None:
            self._undo(self)

    def flush(self) -> None:
        """Send the spans that wait, within ``shutdown_timeout``; everything goes on working.

        Where several workers share their metrics, this one's are written for the others.
        """
        if self.worker is not None:
            self.worker.flush()
        if self.tracing is not None:
            self.tracing.flush(self.settings.shutdown_timeout)

    def render(
        self,
        accept: str = "",
        names: "Iterable[str]" = (),
        registry: "CollectorRegistry | None" = None,
    ) -> tuple[bytes, str]:
        """The metrics, as bytes for a scrape: those of all workers where they share them.

        Args:
            accept: The request's ``Accept`` header: plain text unless it asks for OpenMetrics.
            names: Names of the samples to show; all unless given.
            registry: What to show; by default the configuration's. Another one is this worker's.

        Returns:
            The body and its content type.
        """
        pieces, content_type = self.render_pieces(accept, names, registry)
        return b"".join(pieces), content_type

    def render_pieces(
        self,
        accept: str,
        names: "Iterable[str]",
        registry: "CollectorRegistry | None",
        pause: "Callable[[], object]" = int,
    ) -> tuple[list[bytes], str]:
        """The same in pieces.

        Args:
            accept: As `render` takes it.
            names: As `render` takes them.
            registry: As `render` takes it.
            pause: Called now and then, for others to run.

        Returns:
            The body's parts and its content type.
        """
        shown = registry or self.registry
        if self.worker is not None and shown is self.registry:
            body, content_type = self.worker.render(accept, names)
            return [body], content_type
        warn_of_several_workers()
        return render_pieces(shown, accept, names, pause)

    def log(
        self,
        level: str,
        event: str,
        logger: str,
        fields: "Mapping[str, Any]",
        error: BaseException | None = None,
    ) -> None:
        """Write a line of obskit's own; to the host's logging where that was left alone.

        Args:
            level: One of debug, info, warning, error, critical.
            event: What happened.
            logger: Who says so.
            fields: Further fields.
            error: The exception that the line is about.
        """
        if self.logs is None:
            if self.configured:
                log_record(level, event, logger, fields, error)
        elif LEVELS[level] >= self.logs.level:
            self.logs.emit(level, event, logger, fields, error)

    def start_tracing(self) -> None:
        """Set up tracing.

        Raises:
            MissingExtraError: If the settings ask for an exporter that is not installed.
        """
        self.tracing = set_up_tracing(
            self.settings, self.backends.span_processor if self.backends else None
        )

    def start_logging(self) -> None:
        """Set up logging, once nobody else of ours has it."""
        pipeline = self._new_pipeline()
        mode = "own" if self.backends else self.settings.logging
        self._installation = install_logging(pipeline, mode)
        self.logs = pipeline if self._installation else None
        self.configured = True

    def stop(self) -> None:
        """Take down what was started; spans are flushed within ``shutdown_timeout``."""
        tracing, self.tracing = self.tracing, None
        if tracing is not None:
            tracing.shut_down(self.settings.shutdown_timeout)
        self.stop_logging()
        self.configured = False

    def stop_logging(self) -> None:
        """Leave logging as it was found."""
        installation, self._installation = self._installation, None
        self.logs = None
        if installation is not None:
            installation.undo()

    def _new_pipeline(self) -> LogPipeline:
        settings = self.settings
        output = StandardOutput(_renderer(settings))
        is_json = output.render is render_json and self.backends is None
        return LogPipeline(
            identity={
                "service": settings.service,
                "environment": settings.environment,
                "version": settings.version,
            },
            level=settings.log_level,
            deliver=self.backends.deliver if self.backends else output.deliver,
            clock=self.clock,
            trace_ids=current_trace_ids,
            write=output.write if is_json else None,
        )


def _renderer(settings: "Settings") -> "Callable[[Mapping[str, Any]], bytes]":
    console = settings.log_format == "console" or (settings.log_format == "auto" and is_terminal())
    return render_console if console else render_json
