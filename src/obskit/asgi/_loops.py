"""Waiting for threads on the event loop that runs: asyncio's, trio's or another."""

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import ModuleType


async def until_done(future: "Future[Any]") -> None:
    """Wait until another thread has set a result; whoever leaves leaves the others alone.

    Args:
        future: Not cancelled by anybody. Under an event loop that is not known, the thread waits.
    """
    event: Any
    if (trio := _trio_of_task()) is not None:
        event, soon = trio.Event(), trio.lowlevel.current_trio_token().run_sync_soon
    elif (loop := _asyncio_loop()) is not None:
        event, soon = asyncio.Event(), loop.call_soon_threadsafe
    else:
        future.exception()
        return

    def wake(_: "Future[Any]") -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            soon(event.set)

    future.add_done_callback(wake)
    await event.wait()


async def let_others_run() -> None:
    """Let other tasks of the event loop go on."""
    trio = _trio_of_task()
    if trio is not None:
        await trio.lowlevel.checkpoint()
    elif _asyncio_loop() is not None:
        await asyncio.sleep(0)


def _trio_of_task() -> "ModuleType | None":
    """Return trio if this is a task of its; it may be a guest of another event loop."""
    trio = sys.modules.get("trio")
    if trio is None:
        return None
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return None
    return trio


def _asyncio_loop() -> "asyncio.AbstractEventLoop | None":
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
