"""One line for one event, wherever it is written to."""

import io
import logging
import logging.handlers
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import obskit
from obskit._guard import guard
from obskit.clock import ManualClock
from obskit.testing import Observed, observing

Written = Callable[[], list[dict[str, Any]]]
Alone = Callable[[], logging.Handler]

TEXTS = st.text(st.sampled_from('ab\n\r\x0b\x0c\x1b\x1c\x85\u2028\u2029\ud800"\\%{}\0'), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(event=TEXTS, name=TEXTS, key=TEXTS, value=TEXTS)
@pytest.mark.usefixtures("own")
def test_one_line_per_event(alone: Alone, event: str, name: str, key: str, value: str) -> None:
    alone()  # pytest's own handler would keep the surrogates, which xdist cannot send
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        obskit.get_logger(name).info(event, **{key: value})
        logging.getLogger("r" + name).info(event, extra={"x" + key: value})
    lines = output.buffer.getvalue().decode().splitlines()
    assert len(lines) == 2


class Stand:
    """What a program may put in the place of stdout: it writes, and no more."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


def test_a_stand_in_for_stdout_gets_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand()
    monkeypatch.setattr(sys, "stdout", stand)
    obskit.configure(logging="own", service="s")
    obskit.get_logger("app").info("here \ud800")
    assert '"event":"here \\ud800"' in stand.text


class Tee(Stand):
    """Forwards what it does not know to the real stream, its descriptor, too."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def test_a_stand_in_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tee = Tee(sys.stdout)
    monkeypatch.setattr(sys, "stdout", tee)
    obskit.configure(logging="own", service="s")
    obskit.get_logger("app").info("here")
    assert '"event":"here"' in tee.text
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.usefixtures("own")
def test_no_stdout_at_all(monkeypatch: pytest.MonkeyPatch, closed: bool) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream if closed else None)
    with guard.recording() as faults:
        obskit.get_logger("app").info("lost")
    assert {site for site, _ in faults} == {"logs.write"}


def test_logging_from_threads_is_complete_their_lines(observed: Observed) -> None:
    log = obskit.get_logger("app")

    def work(number: int) -> None:
        for _ in range(200):
            log.info("said", n=number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(observed.logs.all(event="said")) == 1_600


def test_the_time_is_the_clock_s_in_utc() -> None:
    clock = ManualClock(1_700_000_000.25)
    with observing(clock) as observed:
        obskit.get_logger("app").info("one")
        clock.advance(0.5)
        obskit.get_logger("app").info("two")
        clock.step(-3600)
        obskit.get_logger("app").info("three")
        times = [line["timestamp"] for line in observed.logs.all()]
    assert times == [
        "2023-11-14T22:13:20.250000Z",
        "2023-11-14T22:13:20.750000Z",
        "2023-11-14T21:13:20.750000Z",
    ]
