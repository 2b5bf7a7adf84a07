"""The HTTP metrics and the access log under one configuration."""

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from obskit.instruments.http._names import DEFAULT_HTTP_NAMES, HttpNames
from obskit.instruments.http._request import HttpRequest
from obskit.logs import LEVELS
from obskit.operation import InProgress, Operation, with_fixed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obskit.runtime import Runtime
    from obskit.tracing import Tracing


class HttpInstrument:
    """The HTTP metrics and the access log under one configuration.

    Args:
        runtime: The configuration.
        names: How the metrics are called.
        access_log: Whether to write one line for each request.
    """

    name = "http request"
    logger = "obskit.access"
    log_events = False
    span_kind = SpanKind.SERVER

    def __init__(
        self, runtime: "Runtime", names: HttpNames = DEFAULT_HTTP_NAMES, *, access_log: bool = True
    ) -> None:
        self.runtime = runtime
        self._access_log = access_log
        *families, in_progress = names.specs()
        self._requests, *self._histograms = [runtime.store.family(spec) for spec in families]
        self._in_progress = names.in_progress
        self._running = InProgress.of(runtime.store, in_progress)

    @property
    def tracing(self) -> "Tracing | None":
        """Where spans go, if anywhere."""
        return self.runtime.tracing

    def labels_of(self, operation: Operation) -> "Mapping[str, str]":
        """Return the labels as far as they are known before the end."""
        assert isinstance(operation, HttpRequest)  # noqa: S101 - nothing else is begun with this
        return {"method": operation.method, "route": operation.route}

    def in_progress(self, operation: Operation) -> tuple[str, tuple[str, ...]]:
        """Return the gauge and the label values that a request in flight counts in."""
        assert isinstance(operation, HttpRequest)  # noqa: S101 - nothing else is begun with this
        return self._in_progress, (operation.method, operation.route)

    def ended(self, operation: Operation) -> None:
        """Record a request that has just been answered."""
        assert isinstance(operation, HttpRequest)  # noqa: S101 - nothing else is begun with this
        values = tuple(operation.labels.values())
        self._requests.cell(values).inc()
        self._running.know(values[:2])
        measured = (operation.duration, operation.request_bytes, operation.response_bytes)
        for family, value in zip(self._histograms, measured, strict=True):
            family.cell(values[:2]).observe_duration(value)
        if self._access_log:
            self._log(operation)

    def _log(self, request: HttpRequest) -> None:
        level = "error" if request.outcome == "error" else "info"
        logs = self.runtime.logs
        if logs is not None and LEVELS[level] < logs.level:
            return
        fields: dict[str, Any] = {
            "method": request.method,
            "route": request.labels["route"],
            "path": request.path,
            "status": request.status,
            "outcome": request.outcome,
            "duration_ms": round(request.duration * 1000, 3),
            "request_bytes": request.request_bytes,
            "response_bytes": request.response_bytes,
            "client": request.client,
        }
        fields = with_fixed(fields, request.attributes)
        error = request.error if request.outcome == "error" else None
        if error is not None:
            fields["error_type"] = request.error_type
            if request.is_reported(error):
                error = None
        self.runtime.log(level, "http request", self.logger, fields, error)
