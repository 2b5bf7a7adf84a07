"""What obskit takes over, what it leaves alone, and how it gives everything back."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

import obskit
from obskit._guard import guard
from obskit.logs import is_ours

Alone = Callable[[], logging.Handler | None]
Written = Callable[[], list[dict[str, Any]]]


class Kept(logging.Handler):
    """A handler of the host's."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept() -> Iterator[Kept]:
    """The host has configured the root logger."""
    handler = Kept()
    logging.root.addHandler(handler)
    yield handler
    logging.root.removeHandler(handler)


def host_structlog() -> list[Any]:
    """Configure structlog as a host would; return where its events go."""
    events: list[Any] = []

    def keep(_: Any, level: str, event_dict: Any) -> Any:
        events.append((level, dict(event_dict)))
        raise structlog.DropEvent

    structlog.configure(
        processors=[keep], wrapper_class=structlog.BoundLogger, cache_logger_on_first_use=True
    )
    return events


def state() -> tuple[list[logging.Handler], int, bool, dict[str, Any]]:
    return (
        list(logging.root.handlers),
        logging.root.level,
        structlog.is_configured(),
        structlog.get_config(),
    )


def test_auto_takes_both_where_nobody_has(alone: Alone, written: Written) -> None:
    alone()
    obskit.configure(logging="auto")
    obskit.get_logger("one").info("x")
    logging.getLogger("two").info("y")
    assert [line["logger"] for line in written()] == ["one", "two"]


def test_auto_leaves_the_host_s_root_logger_alone(kept: Kept, written: Written) -> None:
    before = state()[:2]
    obskit.configure(logging="auto")
    assert state()[:2] == before
    obskit.get_logger("one").info("ours")
    logging.getLogger("two").warning("theirs")
    assert [line["event"] for line in written()] == ["ours"]
    assert [record.getMessage() for record in kept.records] == ["theirs"]


def test_auto_leaves_the_host_s_structlog_alone(alone: Alone, written: Written) -> None:
    alone()
    events = host_structlog()
    config = structlog.get_config()
    obskit.configure(logging="auto")
    assert structlog.get_config() == config
    obskit.get_logger("one").info("theirs")
    logging.getLogger("two").warning("ours")
    assert events == [("info", {"event": "theirs"})]
    assert [line["event"] for line in written()] == ["ours"]


def test_auto_leaves_everything_alone_where_the_host_has_both(kept: Kept) -> None:
    host_structlog()
    before = state()
    runtime = obskit.configure(logging="auto")
    assert state() == before
    assert runtime.logs is None


def test_own_lines_go_to_the_host_s_logging_where_that_was_left_alone(
    kept: Kept, observed_failure: Callable[[], None]
) -> None:
    host_structlog()
    obskit.configure(logging="auto", service="shop")
    observed_failure()
    (record,) = [one for one in kept.records if one.getMessage() == "operation failed"]
    assert (record.levelname, vars(record)["operation"]) == ("ERROR", "failing")
    assert vars(record)["name_"] == "taken"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


@pytest.fixture
def observed_failure() -> Callable[[], None]:
    def fail() -> None:
        with pytest.raises(ValueError, match="no"), obskit.observe("failing") as operation:  # noqa: PT012 - the operation, too, must see it
            operation.set(name="taken")
            raise ValueError("no")

    return fail


def test_own_adds_to_what_the_host_has(kept: Kept, written: Written) -> None:
    events = host_structlog()
    obskit.configure(logging="own")
    obskit.get_logger("one").info("x")
    logging.getLogger("two").info("y")
    assert [line["event"] for line in written()] == ["x", "y"]
    assert [record.getMessage() for record in kept.records] == ["y"]
    assert events == []


def test_handlers_of_the_host_lose_nothing(kept: Kept, written: Written) -> None:
    logging.root.setLevel(logging.DEBUG)
    obskit.configure(logging="own", log_level="error")
    logging.getLogger("two").debug("for the host")
    assert [record.getMessage() for record in kept.records] == ["for the host"]
    assert written() == []


def test_off_touches_nothing(alone: Alone) -> None:
    alone()
    before = state()
    runtime = obskit.configure(logging="off")
    assert state() == before
    assert runtime.logs is None


@pytest.mark.parametrize("mode", ["auto", "own", "off"])
@pytest.mark.parametrize("configured", [True, False])
def test_everything_is_given_back(kept: Kept, mode: str, configured: bool) -> None:
    logging.root.setLevel(logging.ERROR)
    if configured:
        host_structlog()
    before = state()
    with obskit.configure(logging=mode):
        pass
    assert state() == before
    obskit.configure(logging=mode)
    obskit.configure(logging=mode, service="again")
    obskit.shutdown()
    assert state() == before


def test_what_the_host_configures_later_is_kept() -> None:
    obskit.configure(logging="own")
    logging.root.setLevel(logging.CRITICAL)
    added = Kept()
    logging.root.addHandler(added)
    host_structlog()
    config = structlog.get_config()
    obskit.configure(logging="own", log_level="error")
    obskit.shutdown()
    assert structlog.get_config() == config
    assert logging.root.level == logging.CRITICAL
    assert added in logging.root.handlers


def test_configuring_twice_writes_once(written: Written) -> None:
    obskit.configure(logging="own", service="one")
    obskit.configure(logging="own", service="one")
    obskit.configure(logging="own", service="two")
    obskit.get_logger("app").info("x")
    logging.getLogger("app").info("y")
    assert [(line["event"], line["service"]) for line in written()] == [("x", "two"), ("y", "two")]


def test_a_host_that_removes_the_handler_is_no_fault() -> None:
    with guard.recording() as faults:
        obskit.configure(logging="own")
        logging.root.handlers.clear()
        obskit.shutdown()
    assert faults == []
    assert not is_ours()


@pytest.fixture
def cached() -> Any:
    """A logger that has been used while obskit was configured, which is over."""
    with obskit.configure(logging="own"):
        log: Any = obskit.get_logger("cached").bind(kept=True)
        log.info("inside")
    return log


def test_after_the_end_cached_loggers_use_the_standard_library(kept: Kept, cached: Any) -> None:
    error = ValueError("v")
    cached.error("%d left", 2, name="mine", name_="too", exc_info=error)
    cached.warning({"a": 1})
    first, second = kept.records
    assert (first.name, first.levelname, first.getMessage()) == ("cached", "ERROR", "2 left")
    assert first.exc_info is not None
    assert first.exc_info[1] is error
    fields = vars(first)
    assert (fields["kept"], fields["name_"], fields["name__"]) == (True, "too", "mine")
    assert second.getMessage() == "{'a': 1}"


def test_after_the_end_the_standard_library_s_level_decides(kept: Kept, cached: Any) -> None:
    cached.info("no")
    cached.warning("yes")
    logging.getLogger("cached").setLevel(logging.DEBUG)
    cached.debug("now, too")
    logging.getLogger("cached").setLevel(logging.NOTSET)
    assert [record.getMessage() for record in kept.records] == ["yes", "now, too"]


def test_after_the_end_a_fault_of_the_host_s_logging_is_counted(cached: Any) -> None:
    def refuse(_: logging.LogRecord) -> bool:
        raise RuntimeError("no filter")

    logging.getLogger("cached").addFilter(refuse)
    with guard.recording() as faults:
        cached.warning("lost")
    logging.getLogger("cached").removeFilter(refuse)
    assert [(site, type(error)) for site, error in faults] == [("logs.write", RuntimeError)]
