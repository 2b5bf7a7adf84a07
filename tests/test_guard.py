"""Faults of obskit's own are counted and said now and then, and never reach the host."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from obskit._guard import BATCH, LINES_REMEMBERED, SECONDS_BETWEEN_LINES, Guard, Tally
from obskit.errors import DuplicateError


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


def test_an_error_of_obskits_own_is_said_in_full(caplog: pytest.LogCaptureFixture) -> None:
    """Its message tells what to do; each one is said, and each of them once a minute."""
    guard = Impatient()
    for name in ("a", "b", "a"):
        guard.report("metrics.declare", DuplicateError(f"{name!r} is taken"))
    assert [record.args for record in caplog.records] == [
        ("metrics.declare", "DuplicateError: 'a' is taken"),
        ("metrics.declare", "DuplicateError: 'b' is taken"),
    ]
    guard.forget()
    guard.report("metrics.declare", DuplicateError("'a' is taken"))
    assert len(caplog.records) == 3


def test_lines_are_not_remembered_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard()
    for number in range(LINES_REMEMBERED + 1):
        guard.report("site", DuplicateError(str(number)))
    guard.report("site", DuplicateError("1"))
    assert len(caplog.records) == LINES_REMEMBERED + 1
    guard.report("site", DuplicateError("0"))  # the oldest was forgotten
    assert len(caplog.records) == LINES_REMEMBERED + 2


@pytest.fixture
def _eager_switches() -> Iterator[None]:
    """Let threads interrupt each other as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_eager_switches")
def test_no_addition_is_lost_between_threads() -> None:
    tally, stop = Tally(), threading.Event()

    def read() -> None:
        latest = 0
        while not stop.is_set():
            before, latest = latest, tally.counts().get("a", 0)
            assert before <= latest

    def add() -> None:
        for _ in range(20_000):
            tally.add("a")

    with ThreadPoolExecutor(7) as pool:
        reader = pool.submit(read)
        for writer in [pool.submit(add) for _ in range(6)]:
            writer.result()
        stop.set()
        reader.result()
    assert tally.counts() == {"a": 120_000}


def test_an_addition_does_not_wait_for_who_is_summing_up() -> None:
    """As in a signal handler that interrupts a sum in its own thread."""
    tally = Tally()
    with tally._lock:
        for _ in range(BATCH + 1):
            tally.add("a", 2)
        assert tally.counts() == {}
    assert tally.counts() == {"a": 2 * BATCH + 2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_counts_although_another_thread_held_the_lock() -> None:
    program = (
        "import os\n"
        "from obskit._guard import guard\n"
        "with guard._faults._lock, guard.dropped_spans._lock:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        guard.report('a', ValueError())\n"
        "        guard.dropped_spans.add('b')\n"
        "        counted = (guard.counts, guard.dropped_spans.counts()) == ({'a': 1}, {'b': 1})\n"
        "        os._exit(0 if counted else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "0\n"
