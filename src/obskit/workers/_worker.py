"""One process among several: writes its own numbers, and shows those of all."""

import errno
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from obskit._guard import guard
from obskit.errors import ConfigurationError
from obskit.workers._page import page
from obskit.workers._recorded import recorded, summed_up, zero_gauges
from obskit.workers._slot import TRANSIENT, Slot, read_all
from obskit.workers._snapshot import (
    Snapshot,
    UnreadableSnapshotError,
    bound,
    decode,
    encode,
    merge,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client import CollectorRegistry

    from obskit.workers._snapshot import Shape

INTERVAL = 1.0
"""Seconds between two snapshots of a worker."""

REST = 19.0
"""Times as long as a snapshot has kept the processor busy, the writer then waits at least."""

PAUSE = 0.0005
"""Seconds that the writer leaves the interpreter to others, again and again in a snapshot."""

PATIENCE = 1.0
"""Seconds that a scrape waits for another thread's snapshot, and a fork for the writer's end."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Worker:
    """This process's part in a directory of workers, for one registry.

    Args:
        directory: Where the workers meet.
        registry: Whose metrics they share.

    Raises:
        ConfigurationError: If the directory cannot be used.
    """

    def __init__(self, directory: str, registry: "CollectorRegistry") -> None:
        self._directory = Path(directory)
        self._registry = registry
        self._lock = threading.Lock()
        self._slot: Slot | None = None
        self._inherited: Snapshot = {}
        self._elsewhere: dict[str, float] = {}
        self._shapes: tuple[Shape, ...] = ()
        self._written = b""
        self._hurried = False
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._started = False
        self._take_first_slot()
        _workers.add(self)

    def start(self) -> None:
        """Write snapshots from now on, in the background."""
        self._started = True
        if self._thread is None:
            self._stopped = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._stopped,), name="obskit-workers", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Write a last snapshot; the numbers stay with the others."""
        self._started = False
        self._stop_thread()
        self.flush()

    def flush(self) -> None:
        """Write a snapshot now; what goes wrong is counted, and the one before then stays."""
        self._hurried = True
        try:
            self._write()
        finally:
            self._hurried = False

    def render(self, accept: str = "", names: "Iterable[str]" = ()) -> tuple[bytes, str]:
        """The metrics of all workers, as bytes for a scrape.

        Args:
            accept: The request's ``Accept`` header.
            names: Names of the samples to show; all unless given.

        Returns:
            The body and its content type.

        Raises:
            OSError: If the files cannot be read for want of something that will be there again.
        """
        self.flush()
        return page(self._registry, self._of_all(), self._shapes, accept, names)

    def _take_first_slot(self) -> None:
        try:
            if not self._directory.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "no such directory")
            self._hold_slot()
        except OSError as error:
            if error.errno in _FULL:
                guard.report("workers.write", error)
                return
            raise ConfigurationError(
                f"setting 'workers_dir': {self._directory} cannot be used ({error.strerror}): "
                "create it on a local disk or in memory, writable for this process"
            ) from None

    def _run(self, stopped: threading.Event) -> None:
        wait = INTERVAL
        while not stopped.wait(wait):
            began = time.thread_time()
            self._write()
            wait = max(INTERVAL, REST * (time.thread_time() - began))

    def _write(self) -> None:
        if not self._lock.acquire(timeout=PATIENCE):
            return
        try:
            self._write_snapshot()
        except Exception as error:
            guard.report("workers.write", error)
        finally:
            self._lock.release()

    def _write_snapshot(self) -> None:
        slot = self._hold_slot()
        content = encode(self._with_inherited(), self._pause)
        head = content.partition(b"\n")[0]
        if head != self._written or not slot.path.exists():
            slot.write(content)
            self._written = head
        slot.touch()

    def _with_inherited(self) -> Snapshot:
        """What this process has to say: what it has recorded, and what its slot had before."""
        own = self._recorded()
        self._shapes = tuple(own)
        if not self._inherited:
            return own
        whole: Snapshot = {}
        merge(whole, self._inherited, alive=False)
        merge(whole, own, alive=True)
        return whole

    def _recorded(self) -> Snapshot:
        """What this process has recorded, without what others of the files have already."""
        own = recorded(self._registry, self._pause)
        if self._elsewhere:
            for shape, numbers in own.items():
                if shape.rule == "sum":
                    self._subtract(numbers.lines)
        return own

    def _subtract(self, lines: dict[str, float]) -> None:
        for line in lines.keys() & self._elsewhere.keys():
            if lines[line] < self._elsewhere[line]:  # it has begun again
                del self._elsewhere[line]
            else:
                lines[line] -= self._elsewhere[line]

    def _hold_slot(self) -> Slot:
        """The slot; a new one if there is none yet, or it was deleted."""
        if self._slot is not None and self._slot.is_held():
            return self._slot
        if self._slot is not None:
            self._slot.release()
            self._slot = None
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        slot = self._slot = Slot.take(self._directory)
        self._inherit(slot)
        return slot

    def _inherit(self, slot: Slot) -> None:
        """Take over what a dead worker has left in the slot, unless it is this one's own."""
        content = slot.read()
        if content is None or (self._written and content.startswith(self._written)):
            return
        self._written = b""
        try:
            merge(self._inherited, decode(content), alive=False)
            bound(self._inherited)
        except UnreadableSnapshotError:
            _report([slot.path.name])

    def _of_all(self) -> Snapshot:
        """The numbers in all files; this worker's own while the directory cannot be read."""
        whole: Snapshot = {}
        unreadable: list[str] = []
        try:
            for stored in read_all(self._directory):
                try:
                    snapshot = decode(stored.content)
                    asks = any(shape.live for shape in snapshot)
                    merge(whole, snapshot, alive=asks and stored.is_alive())
                except UnreadableSnapshotError:
                    unreadable.append(stored.name)
        except OSError as error:
            if error.errno in TRANSIENT:  # to show less than before would look like a restart
                raise
            guard.report("workers.read", error)
        if unreadable:
            _report(unreadable)
        return whole or self._with_inherited()

    def _pause(self) -> None:
        if not self._hurried:
            time.sleep(PAUSE)

    def _stop_thread(self) -> None:
        """End the writer, if it runs and ends in time."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopped.set()
        self._hurried = True
        thread.join(PATIENCE)
        self._hurried = False

    def _after_fork(self) -> None:
        if self._started:
            self.start()

    def _after_fork_in_child(self) -> None:
        """Begin at zero: what the parent has recorded is in the parent's file."""
        self._lock = threading.Lock()
        if self._slot is not None:
            self._slot.release()
        self._slot, self._written, self._inherited = None, b"", {}
        self._elsewhere = summed_up(self._registry)
        zero_gauges(self._registry)
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.register_after_fork(self, _stop_with_process)
        self._after_fork()


def _report(names: "Sequence[str]") -> None:
    text = f"{len(names)} files in workers_dir are no whole snapshots, such as {names[0]}"
    guard.report("workers.read", UnreadableSnapshotError(f"{text}: they are left out"))


def _stop_with_process(worker: Worker) -> None:  # pragma: no cover - the same
    """Have the last snapshot written by a process that ends without ``atexit``."""
    from multiprocessing.util import Finalize  # noqa: PLC0415 - it is imported, or nobody calls

    Finalize(None, worker.stop, exitpriority=0)


def _each(method: "Callable[[Worker], None]") -> None:
    for worker in list(_workers):
        try:
            method(worker)
        except Exception as error:
            guard.report("workers.fork", error)


def _before_fork() -> None:
    """Stop the writers: no child shall find one in the middle of something."""
    _forking.acquire()  # one fork after the other: each finds the writers as the one before it did
    _each(Worker._stop_thread)


def _after_fork_in_parent() -> None:
    _each(Worker._after_fork)
    _forking.release()


def _after_fork_in_child() -> None:
    global _forking  # noqa: PLW0603 - who waits for it is not there
    _forking = threading.RLock()
    _each(Worker._after_fork_in_child)


_workers: "WeakSet[Worker]" = WeakSet()
_forking = threading.RLock()

os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
