"""The metrics and the access log of WebSocket connections under one configuration."""

from typing import TYPE_CHECKING, Any

from obskit.instruments.http._access_log import level_of_line, shown_path, write_line
from obskit.instruments.http._instrument import InboundInstrument, cell_of
from obskit.instruments.http._websocket import WebSocketConnection
from obskit.metrics import OperationCells, default_engine
from obskit.operation import InProgress, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obskit.instruments.http._access_log import AccessLog
    from obskit.instruments.http._options import HttpPlan
    from obskit.runtime import Runtime

NAME = "websocket"
"""How connections are called for `obskit.control`."""


class WebSocketInstrument(InboundInstrument):
    """The metrics and the access log of WebSocket connections under one configuration.

    Args:
        runtime: The configuration.
        options: What the user has said.
    """

    def __init__(self, runtime: "Runtime", options: "HttpPlan") -> None:
        super().__init__(runtime, options, NAME)
        self._counts = "metric" in self.signals
        self._logs = options.access_log if "log" in self.signals else None
        self._cells: dict[tuple[str, ...], OperationCells] = {}
        self._limit = runtime.settings.max_series
        if self._counts:
            self._declare()

    def labels_of(self, operation: Operation) -> "Mapping[str, str]":
        """Return the labels as far as they are known."""
        assert isinstance(operation, WebSocketConnection)  # noqa: S101 - nothing else is begun with this
        labels = {"route": operation.route}
        if operation.has_outcome():
            labels["close"] = operation.close_class
        return {**labels, **operation.extra_labels}

    def in_progress(self, operation: Operation) -> tuple[str, tuple[str, ...]]:
        """Return the gauge and the label values that a connection counts in while it is open."""
        assert isinstance(operation, WebSocketConnection)  # noqa: S101 - nothing else is begun with this
        name = self.options.websocket_names.in_progress if operation.is_open else None
        return name or "", (operation.route,)

    def opened(self, connection: WebSocketConnection) -> None:
        """Count the messages of a connection from now on.

        Args:
            connection: One that has just been accepted.
        """
        if not self._counts:
            return
        route = connection.route
        if self._running is not None:
            self._running.know((route,))
        for traffic, direction in ((connection.received, "in"), (connection.sent, "out")):
            messages, size = (
                None if family is None else family.cell((route, direction))
                for family in self._traffic
            )
            traffic.show(messages, size)

    def ended(self, operation: Operation) -> None:
        """Record a connection that has just ended."""
        assert isinstance(operation, WebSocketConnection)  # noqa: S101 - nothing else is begun with this
        if self._counts:
            self._count(operation)
        if self._logs is not None:
            _write_line(self._logs, operation)

    def _declare(self) -> None:
        names, store = self.options.websocket_names, self.runtime.store
        self._connections = self._family(names.connections_spec(), "counter")
        self._seconds = self._family(names.duration_spec())
        of_messages = (names.messages_spec(), names.message_bytes_spec())
        self._traffic = [None if spec is None else store.family(spec) for spec in of_messages]
        running = names.in_progress_spec()
        self._running = None if running is None else InProgress.of(store, running)

    def _count(self, connection: WebSocketConnection) -> None:
        key = (connection.route, connection.close_class, *connection.extra_labels.values())
        cells = self._cells.get(key) or self._new_cells(key)
        span = None if connection.span is None else connection.span.get_span_context()
        if span is not None and span.trace_flags.sampled:
            default_engine.record_duration(cells.sampled, (connection.duration, span))
        else:
            default_engine.record_duration(cells, connection.duration)

    def _new_cells(self, key: tuple[str, ...]) -> OperationCells:
        route, _, *extra = key
        cells = OperationCells(
            cell_of(self._connections, key), cell_of(self._seconds, (route, *extra))
        )
        if len(self._cells) < self._limit:
            self._cells[key] = cells
        return cells


def _write_line(log: "AccessLog", connection: WebSocketConnection) -> None:
    """Write the line of a connection that has just ended, if it has one."""
    level = level_of_line(log, connection, connection.ending)
    if level is not None:
        write_line(connection, level, "websocket connection", _fields(connection, log))


def _fields(connection: WebSocketConnection, log: "AccessLog") -> dict[str, Any]:
    fields: dict[str, Any] = {
        "route": connection.route,
        "path": shown_path(connection, query=log.query),
        "status": connection.status,
        "outcome": connection.ending,
        "close_code": connection.close_code,
        "closed_by": connection.closed_by,
        "duration_ms": round(connection.duration * 1000, 3),
        "messages_in": connection.received.messages,
        "messages_out": connection.sent.messages,
    }
    if connection.received.is_measured:
        fields["bytes_in"] = connection.received.size
        fields["bytes_out"] = connection.sent.size
    fields["client"] = connection.client
    return fields
