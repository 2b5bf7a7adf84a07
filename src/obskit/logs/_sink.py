"""Where finished lines go."""

import io
import os
import select
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


PATIENCE = 1.0
"""Seconds that a line may wait for its reader, in all, where writing itself does not block."""


class _WriteLock:
    """Keeps the lines of threads apart; made anew in a forked child."""

    def __init__(self) -> None:
        self.unfinished: set[int] = set()
        """Descriptors whose last line is not whole: the next one begins with a newline."""
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.held = threading.RLock()


_lock = _WriteLock()


class StandardOutput:
    """The process's standard output, as it is when a line is written.

    A real file gets each line by one system call, after what ``print`` has left in the stream's
    buffer; anything else that has been put in the place of ``sys.stdout`` is written to as text.

    Args:
        render: Makes a line of an entry.

    Attributes:
        render: The same.
    """

    def __init__(self, render: "Callable[[Mapping[str, Any]], bytes]") -> None:
        self.render = render
        self._stream: Any = None
        self._descriptor: int | None = None

    def deliver(self, entry: "Mapping[str, Any]") -> None:
        """Write an entry as one line.

        Raises:
            OSError: If standard output is closed, full or gone, or does not block and has not
                taken the whole line within `PATIENCE` seconds.
        """
        self.write(self.render(entry))

    def write(self, line: bytes) -> None:
        """Write a line.

        Args:
            line: It ends with a newline.

        Raises:
            OSError: As `deliver` does.
        """
        stream: Any = sys.stdout
        if stream is not self._stream or stream.closed:
            self._meet(stream)
        descriptor = self._descriptor
        with _lock.held:
            if descriptor is None:
                stream.write(line.decode("utf-8", "backslashreplace"))
                stream.flush()
            else:
                _write(stream, descriptor, line)

    def _meet(self, stream: Any) -> None:
        """Find out how a stream is written to; its descriptor may be redirected, but stays."""
        self._stream = None
        if _is_closed(stream):
            raise OSError("standard output is closed")
        self._descriptor = _descriptor(stream)
        self._stream = stream if self._descriptor is not None else None


def is_terminal() -> bool:
    """Tell whether standard output is a terminal: whether a person is likely to read along."""
    stream: Any = sys.stdout
    return not _is_closed(stream) and hasattr(stream, "isatty") and bool(stream.isatty())


def _is_closed(stream: Any) -> bool:
    return stream is None or getattr(stream, "closed", False)


def _descriptor(stream: Any) -> int | None:
    """Return the descriptor of a real file; one that a stand-in names is not where it writes."""
    try:
        return stream.fileno() if isinstance(stream, io.TextIOWrapper) else None
    except OSError:  # a file in memory
        return None


def _write(stream: Any, descriptor: int, line: bytes) -> None:
    """Write what ``print`` has left, and a line; a pipe may take them in pieces, and later."""
    written = 0
    try:
        stream.flush()
        if descriptor not in _lock.unfinished:
            written = os.write(descriptor, line)
    except BlockingIOError:
        pass
    if written < len(line):
        until = time.monotonic() + PATIENCE
        if not written:
            _flush(stream, descriptor, until)
        _write_rest(descriptor, line, written, until)


def _flush(stream: Any, descriptor: int, until: float) -> None:
    """Write what ``print`` has left: the stream keeps what cannot be written yet."""
    while True:
        try:
            stream.flush()
        except BlockingIOError:
            _wait(descriptor, until)
        else:
            return


def _write_rest(descriptor: int, line: bytes, written: int, until: float) -> None:
    """Write what is left of a line, of which some bytes have been written."""
    if descriptor in _lock.unfinished:
        line = b"\n" + line
    try:
        while written < len(line):
            try:
                written += os.write(descriptor, line[written:])
            except BlockingIOError:
                _wait(descriptor, until)
    finally:
        if line[:written].endswith(b"\n"):
            _lock.unfinished.discard(descriptor)
        elif written:
            _lock.unfinished.add(descriptor)


def _wait(descriptor: int, until: float) -> None:
    """Wait until a descriptor takes more.

    Raises:
        BlockingIOError: If it does not before the monotonic time ``until``, in seconds.
    """
    left = until - time.monotonic()
    if left <= 0 or not select.select([], [descriptor], [], left)[1]:
        raise BlockingIOError("the reader of standard output takes nothing")
