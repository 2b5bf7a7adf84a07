"""The probes by their paths, and a way to ask them without an event loop of one's own."""

import asyncio
import threading
from typing import TYPE_CHECKING

from obskit._threads import Locked
from obskit.health import _shapes as shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from obskit.health._registry import HealthRegistry

    Answered = tuple[int, shapes.Body]


async def _health(registry: "HealthRegistry") -> "Answered":
    report = await registry.report()
    return report.http_status, shapes.full(report)


async def _live(registry: "HealthRegistry") -> "Answered":
    report = await registry.live()
    return report.http_status, shapes.live(report)


async def _ready(registry: "HealthRegistry") -> "Answered":
    report = await registry.ready()
    return report.http_status, shapes.ready(report)


async def _version(registry: "HealthRegistry") -> "Answered":
    report = await registry.live()
    return 200, shapes.version(report)


PROBES: "dict[str, Callable[[HealthRegistry], Coroutine[None, None, Answered]]]" = {
    "/health": _health,
    "/livez": _live,
    "/readyz": _ready,
    "/version": _version,
}
"""Paths, and what gives the status code and the body for a registry."""


class ProbeLoop(Locked):
    """An event loop on a daemon thread, for those who have none.

    It is started when it is first needed, and stays: clients that checks use may belong to it.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lost: list[asyncio.AbstractEventLoop | None] = []
        super().__init__()

    def run(self, probe: "Coroutine[None, None, Answered]") -> "Answered":
        """Wait until a probe is answered.

        Args:
            probe: Ends in time, whatever the checks do.

        Raises:
            RuntimeError: If the system has no thread to spare.
        """
        try:
            loop = self._running()
        except BaseException:
            probe.close()
            raise
        return asyncio.run_coroutine_threadsafe(probe, loop).result()

    def _running(self) -> "asyncio.AbstractEventLoop":
        with self._lock:
            if self._loop is None:
                self._loop = _started_loop()
            return self._loop

    def _renew(self) -> None:
        """Begin, also in a forked child: the parent's loop has no thread there."""
        super()._renew()
        self._lost.append(self._loop)  # it may not be closed, nor forgotten without that
        self._loop = None


def _started_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    try:
        threading.Thread(target=loop.run_forever, name="obskit-probes", daemon=True).start()
    except BaseException:
        loop.close()
        raise
    return loop


probe_loop = ProbeLoop()
"""The process's own."""


def probe(registry: "HealthRegistry", path: str) -> "Answered":
    """Answer a probe; waits, so not for event loops.

    Args:
        registry: Whose checks are asked.
        path: One of `PROBES`.

    Returns:
        The status code and the body.
    """
    return probe_loop.run(PROBES[path](registry))
