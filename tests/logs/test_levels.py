"""Which lines are written, and by whom."""

import asyncio
import logging
import logging.handlers
from collections.abc import Callable
from typing import Any

import pytest
import structlog

import obskit
from obskit.testing import Observed

Written = Callable[[], list[dict[str, Any]]]
Alone = Callable[[], logging.Handler]


def test_the_level_filters_both(written: Written) -> None:
    obskit.configure(logging="own", log_level="warning")
    log = obskit.get_logger("app")
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(log, level)(f"structlog {level}")
        getattr(logging.getLogger("app"), level)(f"record {level}")
        asyncio.run(getattr(log, f"a{level}")(f"awaited {level}"))
    assert [line["event"] for line in written()] == [
        f"{library} {level}"
        for level in ("warning", "error", "critical")
        for library in ("structlog", "record", "awaited")
    ]


def test_cached_loggers_follow_every_configuration(written: Written) -> None:
    obskit.configure(logging="own", log_level="info", service="one")
    log = obskit.get_logger("app").bind(kept=True)
    log.debug("no")
    obskit.configure(logging="own", log_level="debug", service="two")
    log.debug("yes")
    assert log.is_enabled_for(logging.DEBUG)
    assert log.get_effective_level() == logging.DEBUG
    obskit.shutdown()
    log.critical("after the end")
    assert not log.is_enabled_for(logging.INFO)
    assert log.get_effective_level() == logging.getLogger("app").getEffectiveLevel()
    (line,) = written()
    assert (line["event"], line["service"], line["kept"]) == ("yes", "two", True)


def test_a_logger_made_before_configuring_is_configured_all_the_same(written: Written) -> None:
    log = obskit.get_logger("early", shop=1)
    obskit.configure(logging="own")
    log.info("late")
    (line,) = written()
    assert (line["logger"], line["shop"]) == ("early", 1)


def test_a_logger_without_a_name_has_the_module_s(observed: Observed) -> None:
    obskit.get_logger().info("mine")
    structlog.get_logger().info("theirs")
    assert observed.logs.one(event="mine")["logger"] == __name__
    assert observed.logs.one(event="theirs")["logger"] == __name__


def test_a_logger_of_the_main_program(run: Callable[..., Any]) -> None:
    done = run("import obskit; obskit.configure(); obskit.get_logger().info('x')")
    assert '"logger":"__main__"' in done.stdout


@pytest.mark.parametrize(
    ("number", "level"), [(5, "debug"), (20, "info"), (25, "info"), (45, "error"), (99, "critical")]
)
def test_levels_of_others_fall_into_ours(
    written: Written, alone: Alone, number: int, level: str
) -> None:
    obskit.configure(logging="own", log_level="debug")
    logging.getLogger("app").setLevel(1)
    alone().setLevel(1)
    logging.getLogger("app").log(number, "said")
    logging.getLogger("app").setLevel(logging.NOTSET)
    obskit.get_logger("app").log(number, "said")
    asyncio.run(obskit.get_logger("app").alog(number, "said"))
    assert [line["level"] for line in written() if line["event"] == "said"] == [level] * 3


def test_every_method_of_a_structlog_logger(observed: Observed) -> None:
    log: Any = obskit.get_logger("app")
    methods = {
        "info": "info",
        "msg": "info",
        "warn": "warning",
        "warning": "warning",
        "err": "error",
        "error": "error",
        "fatal": "critical",
        "critical": "critical",
        "exception": "error",
    }
    for method, level in methods.items():
        getattr(log, method)(method)
        assert observed.logs.one(event=method)["level"] == level
    for method in set(methods) - {"err"}:
        asyncio.run(getattr(log, f"a{method}")(f"a{method}"))
        assert observed.logs.one(event=f"a{method}")["level"] == methods[method]


def test_a_filter_on_the_handler_is_asked(observed: Observed, alone: Alone) -> None:
    handler = alone()
    handler.addFilter(lambda record: record.msg != "no")
    logging.getLogger("app").info("no")
    logging.getLogger("app").info("yes")
    assert [line["event"] for line in observed.logs.all()] == ["yes"]


def test_a_filter_may_give_another_record(
    observed: Observed, alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As filters may from Python 3.12 on."""
    other = logging.makeLogRecord({"name": "app", "levelno": 20, "msg": "another"})
    monkeypatch.setattr(alone(), "filter", lambda record: other)
    logging.getLogger("app").info("one")
    assert [line["event"] for line in observed.logs.all()] == ["another"]


def test_capture_logs_works_as_ever(observed: Observed) -> None:
    log = obskit.get_logger("app")
    log.info("before")
    with structlog.testing.capture_logs() as captured:
        log.info("inside %s", "it", n=1)
    log.info("after")
    assert captured == [{"event": "inside it", "n": 1, "log_level": "info"}]
    assert [line["event"] for line in observed.logs.all()] == ["before", "after"]
