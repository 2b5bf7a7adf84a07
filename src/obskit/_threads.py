"""Daemon threads for what may block, and locks that a forked child finds free."""

import contextvars
import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable


class Call(NamedTuple):
    """How a call on a thread ended: with a value or with an error."""

    value: object = None
    error: BaseException | None = None


def call_on_thread(function: "Callable[[], object]", name: str) -> "Future[Call]":
    """Call a function that may block, on a daemon thread: it holds neither the loop nor the exit.

    Args:
        function: Called in a copy of the current context.
        name: The thread's.

    Returns:
        How the call ended; cannot be cancelled.

    Raises:
        RuntimeError: If the system has no thread to spare.
    """
    call: Future[Call] = Future()
    call.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            ended = Call(context.run(function))
        except BaseException as error:  # sys.exit() included: nobody but the function is meant
            ended = Call(error=error)
        call.set_result(ended)

    threading.Thread(target=work, name=name, daemon=True).start()
    return call


class Locked:
    """Owns a lock, made anew in a forked child: who held it may not be there."""

    def __init__(self) -> None:
        self._renew()
        _owners.add(self)

    def _renew(self) -> None:
        self._lock = threading.Lock()


_owners: "WeakSet[Locked]" = WeakSet()


def _renew_in_child() -> None:  # pragma: no cover - runs in children only, out of its sight
    for owner in _owners:
        owner._renew()  # pyright: ignore[reportPrivateUsage]  # of this module


os.register_at_fork(after_in_child=_renew_in_child)
