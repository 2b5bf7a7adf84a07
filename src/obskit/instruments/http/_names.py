"""How the metrics of HTTP are called, and which labels they have."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from obskit.errors import DeclarationError
from obskit.metrics import DEFAULT_BUCKETS, MetricSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

Fact = Literal["method", "route", "status", "scheme", "error_type", "protocol_version"]
"""What is known of a request that may be a label."""

FACTS: tuple[Fact, ...] = ("method", "route", "status", "scheme", "error_type", "protocol_version")
"""All facts; while a request is in progress, status and error type are not known yet."""

KNOWN_AT_ONCE: tuple[Fact, ...] = ("method", "route", "scheme", "protocol_version")

SIZE_BUCKETS = (100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
"""Bytes."""

LONG_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Seconds: for answers that take long by nature, such as those of language models and streams."""

OTEL_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0),
)
"""Seconds: what OpenTelemetry's semantic conventions advise for HTTP durations."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HttpNames:
    """The names, labels and buckets of a server's HTTP metrics, without the namespace.

    A metric whose name is None is left out.
    """

    requests: str | None = "http_requests_total"
    """Counter of requests that have been answered, or given up."""

    duration: str | None = "http_request_duration_seconds"
    """Histogram of seconds from the request to the last byte of the answer."""

    time_to_headers: str | None = None
    """Histogram of seconds from the request to the beginning of the answer."""

    background: str | None = None
    """Histogram of seconds from the last byte of the answer to the end of what the application
    does after it, such as background tasks."""

    request_size: str | None = "http_request_size_bytes"
    """Histogram of bytes of request bodies, as received."""

    response_size: str | None = "http_response_size_bytes"
    """Histogram of bytes of response bodies, as sent."""

    in_progress: str | None = "http_requests_in_progress"
    """Gauge of requests that are being answered."""

    method: str = "method"
    """Label name of the request's method."""

    route: str = "route"
    """Label name of the route's template."""

    status: str = "status"
    """Label name of the response's status code."""

    scheme: str = "scheme"
    """Label name of ``http`` or ``https``."""

    error_type: str = "error_type"
    """Label name of what went wrong: a class of errors, a status code from 500 on, or
    ``cancelled`` or ``client_disconnect``; empty when nothing did."""

    protocol_version: str = "protocol_version"
    """Label name of the version of HTTP: ``1.1``, ``2``."""

    requests_labels: "tuple[Fact, ...]" = ("method", "route", "status")
    """What the counter tells apart."""

    duration_labels: "tuple[Fact, ...]" = ("method", "route")
    """What the histograms of seconds tell apart."""

    size_labels: "tuple[Fact, ...]" = ("method", "route")
    """What the histograms of bytes tell apart."""

    in_progress_labels: "tuple[Fact, ...]" = ("method", "route")
    """What the gauge tells apart."""

    group_status: bool = False
    """Whether status codes are shown as ``2xx``, ``4xx`` and so on."""

    buckets: tuple[float, ...] = DEFAULT_BUCKETS
    """Upper bounds of the buckets in seconds."""

    size_buckets: tuple[float, ...] = SIZE_BUCKETS
    """Upper bounds of the sizes' buckets in bytes."""

    def __post_init__(self) -> None:
        """Check the names now rather than at the first request.

        Raises:
            DeclarationError: If a name is not one that Prometheus takes, or is given twice, or a
                label is none of the facts.
        """
        for option in ("requests_labels", "duration_labels", "size_labels", "in_progress_labels"):
            _check_facts(option, getattr(self, option))
        check_distinct("HttpNames", "metric", [spec.name for spec in self.specs()])
        check_distinct("HttpNames", "label", [getattr(self, fact) for fact in FACTS])

    @classmethod
    def prefixed(cls, prefix: str, **names: Any) -> Self:
        """Make names that begin with something else than ``http``.

        Args:
            prefix: Such as ``web``, for ``web_requests_total`` and the others.
            **names: Any fields, as they are.
        """
        defaults = {name: getattr(DEFAULT_HTTP_NAMES, name) for name in METRICS}
        renamed = {
            name: text and text.replace("http", prefix, 1) for name, text in defaults.items()
        }
        return cls(**{**renamed, **names})

    def label_names(self, facts: "Iterable[Fact]") -> tuple[str, ...]:
        """Return what some facts are called as labels.

        Args:
            facts: Some of `FACTS`.
        """
        return tuple(getattr(self, fact) for fact in facts)

    def specs(self) -> "tuple[MetricSpec, ...]":
        """Return all families that there are: the counter, the histograms and the gauge."""
        specs = (self.requests_spec(), *self.histogram_specs(), self.in_progress_spec())
        return tuple(spec for spec in specs if spec is not None)

    def requests_spec(self) -> MetricSpec | None:
        """Return the counter, if there is one."""
        if self.requests is None:
            return None
        return MetricSpec(
            kind="counter",
            name=self.requests,
            help="HTTP requests that have been answered, or given up.",
            labels=self.label_names(self.requests_labels),
        )

    def in_progress_spec(self) -> MetricSpec | None:
        """Return the gauge, if there is one."""
        if self.in_progress is None:
            return None
        return MetricSpec(
            kind="gauge",
            name=self.in_progress,
            help="HTTP requests that are being answered now.",
            labels=self.label_names(self.in_progress_labels),
        )

    def histogram_specs(self) -> "tuple[MetricSpec | None, ...]":
        """Return duration, request size, response size, time to headers and background time."""
        seconds, sizes = (self.duration_labels, self.buckets), (self.size_labels, self.size_buckets)
        return (
            self._histogram(
                self.duration,
                "Seconds from an HTTP request to the last byte of its answer.",
                seconds,
            ),
            self._histogram(self.request_size, "Bytes of HTTP request bodies.", sizes),
            self._histogram(self.response_size, "Bytes of HTTP response bodies.", sizes),
            self._histogram(
                self.time_to_headers,
                "Seconds from an HTTP request to the beginning of its answer.",
                seconds,
            ),
            self._histogram(
                self.background,
                "Seconds of work after the last byte of an answer to an HTTP request.",
                seconds,
            ),
        )

    def _histogram(
        self, name: str | None, text: str, shape: "tuple[tuple[Fact, ...], tuple[float, ...]]"
    ) -> MetricSpec | None:
        if name is None:
            return None
        facts, buckets = shape
        labels = self.label_names(facts)
        return MetricSpec(kind="histogram", name=name, help=text, labels=labels, buckets=buckets)


METRICS = ("requests", "duration", "request_size", "response_size", "in_progress")
"""The fields of `HttpNames` that are metrics by default."""


def check_distinct(owner: str, kind: str, names: "list[str]") -> None:
    """Tell of a name that is given to two things.

    Args:
        owner: Whose names they are.
        kind: What they are names of.
        names: The names.

    Raises:
        DeclarationError: If there is one.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DeclarationError(
            f"{owner}: {twice[0]!r} is given twice: each {kind} needs a name of its own"
        )


def _check_facts(option: str, facts: Any) -> None:
    known = KNOWN_AT_ONCE if option == "in_progress_labels" else FACTS
    if not isinstance(facts, tuple) or any(fact not in known for fact in facts):
        raise DeclarationError(
            f"HttpNames: {option}={facts!r}: give a tuple with some of {', '.join(known)}"
        )


DEFAULT_HTTP_NAMES = HttpNames()

OTEL_HTTP_NAMES = HttpNames(
    requests=None,
    duration="http_server_request_duration_seconds",
    request_size="http_server_request_body_size_bytes",
    response_size="http_server_response_body_size_bytes",
    in_progress="http_server_active_requests",
    method="http_request_method",
    route="http_route",
    status="http_response_status_code",
    scheme="url_scheme",
    protocol_version="network_protocol_version",
    duration_labels=FACTS,
    size_labels=FACTS,
    in_progress_labels=("method", "scheme"),
    buckets=OTEL_BUCKETS,
)
"""OpenTelemetry's stable names, as they are called in Prometheus.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
"""
