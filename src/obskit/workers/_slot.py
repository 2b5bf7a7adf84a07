"""Slots: a worker holds one as long as it lives, and a later worker takes over what it left.

A slot is two files in the directory. Its owner holds an exclusive lock (``flock``) on the one and
replaces the other, the snapshot, as a whole. The kernel gives the lock back when the process ends
in whatever way: that tells the living from the dead, in every container that shares the directory,
and no process id has to be trusted. Whoever takes a free slot begins from the numbers in it, so
there are never more files than there once were workers at a time, and nothing is ever moved.
"""

import errno
import fcntl
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

TRANSIENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO})
"""What says nothing about a file, only about this moment."""

MAX_BYTES = 256 * 1024 * 1024
"""Larger files are no snapshots."""

_SNAPSHOT = re.compile(r"obskit-1-([0-9]{4,9})\.snapshot")
_OWN_FILE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MODE = 0o600


class Stored(NamedTuple):
    """What a slot holds.

    Attributes:
        name: The snapshot's.
        content: Its bytes; none if they cannot be read.
        path: Where it is.
    """

    name: str
    content: bytes
    path: str

    def is_alive(self) -> bool:
        """Whether the worker that wrote it lives."""
        return _is_locked(self.path.removesuffix(".snapshot") + ".lock")


class Slot:
    """A slot held by this process; `take` finds one.

    Attributes:
        path: The snapshot's.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def take(cls, directory: Path) -> Self:
        """The first slot that nobody holds; a new one if there is none.

        Args:
            directory: Where the workers meet.

        Raises:
            OSError: If the directory cannot be used.
        """
        number = 0
        while True:
            path = directory / f"obskit-1-{number:04}.snapshot"
            lock = _try_lock(path.with_suffix(".lock"))
            if lock is not None:
                return cls(path, lock)
            number += 1

    def is_held(self) -> bool:
        """Whether the slot still is this process's: nobody has deleted its lock."""
        try:
            found = self.path.with_suffix(".lock").stat()
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self._lock))

    def touch(self) -> None:
        """Show those who clean directories up by age that the files are in use."""
        os.utime(self._lock)
        with suppress(FileNotFoundError):
            os.utime(self.path)

    def read(self) -> bytes | None:
        """What the slot holds; None if nothing, and no bytes if they cannot be read."""
        return _read(self.path) if os.path.lexists(self.path) else None

    def write(self, content: bytes) -> None:
        """Replace what the slot holds, at once and as a whole.

        Args:
            content: The new content.

        Raises:
            OSError: If there is no room for it, say; the old content then stays.
        """
        temporary = self.path.with_suffix(".tmp")
        try:
            temporary.unlink(missing_ok=True)
            _write_new(temporary, content)
            temporary.replace(self.path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise

    def release(self) -> None:
        """Let go of the slot; in a forked child, of the parent's, which goes on holding it."""
        with suppress(OSError):
            os.close(self._lock)


def read_all(directory: Path) -> "Iterator[Stored]":
    """What all slots hold, in the order in which floats are always added up.

    Args:
        directory: Where the workers meet.

    Raises:
        OSError: If there is no such directory, or one of `TRANSIENT`.
    """
    matches = [_SNAPSHOT.fullmatch(name) for name in os.listdir(directory)]  # noqa: PTH208 - names are all that is needed
    names = sorted((int(match[1]), match[0]) for match in matches if match)
    for _, name in names:
        path = os.path.join(directory, name)  # noqa: PTH118 - there may be thousands
        yield Stored(name, _read(path), path)


def _try_lock(path: Path) -> int | None:
    """Lock a file that may have to be made; None if it is another process's or no file of ours."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | _OWN_FILE, _MODE)
    except OSError:
        if os.path.lexists(path):
            return None
        raise
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _is_locked(path: str) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY | _OWN_FILE)
    except OSError as error:
        if error.errno in TRANSIENT:
            raise
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def _read(path: str | Path) -> bytes:
    """Read a plain file of a sensible size; nothing else is waited for, or followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _OWN_FILE)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode) and found.st_size <= MAX_BYTES:
                return file.read(found.st_size)
    except OSError as error:
        if error.errno in TRANSIENT:
            raise
    return b""


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OWN_FILE, _MODE)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        view = memoryview(content)
        while view:
            view = view[file.write(view) :]
