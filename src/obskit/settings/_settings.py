"""The settings themselves: names, types and defaults."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider
    from prometheus_client import CollectorRegistry

LoggingMode = Literal["auto", "own", "off"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
LogFormat = Literal["auto", "json", "console"]
TracingMode = Literal["auto", "otlp", "console", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, checked and complete; `load_settings` makes it.

    Two are equal when all their fields are.
    """

    service: str = "unknown_service"
    """The service's name, as dashboards and traces show it.

    Falls back to `OTEL_SERVICE_NAME`, then to `service.name` in `OTEL_RESOURCE_ATTRIBUTES`.
    """

    version: str = ""
    """The version of the service that runs; empty when it is not known.

    Falls back to `service.version` in `OTEL_RESOURCE_ATTRIBUTES`.
    """

    environment: str = ""
    """Where the service is deployed, such as `prod` or `staging`; empty when it is not known.

    Falls back to `deployment.environment.name`, then to `deployment.environment`, in
    `OTEL_RESOURCE_ATTRIBUTES`.
    """

    namespace: str = ""
    """The prefix of the names of obskit's own metrics; empty for none.

    A Prometheus metric name: letters, digits, `_` and `:`, no digit first.
    """

    logging: LoggingMode = "auto"
    """Who sets logging up.

    `own`: obskit installs its handler on the root logger and configures structlog.
    `auto`: the same, unless the host has configured logging (the root logger has handlers) or
    structlog already. `off`: logging is left alone.
    """

    log_level: LogLevel = "info"
    """The lowest level that is written.

    Capitals are taken as well, and so are `warn` for `warning` and `fatal` for `critical`.
    """

    log_format: LogFormat = "auto"
    """The shape of a log line. `auto`: `console` on a terminal, `json` everywhere else."""

    tracing: "TracingMode | TracerProvider" = "auto"
    """Where spans go.

    `otlp`: to the collector that the `OTEL_EXPORTER_OTLP_*` variables name. `console`: to standard
    error. `off`: nowhere. `auto`: to the host's tracer provider if it has one, else where
    `OTEL_TRACES_EXPORTER` says, else nowhere. As a keyword also `True` for `otlp`, `False` for
    `off`, or an OpenTelemetry tracer provider to use.

    Falls back to `off` when `OTEL_SDK_DISABLED` is `true`, then to `OTEL_TRACES_EXPORTER`, of which
    `otlp`, `console` and `none` are supported.
    """

    registry: "CollectorRegistry | None" = None
    """The registry that the metrics live in; `None` for `prometheus_client.REGISTRY`.

    A keyword only: the environment and files cannot name an object.
    """

    max_series: int = 2000
    """The most series that one metric family of obskit's own may have, above 0.

    Further label values share one overflow series.
    """

    workers_dir: str | None = None
    """The directory in which the workers of one service share their metrics; `None` for one worker.

    It must exist, and be on a local disk or in memory. Any worker then answers a scrape with the
    totals of all. See [Run several workers](../how-to/several-workers.md).
    """

    correlation_headers: tuple[str, ...] = ("X-Request-ID", "X-Correlation-ID")
    """The HTTP headers that carry a correlation id, in the order they are looked at.

    The first is also the one that is written. In the environment: separated by commas.
    """

    metrics_token: str | None = field(default=None, repr=False)
    """The bearer token (RFC 6750) that `/metrics` asks for; `None` to ask for none. A secret."""

    shutdown_timeout: float = 5.0
    """The longest that flushing may hold up the process's exit, in seconds; 0 to not wait."""
