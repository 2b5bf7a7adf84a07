"""Faults of obskit's own are counted and said now and then, and never reach the host."""

import logging
import threading

import pytest

from obskit._guard import SECONDS_BETWEEN_LINES, Guard


class Impatient(Guard):
    """A guard whose minute is over whenever a test says so."""

    def forget(self) -> None:
        for site in self._said:
            self._said[site] -= SECONDS_BETWEEN_LINES


def test_faults_are_counted_per_site() -> None:
    guard = Guard()
    for site in ("a", "b", "a"):
        guard.report(site, ValueError())
    assert guard.counts == {"a": 2, "b": 1}


def test_a_fault_is_said_once_a_minute_and_site(caplog: pytest.LogCaptureFixture) -> None:
    guard = Impatient()
    for _ in range(3):
        guard.report("a", ValueError("secret"))
    guard.report("b", LookupError())
    assert [record.getMessage() for record in caplog.records] == [
        "obskit had an internal error in a and went on: ValueError",
        "obskit had an internal error in b and went on: LookupError",
    ]
    guard.forget()
    guard.report("a", ValueError())
    assert len(caplog.records) == 3
    assert {(record.name, record.levelname) for record in caplog.records} == {
        ("obskit.internal", "WARNING")
    }


def test_a_fault_while_saying_a_fault_is_only_counted() -> None:
    guard = Guard()

    class Faulty(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            guard.report("handler", RuntimeError())
            raise OSError

    logger, handler = logging.getLogger("obskit.internal"), Faulty()
    logger.addHandler(handler)
    try:
        guard.report("a", ValueError())
    finally:
        logger.removeHandler(handler)
    assert guard.counts == {"a": 1, "handler": 1}


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_while_saying_a_fault_is_the_hosts(interrupt: type[BaseException]) -> None:
    class Interrupted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise interrupt

    guard = Impatient()
    logger, handler = logging.getLogger("obskit.internal"), Interrupted()
    logger.addHandler(handler)
    try:
        with pytest.raises(interrupt):
            guard.report("a", ValueError())
        guard.forget()
        with pytest.raises(interrupt):  # it has not stopped saying what happens
            guard.report("a", ValueError())
    finally:
        logger.removeHandler(handler)
    assert guard.counts == {"a": 2}


def test_a_recording_keeps_the_faults_of_its_block() -> None:
    guard, first, second = Guard(), ValueError(), LookupError()
    with guard.recording() as outer:
        guard.report("a", first)
        with guard.recording() as inner:
            guard.report("b", second)
        guard.report("a", first)
    guard.report("a", first)
    assert outer == [("a", first), ("b", second), ("a", first)]
    assert inner == [("b", second)]


def test_equal_recordings_are_told_apart() -> None:
    guard = Guard()
    with guard.recording() as outer:
        with guard.recording():
            pass
        guard.report("a", ValueError())
    assert len(outer) == 1


def test_each_thread_says_its_own(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard()
    thread = threading.Thread(target=guard.report, args=("elsewhere", ValueError()))
    thread.start()
    thread.join()
    guard.report("here", ValueError())
    assert len(caplog.records) == 2
