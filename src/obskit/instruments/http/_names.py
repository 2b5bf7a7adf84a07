"""How the metrics of HTTP are called."""

from dataclasses import dataclass

from obskit.errors import DeclarationError
from obskit.metrics import DEFAULT_BUCKETS, MetricSpec

SIZE_BUCKETS = (100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
"""Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HttpNames:
    """The names and label names of a server's HTTP metrics, without the namespace."""

    requests: str = "http_requests_total"
    """Counter of requests that have been answered, or given up."""

    duration: str = "http_request_duration_seconds"
    """Histogram of seconds from the request to the last byte of the answer."""

    request_size: str = "http_request_size_bytes"
    """Histogram of bytes of request bodies, as received."""

    response_size: str = "http_response_size_bytes"
    """Histogram of bytes of response bodies, as sent."""

    in_progress: str = "http_requests_in_progress"
    """Gauge of requests that are being answered."""

    method: str = "method"
    """Label with the request's method."""

    route: str = "route"
    """Label with the route's template."""

    status: str = "status"
    """Label of the counter with the response's status code."""

    buckets: tuple[float, ...] = DEFAULT_BUCKETS
    """Upper bounds of the duration's buckets in seconds."""

    size_buckets: tuple[float, ...] = SIZE_BUCKETS
    """Upper bounds of the sizes' buckets in bytes."""

    def __post_init__(self) -> None:
        """Check the names now rather than at the first request.

        Raises:
            DeclarationError: If a name is not one that Prometheus takes, or is given twice.
        """
        _check_distinct("metric", [spec.name for spec in self.specs()])
        _check_distinct("label", [self.method, self.route, self.status])

    def specs(self) -> "tuple[MetricSpec, ...]":
        """Return the families: requests, duration, request size, response size, in progress."""
        labels = (self.method, self.route)
        return (
            MetricSpec(
                kind="counter",
                name=self.requests,
                help="HTTP requests that have been answered, or given up.",
                labels=(*labels, self.status),
            ),
            MetricSpec(
                kind="histogram",
                name=self.duration,
                help="Seconds from an HTTP request to the last byte of its answer.",
                labels=labels,
                buckets=self.buckets,
            ),
            MetricSpec(
                kind="histogram",
                name=self.request_size,
                help="Bytes of HTTP request bodies.",
                labels=labels,
                buckets=self.size_buckets,
            ),
            MetricSpec(
                kind="histogram",
                name=self.response_size,
                help="Bytes of HTTP response bodies.",
                labels=labels,
                buckets=self.size_buckets,
            ),
            MetricSpec(
                kind="gauge",
                name=self.in_progress,
                help="HTTP requests that are being answered now.",
                labels=labels,
            ),
        )


def _check_distinct(kind: str, names: "list[str]") -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DeclarationError(
            f"HttpNames: {twice[0]!r} is given twice: each {kind} needs a name of its own"
        )


DEFAULT_HTTP_NAMES = HttpNames()
