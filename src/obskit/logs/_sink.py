"""Where finished lines go."""

import io
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class _WriteLock:
    """Keeps the lines of threads apart; made anew in a forked child."""

    def __init__(self) -> None:
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
    """

    def __init__(self, render: "Callable[[Mapping[str, Any]], bytes]") -> None:
        self._render = render

    def deliver(self, entry: "Mapping[str, Any]") -> None:
        """Write an entry as one line.

        Raises:
            OSError: If standard output is closed, full or gone.
        """
        line = self._render(entry)
        stream: Any = sys.stdout
        if _is_closed(stream):
            raise OSError("standard output is closed")
        descriptor = _descriptor(stream)
        with _lock.held:
            if descriptor is None:
                stream.write(line.decode("utf-8", "backslashreplace"))
                stream.flush()
            else:
                stream.flush()
                _write_whole(descriptor, line)


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


def _write_whole(descriptor: int, line: bytes) -> None:
    """Write all of a line: a pipe may take a long one in pieces."""
    written = os.write(descriptor, line)
    while written < len(line):
        written += os.write(descriptor, line[written:])
