"""How the metrics of WebSocket connections are called, and which labels they have."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from obskit.instruments.http._names import LONG_BUCKETS, check_distinct
from obskit.metrics import Kind, MetricSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

METRICS = ("connections", "in_progress", "messages", "duration")
"""The fields of `WebSocketNames` that are metrics by default."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WebSocketNames:
    """The names, labels and buckets of a server's WebSocket metrics, without the namespace.

    A metric whose name is None is left out. Labels that the user adds are labels of what is known
    at the end: the counter of connections, and the histogram.
    """

    connections: str | None = "websocket_connections_total"
    """Counter of connections that have ended, and of handshakes that were refused."""

    in_progress: str | None = "websocket_connections_in_progress"
    """Gauge of connections that have been accepted, and not closed."""

    messages: str | None = "websocket_messages_total"
    """Counter of messages, while the connections last."""

    message_bytes: str | None = None
    """Counter of the messages' bytes, those of texts in UTF-8."""

    duration: str | None = "websocket_connection_duration_seconds"
    """Histogram of seconds from the handshake to the closing."""

    route: str = "route"
    """Label name of the route's template."""

    close: str = "close"
    """Label name of how the connection was closed: one of `CLOSE_CLASSES`."""

    direction: str = "direction"
    """Label name of ``in`` or ``out``."""

    buckets: tuple[float, ...] = LONG_BUCKETS
    """Upper bounds of the buckets in seconds."""

    def __post_init__(self) -> None:
        """Check the names now rather than at the first connection.

        Raises:
            DeclarationError: If a name is not one that Prometheus takes, or is given twice.
        """
        self.check_labels(())
        check_distinct("WebSocketNames", "metric", [spec.name for spec in self.specs()])

    @classmethod
    def prefixed(cls, prefix: str, **names: Any) -> Self:
        """Make names that begin with something else than ``websocket``.

        Args:
            prefix: Such as ``feed``, for ``feed_connections_total`` and the others.
            **names: Any fields, as they are.
        """
        defaults = {name: getattr(DEFAULT_WEBSOCKET_NAMES, name) for name in METRICS}
        renamed = {name: text.replace("websocket", prefix, 1) for name, text in defaults.items()}
        return cls(**{**renamed, **names})

    def check_labels(self, further: "Iterable[str]") -> None:
        """Check that labels that the user adds are no labels of these metrics already.

        Args:
            further: What they are called.

        Raises:
            DeclarationError: If one is.
        """
        check_distinct(
            "WebSocketNames", "label", [self.route, self.close, self.direction, *further]
        )

    def specs(self) -> tuple[MetricSpec, ...]:
        """Return all metrics that there are."""
        specs = (
            self.connections_spec(),
            self.in_progress_spec(),
            self.messages_spec(),
            self.message_bytes_spec(),
            self.duration_spec(),
        )
        return tuple(spec for spec in specs if spec is not None)

    def connections_spec(self) -> MetricSpec | None:
        """Return the counter of connections, if there is one."""
        text = "WebSocket connections that have ended, by how they were closed."
        return _spec("counter", self.connections, text, (self.route, self.close))

    def in_progress_spec(self) -> MetricSpec | None:
        """Return the gauge, if there is one."""
        text = "WebSocket connections that are open now."
        return _spec("gauge", self.in_progress, text, (self.route,))

    def messages_spec(self) -> MetricSpec | None:
        """Return the counter of messages, if there is one."""
        return _spec("counter", self.messages, "WebSocket messages.", (self.route, self.direction))

    def message_bytes_spec(self) -> MetricSpec | None:
        """Return the counter of the messages' bytes, if there is one."""
        labels = (self.route, self.direction)
        return _spec("counter", self.message_bytes, "Bytes of WebSocket messages.", labels)

    def duration_spec(self) -> MetricSpec | None:
        """Return the histogram, if there is one."""
        text = "Seconds from a WebSocket's handshake to its closing."
        return _spec("histogram", self.duration, text, (self.route,), self.buckets)


def _spec(
    kind: Kind,
    name: str | None,
    text: str,
    labels: tuple[str, ...],
    buckets: tuple[float, ...] = (),
) -> MetricSpec | None:
    if name is None:
        return None
    return MetricSpec(kind=kind, name=name, help=text, labels=labels, buckets=buckets)


DEFAULT_WEBSOCKET_NAMES = WebSocketNames()
