"""What a host may do in the middle of telemetry, and what must be left of it: nothing."""

import signal
import sys
from collections.abc import Generator
from typing import Any

import pytest
from opentelemetry.sdk.trace import Span

import obskit
from obskit.clock import ManualClock
from obskit.errors import LabelError
from obskit.testing import Observed, observing


class Striking:
    """A label's value whose text is when Ctrl-C strikes."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


class StrikingClock(ManualClock):
    """A clock: Ctrl-C strikes when it is asked for the second time, at the operation's end."""

    asked = 0

    def monotonic(self) -> float:
        self.asked += 1
        if self.asked == 2:
            raise KeyboardInterrupt
        return super().monotonic()


def test_ctrl_c_at_the_beginning_leaves_nothing_behind(observed: Observed) -> None:
    @obskit.observe("work", labels={"kind": obskit.arg("kind")})
    def work(kind: object) -> None:
        raise AssertionError(kind)

    with pytest.raises(KeyboardInterrupt):
        work(Striking())
    assert observed.in_flight() == []
    assert obskit.current().name == ""


def test_ctrl_c_at_the_end_leaves_nothing_behind() -> None:
    with observing(StrikingClock()) as observed:

        @obskit.observe("work")
        def work() -> None:
            assert observed.in_flight() == ["work"]

        with pytest.raises(KeyboardInterrupt):
            work()
        assert observed.in_flight() == []
        assert obskit.current().name == ""


class TimeLimitError(Exception):
    """What a task queue raises from its signal handler."""


class Slow:
    """A label's value whose text takes so long that the time limit strikes."""

    def __str__(self) -> str:
        signal.raise_signal(signal.SIGUSR1)
        return "slow"


def test_what_a_signal_handler_raises_into_telemetry_goes_on_to_the_host(
    observed: Observed,
) -> None:
    def strike(*_: object) -> None:
        raise TimeLimitError

    @obskit.observe("work", labels={"kind": obskit.arg("kind")})
    def work(kind: object) -> None:
        raise AssertionError(kind)

    before = signal.signal(signal.SIGUSR1, strike)
    try:
        with pytest.raises(TimeLimitError):
            work(Slow())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert observed.in_flight() == []
    assert observed.internal_errors() == []
    assert obskit.current().name == ""


def test_an_error_without_a_text_keeps_its_span(observed: Observed) -> None:
    class UnprintableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with pytest.raises(UnprintableError), obskit.observe("work"):
        raise UnprintableError
    span = observed.spans.one("work")
    assert span.status.status_code.name == "ERROR"
    assert (span.attributes or {})["error.type"].__str__().endswith("UnprintableError")
    assert {site for site, _ in observed.internal_errors()} <= {"operation.span"}


def test_span_log_line_and_metric_tell_the_same_duration() -> None:
    clock = ManualClock()
    with observing(clock) as observed:
        with obskit.observe("work", slow=1.0):
            clock.advance(1.5)
        span = observed.spans.one("work")
        assert isinstance(span, Span) or span.start_time is not None
        assert (span.end_time or 0) - (span.start_time or 0) == 1_500_000_000
        assert observed.logs.one(event="operation slow")["duration_ms"] == 1500
        assert observed.metrics.delta("operation_duration_seconds_sum", operation="work") == 1.5


def test_what_close_returns_is_returned(observed: Observed) -> None:
    @obskit.observe("rows")
    def rows() -> Generator[int, None, str]:
        try:
            yield 1
        except GeneratorExit:
            return "last words"
        return "never"

    generator = rows()
    next(generator)
    returned: Any = generator.close()  # type: ignore[func-returns-value] # since 3.13
    assert returned == ("last words" if sys.version_info >= (3, 13) else None)
    observed.operation("rows").once().with_outcome("closed")


@pytest.mark.parametrize(
    ("keyword", "meant"),
    [
        ("attribute", "attributes"),
        ("slwo", "slow"),
        ("log_event", "log_events"),
        ("lables", "labels"),
    ],
)
def test_a_misspelt_keyword_is_no_label(keyword: str, meant: str) -> None:
    misspelt: dict[str, Any] = {keyword: "x"}
    with pytest.raises(LabelError, match=rf"unknown keyword {keyword}=: did you mean {meant}=\?"):
        obskit.observe("work", **misspelt)


def test_a_label_that_only_looks_misspelt_goes_into_the_mapping(observed: Observed) -> None:
    with obskit.observe("work", labels={"attribute": "colour"}):
        pass
    observed.operation("work").with_labels(attribute="colour")


@pytest.mark.parametrize("value", [{"a": 1}, ["a"], {"a"}, b"a"])
def test_a_label_has_one_value(value: Any) -> None:
    with pytest.raises(LabelError, match="give one value, not several"):
        obskit.observe("work", tier=value)
