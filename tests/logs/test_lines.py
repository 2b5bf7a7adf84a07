"""What a line says: structlog events and standard library records in one stream."""

import logging
import logging.handlers
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


NAMES = st.sampled_from([f"{name}{'_' * n}" for name in ("level", "service") for n in range(4)])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(fields=st.dictionaries(NAMES, st.integers(0, 99), min_size=1))
def test_no_field_takes_the_place_of_another(observed: Observed, fields: dict[str, int]) -> None:
    obskit.get_logger("app").info("one", **fields)
    logging.getLogger("app").info("two", extra=fields)
    for line in observed.logs.all()[-2:]:
        assert (line["level"], line["logger"]) == ("info", "app")
        given_back = [value for value in line.values() if isinstance(value, int)]
        assert sorted(given_back) == sorted(fields.values())
        for name in set(fields) - {"level", "service"}:
            assert line[name] == fields[name]


def test_an_event_of_the_caller_s_takes_no_other_s_place(observed: Observed) -> None:
    log: Any = obskit.get_logger("app").bind(event_=1)
    log.info("one", event=2, event__=3)
    line = observed.logs.one(event="one")
    assert (line["event_"], line["event__"], line["event___"]) == (1, 3, 2)


def test_a_field_called_exception_and_an_exception(observed: Observed) -> None:
    error = ValueError("v")
    obskit.get_logger("app").error("one", exc_info=error, exception="mine", exception_="too")
    logging.getLogger("app").error("two", exc_info=error, extra={"exception": "mine"})
    logging.getLogger("app").error("three", stack_info=True, extra={"stack": "mine"})
    far = {"name": "app", "levelno": 40, "msg": "four", "exc_text": "theirs", "exception": "mine"}
    logging.getLogger("app").handle(logging.makeLogRecord(far))
    one, two, three, four = observed.logs.all()
    assert one["exception"] == two["exception"] == "ValueError: v"
    assert (one["exception_"], one["exception__"]) == ("too", "mine")
    assert two["exception_"] == "mine"
    assert three["stack"].startswith("Stack")
    assert three["stack_"] == "mine"
    assert (four["exception"], four["exception_"]) == ("theirs", "mine")


def test_without_an_exception_the_names_are_free(observed: Observed) -> None:
    obskit.get_logger("app").info("one", exception="mine", stack="mine", fields_left_out=0)
    assert observed.logs.one(exception="mine", stack="mine", fields_left_out=0)


def test_too_many_fields_are_cut_and_said_to_be(observed: Observed) -> None:
    fields = {f"field{number}": number for number in range(1_200)}
    obskit.get_logger("app").error("one", exc_info=ValueError("v"), **fields)
    logging.getLogger("app").error("two", extra={**fields, "fields_left_out": "x"})
    one, two = observed.logs.all()
    assert [name for name in one if name in fields] == list(fields)[:1_000]
    assert (one["fields_left_out"], one["exception"]) == (200, "ValueError: v")
    assert two["fields_left_out"] == 201


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
