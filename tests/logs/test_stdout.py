"""Programs and their standard output: pipes, terminals, full disks, forks."""

import json
import os
import pty
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import obskit
from obskit._guard import guard
from obskit.logs import StandardOutput, _sink

FULL = Path("/dev/full")
Run = Callable[..., subprocess.CompletedProcess[str]]

START = """
import logging, os, sys, threading
import obskit
obskit.configure(service="shop", tracing="off")
log = obskit.get_logger("app")
"""


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def in_a_terminal(source: str) -> str:
    """Run a program whose stdout is a terminal, and return what that would show."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", source], stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65_536):
                shown += chunk
        except OSError:  # the other end is closed
            pass
        os.close(ours)
    assert process.returncode == 0
    return shown.decode()


def test_a_pipe_gets_json(run: Run) -> None:
    done = run(START + "log.info('one'); logging.getLogger('lib').warning('two %s', 1)")
    assert done.stderr == ""
    assert [line["event"] for line in lines(done.stdout)] == ["one", "two 1"]


def test_a_terminal_gets_lines_for_people() -> None:
    shown = in_a_terminal(START + "log.info('one', order=7); logging.getLogger('lib').error('two')")
    assert "\x1b[" in shown
    assert "order" in shown
    assert "two" in shown
    assert '"event"' not in shown
    assert "shop" not in shown


@pytest.mark.parametrize(("format", "is_json"), [("json", True), ("console", False)])
def test_the_format_can_be_set(run: Run, format: str, is_json: bool) -> None:  # noqa: A002 - as the setting
    environment = {"OBSKIT_LOG_FORMAT": format}
    assert run(START + "log.info('one')", env=environment).stdout.startswith("{") == is_json


def test_print_and_lines_keep_their_order(run: Run) -> None:
    done = run(START + "for n in range(200): print(n); log.info('line', n=n)")
    printed = done.stdout.splitlines()
    assert [
        text if index % 2 == 0 else json.loads(text)["n"] for index, text in enumerate(printed)
    ] == [item for n in range(200) for item in (str(n), n)]


def test_threads_write_whole_lines_into_a_slow_pipe() -> None:
    """A line longer than the pipe is taken in pieces, and still no other gets in between."""
    source = START + (
        "def work(n):\n"
        "    for _ in range(5): log.info('long', n=n, text=[str(n) * 10_000] * 20)\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = b"".join(iter(lambda: process.stdout.read(1_000), b""))  # type: ignore[union-attr] # asserted above
    assert sorted(line["n"] for line in lines(output.decode())) == sorted(list(range(8)) * 5)


def test_a_line_that_is_taken_in_pieces_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a signal interrupts the write of a long line."""
    write, pieces = os.write, []

    def take(descriptor: int, data: bytes) -> int:
        pieces.append(data[:10])
        return write(descriptor, data[:10])

    with Path(os.devnull).open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(os, "write", take)
        StandardOutput(lambda entry: b"x" * 95 + b"\n").deliver({})
    assert b"".join(pieces) == b"x" * 95 + b"\n"


def test_a_stdout_that_does_not_block_gets_whole_lines() -> None:
    """Another program that shares the terminal or the pipe may have made it so."""
    source = START + (
        "os.set_blocking(1, False)\n"
        "for n in range(60): log.info('long', n=n, text='x' * 9_000)\n"
        "assert obskit._guard.guard.counts == {}, obskit._guard.guard.counts"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        output = b""
        while chunk := os.read(descriptor, 10_000):
            output += chunk
            time.sleep(0.002)  # a slow reader is the subject
    assert process.returncode == 0
    assert [line["n"] for line in lines(output.decode())] == list(range(60))


@contextmanager
def stdout_that_does_not_block(patience: float) -> Iterator[int]:
    """Make a pipe the standard output; its other end is given."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    with open(writer, "w") as stdout, pytest.MonkeyPatch.context() as patch:  # noqa: PTH123 - a descriptor has no path
        patch.setattr(_sink, "PATIENCE", patience)
        patch.setattr(sys, "stdout", stdout)
        yield reader
    os.close(reader)


def fill(writer: int) -> None:
    while select.select([], [writer], [], 0)[1]:
        os.write(writer, b"." * 4_096)


def drained(reader: int) -> bytes:
    taken = b""
    try:
        while True:
            taken += os.read(reader, 65_536)
    except BlockingIOError:
        return taken


def test_a_line_after_one_that_was_broken_off_begins_anew() -> None:
    stdout = StandardOutput(lambda entry: entry["text"] + b"\n")
    with stdout_that_does_not_block(0.05) as reader:
        for text in (b"a" * 2_000_000, b"does not even begin"):
            with pytest.raises(BlockingIOError):
                stdout.deliver({"text": text})
        taken = set(drained(reader))
        stdout.deliver({"text": b"b"})
        stdout.deliver({"text": b"c"})
        rest = drained(reader)
    assert (taken, rest) == ({ord("a")}, b"\nb\nc\n")


def test_a_line_that_cannot_be_finished_is_counted() -> None:
    with (
        stdout_that_does_not_block(0.05) as reader,
        obskit.configure(logging="own", log_format="json"),
        guard.recording() as faults,
    ):
        obskit.get_logger("app").info("long", **{f"n{n}": "x" * 10_000 for n in range(200)})
        output = drained(reader)
        obskit.get_logger("app").info("next")
        output += drained(reader)
    assert next(type(error) for site, error in faults if site == "logs.write") is BlockingIOError
    begun, *whole = output.decode().splitlines()
    with pytest.raises(json.JSONDecodeError):
        json.loads(begun)
    assert [json.loads(line)["event"] for line in whole][-1] == "next"


def test_what_print_has_left_is_waited_for() -> None:
    writing = threading.Thread(target=StandardOutput(lambda _: b"line\n").deliver, args=({},))
    output = b""
    with stdout_that_does_not_block(30) as reader:
        sys.stdout.write("printed ")
        fill(sys.stdout.fileno())
        writing.start()
        while writing.is_alive():
            writing.join(0.01)
            output += drained(reader)
    assert output.lstrip(b".") == b"printed line\n"


FAULTS = "assert obskit._guard.guard.counts == {'logs.write': %d}, obskit._guard.guard.counts\n"


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_counted(run: Run) -> None:
    with FULL.open("w") as full:
        done = run(
            START
            + "log.info('one'); logging.getLogger('lib').info('two')\n"
            + FAULTS % 3  # with the line about the first of them
            + "from obskit.metrics import render\n"
            "with obskit.observe('x'): pass\n"
            "page, _ = render()\n"
            "assert b'obskit_internal_errors_total{site=\"logs.write\"} 3.0' in page, page\n",
            stdout=full,
        )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "close", ["os.close(1)", "sys.stdout.close()", "sys.stdout = None"], ids=str
)
def test_a_closed_stdout_is_counted(run: Run, close: str) -> None:
    done = run(START + f"{close}\nlog.info('one')\n" + FAULTS % 2 + "sys.stdout = None")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_has_gone_is_counted(run: Run) -> None:
    source = (
        START
        + "reader, writer = os.pipe(); os.dup2(writer, 1); os.close(reader); os.close(writer)\n"
        + "log.info('one')\n"
        + FAULTS % 2
        + "sys.stdout = None"
    )
    done = run(source)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fork_in_the_middle_of_logging_does_not_hang(run: Run) -> None:
    """The write lock may be held by another thread at the moment of the fork."""
    source = START + (
        "stop = threading.Event()\n"
        "def work():\n"
        "    while not stop.is_set(): log.info('parent', text='x' * 2_000)\n"
        "threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]\n"
        "[t.start() for t in threads]\n"
        "for n in range(40):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        log.info('child', n=n)\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "stop.set(); [t.join() for t in threads]"
    )
    done = run(source)
    assert (done.returncode, done.stderr) == (0, "")
    children = [line["n"] for line in lines(done.stdout) if line["event"] == "child"]
    assert children == list(range(40))


def test_late_lines_go_where_those_of_the_standard_library_go(run: Run) -> None:
    done = run(
        "import atexit\n"
        "atexit.register(lambda: log.warning('last words'))" + START + "log.info('one')"
    )
    assert (done.returncode, done.stderr) == (0, "last words\n")
    assert [line["event"] for line in lines(done.stdout)] == ["one"]
