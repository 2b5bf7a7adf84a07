"""Clocks: the system's, and one that moves only when told to."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.clock import ManualClock, SystemClock

if TYPE_CHECKING:
    from obskit.clock import Clock


def test_the_system_clock_goes_forwards() -> None:
    clock: Clock = SystemClock()
    first = (clock.monotonic(), clock.time())
    second = (clock.monotonic(), clock.time())
    assert second[0] >= first[0]
    assert second[1] > 1_700_000_000


def test_a_manual_clock_stands_still() -> None:
    clock: Clock = ManualClock(start=100.0)
    assert (clock.monotonic(), clock.time()) == (0.0, 100.0)
    assert (clock.monotonic(), clock.time()) == (0.0, 100.0)


def test_advancing_moves_both() -> None:
    clock = ManualClock(start=100.0)
    clock.advance(2.5)
    clock.advance(0)
    assert (clock.monotonic(), clock.time()) == (2.5, 102.5)


@pytest.mark.parametrize("seconds", [50.0, -50.0])
def test_a_step_is_seen_by_wall_time_only(seconds: float) -> None:
    clock = ManualClock(start=100.0)
    clock.step(seconds)
    assert (clock.monotonic(), clock.time()) == (0.0, 100.0 + seconds)


@given(st.lists(st.tuples(st.sampled_from(["advance", "step"]), st.floats(-1e6, 1e6))))
def test_monotonic_time_never_goes_back(moves: list[tuple[str, float]]) -> None:
    clock = ManualClock()
    for method, seconds in moves:
        before = clock.monotonic()
        if method == "advance" and seconds < 0:
            with pytest.raises(ValueError, match=r"use step\(\)"):
                clock.advance(seconds)
        else:
            getattr(clock, method)(seconds)
        assert clock.monotonic() >= before
