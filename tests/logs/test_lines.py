"""What a line says: structlog events and standard library records in one stream."""

import logging
import logging.handlers
import re
from collections.abc import Callable
from typing import Any

import pytest

import obskit
from obskit.testing import Observed

Written = Callable[[], list[dict[str, Any]]]
Alone = Callable[[], logging.Handler]


def test_a_line_has_the_fields_in_order(own: None, written: Written) -> None:
    obskit.get_logger("app.orders").info("placed", order_id=7)
    (line,) = written()
    assert list(line) == [
        *("timestamp", "level", "event", "logger", "service", "environment", "version"),
        "order_id",
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("timestamp"))
    assert line == {
        "level": "info",
        "event": "placed",
        "logger": "app.orders",
        "service": "shop",
        "environment": "test",
        "version": "1.2",
        "order_id": 7,
    }


def test_empty_identity_is_left_out(written: Written) -> None:
    obskit.configure(service="shop", logging="own")
    obskit.get_logger("app").info("placed")
    assert set(written()[0]) == {"timestamp", "level", "event", "logger", "service"}


def test_both_libraries_write_the_same_shape(own: None, written: Written) -> None:
    obskit.get_logger("app").warning("said", n=1)
    logging.getLogger("app").warning("said", extra={"n": 1})
    ours, theirs = written()
    assert list(ours) == list(theirs)
    for line in (ours, theirs):
        del line["timestamp"]
    assert ours == theirs


def test_the_ids_of_the_work_at_hand(observed: Observed) -> None:
    with obskit.observe("work"):
        identifier = obskit.correlation_id()
        obskit.get_logger("app").info("one")
        logging.getLogger("app").info("two")
    context = observed.spans.one("work").context
    for line in (observed.logs.one(event="one"), observed.logs.one(event="two")):
        assert line["correlation_id"] == identifier
        assert line["trace_id"] == f"{context.trace_id:032x}"
        assert line["span_id"] == f"{context.span_id:016x}"


def test_no_ids_outside_of_any_work(observed: Observed) -> None:
    obskit.get_logger("app").info("alone")
    assert not {"correlation_id", "trace_id", "span_id"} & set(observed.logs.one(event="alone"))


def test_bound_fields_reach_every_line_and_a_field_of_the_line_wins(observed: Observed) -> None:
    with obskit.bound(tenant="acme", n=1):
        obskit.get_logger("app").info("one", n=2)
        logging.getLogger("app").info("two")
    assert observed.logs.one(event="one", tenant="acme", n=2)
    assert observed.logs.one(event="two", tenant="acme", n=1)


RESERVED = ("timestamp", "level", "logger", "service", "correlation_id", "trace_id", "span_id")


@pytest.mark.parametrize("name", [*RESERVED, "event", "version", "environment"])
def test_a_reserved_name_gets_an_underscore(observed: Observed, name: str) -> None:
    fields: dict[str, Any] = {name: "mine"}
    obskit.get_logger("app").info("one", **fields)
    logging.getLogger("app").info("two", extra=fields)
    obskit.get_logger("app").bind(**fields).info("three")
    for event in ("one", "two") if name == "event" else ("one", "two", "three"):
        line = observed.logs.one(event=event)
        assert line[f"{name}_"] == "mine"
        assert line.get(name) != "mine"


def test_names_of_structlog_s_own_parameters_are_fields_like_any(observed: Observed) -> None:
    obskit.get_logger("app").info("call", method_name="Charge", self=1, name="n", args=2)
    assert observed.logs.one(event="call", method_name="Charge", self=1, name="n", args=2)


def test_the_event_may_be_a_keyword_or_absent(observed: Observed) -> None:
    log = obskit.get_logger("app")
    log.info(event="named")
    log.info(n=1)  # type: ignore[call-arg] # structlog's type wants an event
    assert observed.logs.one(event="named")
    assert observed.logs.one(event="", n=1)


def test_its_own_correlation_id_as_a_field_is_not_said_twice(observed: Observed) -> None:
    with obskit.bound(correlation_id="abc"):
        obskit.get_logger("app").info("one", correlation_id=obskit.correlation_id())
    assert "correlation_id_" not in observed.logs.one(event="one", correlation_id="abc")
