"""The recorder: what it sees, what it leaves alone, and what it insists on."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import prometheus_client
import pytest
import structlog

import obskit
from obskit._guard import guard
from obskit.clock import ManualClock
from obskit.metrics import Counter
from obskit.runtime import active_runtime
from obskit.testing import Observed, observing


@pytest.fixture(autouse=True)
def _structlog_given_back() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def state() -> Any:
    ours = [one for one in logging.root.handlers if type(one).__module__.startswith("obskit")]
    return (ours, logging.root.level, structlog.get_config(), active_runtime())


def test_everything_is_as_before_afterwards() -> None:
    obskit.configure(logging="own", service="s")
    before = state()[1:]
    with observing():
        obskit.configure(service="other", log_level="debug")
        with obskit.observe("inside"):
            pass
    assert state()[1:] == before
    assert active_runtime().settings.service == "s"


def test_settings_stay_as_they_are_configured() -> None:
    obskit.configure(logging="off", service="shop", log_level="warning", tracing="off")
    with observing() as observed:
        obskit.get_logger("app").info("too low")
        obskit.get_logger("app").warning("high enough")
        with obskit.observe("work"):
            pass
        observed.logs.none(event="too low")
        assert observed.logs.one(event="high enough")["service"] == "shop"
        assert observed.spans.all() == []
        observed.operation("work").once()


def test_an_application_that_configures_itself_is_recorded_all_the_same(
    observed: Observed,
) -> None:
    for number in range(3):
        obskit.configure(service=f"s{number}", logging="off")
        with obskit.observe("work"):
            obskit.get_logger("app").info("line", number=number)
    with obskit.configure(service="block"), obskit.observe("work"):
        pass
    with obskit.observe("work"):
        pass
    observed.operation("work").times(5)
    assert len(observed.spans.all("work")) == 5
    assert observed.metrics.delta("operations_total", operation="work") == 5
    assert [line["service"] for line in observed.logs.all(event="line")] == ["s0", "s1", "s2"]


def test_what_was_counted_before_is_not_seen() -> None:
    """Also where it was counted in the default registry, under the same name and labels."""
    for _ in range(3):
        with obskit.observe("before and inside"):
            pass
    with observing() as observed:
        with obskit.observe("before and inside"):
            pass
        assert observed.metrics.delta("operations_total", operation="before and inside") == 1
        observed.operation("before and inside").once()


def test_nested_recorders(observed: Observed) -> None:
    with observing() as inner:
        with obskit.observe("inner"):
            obskit.get_logger("app").info("inside")
        inner.operation("inner").once()
        inner.logs.one(event="inside")
    with obskit.observe("outer"):
        obskit.get_logger("app").info("outside")
    observed.operation("inner").never()
    observed.operation("outer").once()
    assert [line["event"] for line in observed.logs.all()] == ["outside"]
    assert observed.spans.tree() == {"outer": {}}


def test_threads_are_recorded_completely(observed: Observed) -> None:
    @obskit.observe("work")
    def work() -> None:
        obskit.get_logger("app").info("line")

    def many() -> None:
        for _ in range(100):
            work()

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    observed.operation("work").times(800)
    assert len(observed.spans.all("work")) == 800
    assert len(observed.logs.all(event="line")) == 800
    assert observed.metrics.delta("operations_total", operation="work") == 800


def test_the_clock_is_the_one_given() -> None:
    clock = ManualClock()
    with observing(clock) as observed:
        with obskit.observe("slow"):
            clock.advance(90)
        assert observed.operation("slow").found[0].duration == 90
        assert observed.metrics.delta("operation_duration_seconds_sum", operation="slow") == 90


def test_the_host_s_structlog_is_recorded_and_runs_on() -> None:
    """Loggers that were cached under the host's configuration, and those made now."""
    seen: list[Any] = []

    def keep(_: Any, __: str, event_dict: Any) -> Any:
        seen.append(dict(event_dict))
        raise structlog.DropEvent

    processors = [keep]
    structlog.configure(processors=processors, cache_logger_on_first_use=True)
    cached = structlog.get_logger().bind(n=1)
    cached.info("before")
    with observing() as observed:
        cached.warning("cached")
        structlog.get_logger().info("fresh")
        obskit.get_logger("app").info("ours")
        assert observed.logs.one(event="cached", level="warning", n=1)
        for event in ("fresh", "ours"):
            observed.logs.one(event=event)
        observed.logs.none(event="before")
    cached.info("after")
    assert processors == [keep]
    assert structlog.get_config()["processors"] is processors
    assert [event["event"] for event in seen] == ["before", "cached", "after"]


def test_processors_that_cannot_be_changed_are_left_alone() -> None:
    structlog.configure(processors=(structlog.processors.JSONRenderer(),))
    with observing() as observed:
        structlog.get_logger("app").info("fresh")
        observed.logs.one(event="fresh")
    assert isinstance(structlog.get_config()["processors"], tuple)


def test_an_application_that_shuts_obskit_down_is_recorded_all_the_same(
    observed: Observed,
) -> None:
    obskit.configure(service="shop")
    with obskit.observe("before"):
        obskit.shutdown()
    with obskit.observe("after"):
        pass
    for name in ("before", "after"):
        observed.operation(name).once()
        assert observed.metrics.delta("operations_total", operation=name) == 1


def test_an_operation_left_open_is_found() -> None:
    operation = obskit.observe("never ends")
    with pytest.raises(AssertionError, match=r"still in flight(.|\n)*\n  never ends"), observing():
        operation.__enter__()
    operation.__exit__(None, None, None)


def test_one_left_open_after_configuring_is_found_too() -> None:
    operation = obskit.observe("never ends")
    with pytest.raises(AssertionError, match="still in flight"), observing():  # noqa: PT012 - the end raises
        obskit.configure(namespace="other")
        operation.__enter__()
    operation.__exit__(None, None, None)


def test_a_fault_of_obskit_s_own_is_found() -> None:
    with (
        pytest.raises(AssertionError, match=r"\n  somewhere: ValueError\('of ours'\)"),
        observing(),
    ):
        guard.report("somewhere", ValueError("of ours"))


def test_a_fault_that_was_looked_at_is_none(observed: Observed) -> None:
    guard.report("somewhere", ValueError("of ours"))
    ((site, error),) = observed.internal_errors()
    assert (site, str(error)) == ("somewhere", "of ours")
    assert observed.internal_errors() == []


def test_the_failure_of_a_test_is_not_hidden() -> None:
    operation = obskit.observe("open")
    with pytest.raises(ZeroDivisionError), observing():  # noqa: PT012 - something is left open
        operation.__enter__()
        raise ZeroDivisionError
    operation.__exit__(None, None, None)
    with obskit.observe("goes on"):
        pass


def test_the_default_registry_is_seen_as_well(observed: Observed) -> None:
    theirs = prometheus_client.Counter("observed_theirs", "A counter.", ["kind"])
    ours = Counter("observed_ours", "A counter.")
    try:
        theirs.labels("a").inc(2)
        theirs.labels("b").inc(3)
        ours.inc()
        delta = observed.metrics.delta
        assert delta("observed_theirs_total") == 5
        assert delta("observed_theirs_total", kind="a") == 2
        assert delta("observed_ours_total") == 1
    finally:
        prometheus_client.REGISTRY.unregister(theirs)
        prometheus_client.REGISTRY.unregister(ours)
