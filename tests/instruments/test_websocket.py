"""WebSocket metrics without any framework: names as data, connections as operations."""

from collections.abc import Callable
from typing import Any

import pytest

from obskit.errors import DeclarationError
from obskit.instruments import (
    CLOSE_CLASSES,
    DEFAULT_WEBSOCKET_NAMES,
    LONG_BUCKETS,
    HttpPlan,
    WebSocketConnection,
    WebSocketInstrument,
    WebSocketNames,
)
from obskit.runtime import active_runtime
from obskit.testing import Observed


class Connection(WebSocketConnection):
    """One of no carrier: nothing is known of the client."""

    client = scheme = protocol_version = query = root_path = ""
    server = None


def begun(find_route: Callable[[Any], str | None] = lambda scope: "/r") -> Connection:
    instrument = WebSocketInstrument(active_runtime(), HttpPlan.of({}))
    connection = Connection(instrument, {}, "/p", {}, find_route)
    connection.begin()
    connection.enter()
    return connection


def test_the_default_families() -> None:
    assert [(spec.kind, spec.name, spec.labels) for spec in DEFAULT_WEBSOCKET_NAMES.specs()] == [
        ("counter", "websocket_connections", ("route", "close")),
        ("gauge", "websocket_connections_in_progress", ("route",)),
        ("counter", "websocket_messages", ("route", "direction")),
        ("histogram", "websocket_connection_duration_seconds", ("route",)),
    ]
    assert DEFAULT_WEBSOCKET_NAMES.specs()[-1].buckets[:-1] == LONG_BUCKETS


def test_prefixed_names() -> None:
    names = WebSocketNames.prefixed("feed", messages=None, message_bytes="feed_bytes_total")
    assert [spec.name for spec in names.specs()] == [
        "feed_connections",
        "feed_connections_in_progress",
        "feed_bytes",
        "feed_connection_duration_seconds",
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"connections": "a b"},
        {"connections": ""},
        {"route": "le"},
        {"direction": "__x"},
        {"close": 7},
        {"buckets": (2.0, 1.0)},
        {"message_bytes": "websocket_messages_total"},
        {"in_progress": "websocket_connections"},
        {"route": "close"},
    ],
    ids=str,
)
def test_wrong_names_are_refused_at_once(given: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError):
        WebSocketNames(**given)


def test_what_is_given_twice_is_told() -> None:
    with pytest.raises(
        DeclarationError, match="WebSocketNames: 'route' is given twice: each label"
    ):
        WebSocketNames(direction="route")


def test_names_of_another_kind_are_refused() -> None:
    with pytest.raises(DeclarationError, match=r"websocket_names='feed'.*WebSocketNames"):
        HttpPlan.of({"websocket_names": "feed"})  # type: ignore[typeddict-item] # what the test is about


@pytest.mark.parametrize("label", ["close", "direction"])
def test_labels_of_the_user_s_need_names_of_their_own(label: str) -> None:
    with pytest.raises(DeclarationError, match=f"WebSocketNames: '{label}' is given twice"):
        HttpPlan.of({"labels": {label: "x"}})
    names = WebSocketNames(close="closing", direction="way")
    assert HttpPlan.of({"labels": {label: "x"}, "websocket_names": names}).labels == {label: "x"}


def test_a_connection_is_counted_once(observed: Observed) -> None:
    connection = begun()
    connection.accepted()
    connection.closed("client", 1000)
    assert observed.in_flight() == []
    connection.end()
    connection.end(ValueError("late"))
    connection.leave()
    assert observed.metrics.delta("websocket_connections_total", close="normal") == 1
    observed.operation("WEBSOCKET /r").once().with_outcome("ok")


def test_the_clock_stops_at_the_closing(observed: Observed) -> None:
    connection = begun()
    connection.accepted()
    connection.closed("application", 1000)
    duration = connection.duration
    connection.end()
    connection.leave()
    assert connection.duration == duration > 0


def test_the_first_code_counts(observed: Observed) -> None:
    connection = begun()
    connection.accepted()
    connection.closed("client")
    connection.closed("client", 1001)
    connection.closed("application", 1011)
    connection.end()
    connection.leave()
    assert (connection.close_code, connection.closed_by) == (1001, "client")


def test_the_route_may_be_unknown_until_the_connection_is_accepted(observed: Observed) -> None:
    found: list[str] = []
    connection = begun(lambda scope: found[-1] if found else None)
    assert observed.in_flight() == ["WEBSOCKET"]
    found.append("/rooms/{id}")
    connection.accepted()
    assert observed.in_flight() == ["WEBSOCKET /rooms/{id}"]
    assert observed.metrics.value("websocket_connections_in_progress", route="/rooms/{id}") == 1
    connection.closed("client", 1000)
    connection.end()
    connection.leave()
    observed.operation("WEBSOCKET /rooms/{id}").once()


def test_the_classes_of_closings() -> None:
    assert sorted(CLOSE_CLASSES) == [
        "abnormal",
        "application",
        "cancelled",
        "error",
        "no_status",
        "normal",
        "other",
        "policy",
        "protocol_error",
        "registered",
        "rejected",
        "shutdown",
    ]
