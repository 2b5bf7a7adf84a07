"""Locks that a forked child finds free."""

import os
import threading
from weakref import WeakSet


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
