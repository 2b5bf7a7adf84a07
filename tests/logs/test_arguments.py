"""Arguments and exceptions in lines."""

import asyncio
import logging
import logging.handlers
import pickle
import queue
from collections import UserDict
from collections.abc import Callable
from typing import Any

import pytest

import obskit
from obskit.testing import Observed

Written = Callable[[], list[dict[str, Any]]]
Alone = Callable[[], logging.Handler]


class UserMapping(UserDict[str, Any]):
    pass


@pytest.mark.parametrize(
    ("event", "arguments", "text"),
    [
        ("%s and %d", ("a", 3), "a and 3"),
        ("%(a)s", ({"a": 1},), "1"),
        ("%(a)s", (UserMapping(a=1),), "1"),
        ("100 %", (), "100 %"),
        ("%s", ((1, 2),), "(1, 2)"),
        (ValueError("%s left"), ("one",), "one left"),
    ],
)
def test_arguments_are_put_in(
    observed: Observed, event: Any, arguments: tuple[Any, ...], text: str
) -> None:
    obskit.get_logger("app").info(event, *arguments)
    logging.getLogger("app").info(event, *arguments)
    assert [line["event"] for line in observed.logs.all()] == [text, text]


@pytest.mark.parametrize("arguments", [(1, 2), ("x",)])
def test_arguments_that_do_not_fit_cost_nothing_but_themselves(
    observed: Observed, alone: Alone, arguments: tuple[Any, ...]
) -> None:
    alone()
    obskit.get_logger("app").info("%d is %d and %d", *arguments)
    logging.getLogger("app").info("%d is %d and %d", *arguments)
    assert len(observed.logs.all(event="%d is %d and %d")) == 2
    assert [site for site, _ in observed.internal_errors()] == ["logs.arguments"] * 2


class LogsItself:
    """A value whose text logs the value, directly or as an argument."""

    def __init__(self, log: Callable[["LogsItself"], Any]) -> None:
        self.log = log

    def __str__(self) -> str:
        self.log(self)
        return "text"

    __repr__ = __str__


@pytest.mark.parametrize(
    "log",
    [
        lambda value: obskit.get_logger("app").info("inner", value=value),
        lambda value: obskit.get_logger("app").info("%s", value),
        lambda value: logging.getLogger("app").info("inner", extra={"value": value}),
        lambda value: logging.getLogger("app").info("%s", value),
    ],
    ids=["structlog field", "structlog argument", "record field", "record argument"],
)
def test_logging_from_within_logging_is_bounded(
    observed: Observed, alone: Alone, log: Callable[[Any], Any]
) -> None:
    alone()
    log(LogsItself(log))
    assert 1 <= len(observed.logs.all(logger="app")) <= 3
    assert {site for site, _ in observed.internal_errors()} == {"logs.recursion"}


def test_a_value_that_logs_something_else_is_no_fault(observed: Observed) -> None:
    value = LogsItself(lambda _: logging.getLogger("db").info("query %s", "select"))
    obskit.get_logger("app").info("have %s", value)
    assert observed.logs.one(event="have text")
    assert observed.logs.one(event="query select")


def failed() -> ZeroDivisionError:
    secret_local = "hunter2"
    try:
        return ZeroDivisionError(1 / len(secret_local[:0]))
    except ZeroDivisionError as error:
        return error


@pytest.mark.parametrize("spelling", [lambda e: e, lambda e: (type(e), e, e.__traceback__)])
def test_exc_info_of_another_place(
    observed: Observed, spelling: Callable[[BaseException], Any]
) -> None:
    exc_info = spelling(failed())
    obskit.get_logger("app").error("one", exc_info=exc_info)
    logging.getLogger("app").error("two", exc_info=exc_info)
    for event in ("one", "two"):
        text = observed.logs.one(event=event)["exception"]
        assert text.startswith("Traceback (most recent call last):")
        assert text.endswith("ZeroDivisionError: division by zero")
        assert "hunter2" not in text.replace('secret_local = "hunter2"', "")


def test_exc_info_of_the_exception_being_handled(observed: Observed) -> None:
    try:
        raise ValueError("here")  # noqa: TRY301 - the subject
    except ValueError:
        obskit.get_logger("app").exception("one")
        obskit.get_logger("app").error("two", exc_info=True)
        logging.getLogger("app").exception("three")
        asyncio.run(obskit.get_logger("app").aexception("four"))
    for event in ("one", "two", "three", "four"):
        assert observed.logs.one(event=event, level="error")["exception"].endswith(
            "ValueError: here"
        )


@pytest.mark.parametrize("exc_info", [None, False, True, (), (None, None, None)])
def test_no_exception_no_field(observed: Observed, exc_info: Any) -> None:
    obskit.get_logger("app").error("one", exc_info=exc_info)
    logging.getLogger("app").error("two", exc_info=exc_info)
    assert len(observed.logs.all()) == 2
    assert not any("exception" in line for line in observed.logs.all())


class UnprintableError(Exception):
    @property
    def __notes__(self) -> list[str]:  # type: ignore[override] # as bad as can be
        raise RuntimeError("no notes")


def test_an_exception_that_cannot_be_printed_leaves_the_line(observed: Observed) -> None:
    obskit.get_logger("app").error("one", exc_info=UnprintableError("x"))
    assert "UnprintableError: " in observed.logs.one(event="one")["exception"]


def test_a_long_traceback_keeps_its_end(observed: Observed) -> None:
    obskit.get_logger("app").error("one", exc_info=ValueError("x" * 100_000 + "the end"))
    text = observed.logs.one(event="one")["exception"]
    assert text.startswith("…")
    assert text.endswith("the end")
    assert len(text) < 20_000


def test_a_stack_is_kept(observed: Observed) -> None:
    logging.getLogger("app").info("where", stack_info=True)
    assert "test_a_stack_is_kept" in observed.logs.one(event="where")["stack"]


def test_a_record_from_another_process_keeps_its_traceback(observed: Observed) -> None:
    """`logging.handlers.SocketHandler` sends records with the traceback as text."""
    error = failed()
    record = logging.makeLogRecord(
        {
            "name": "app",
            "levelname": "ERROR",
            "levelno": 40,
            "msg": "far",
            "exc_info": (type(error), error, error.__traceback__),
        }
    )
    sent = logging.handlers.SocketHandler("127.0.0.1", 0).makePickle(record)
    logging.getLogger("app").handle(logging.makeLogRecord(pickle.loads(sent[4:])))
    assert "ZeroDivisionError" in observed.logs.one(event="far")["exception"]


def test_a_record_through_a_queue(observed: Observed) -> None:
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger = logging.getLogger("queued")
    logger.propagate = False
    logger.addHandler(logging.handlers.QueueHandler(records))
    logger.warning("from %s", "afar", extra={"n": 1})
    logging.getLogger("app").handle(records.get(timeout=5))
    assert observed.logs.one(event="from afar", logger="queued", n=1)
