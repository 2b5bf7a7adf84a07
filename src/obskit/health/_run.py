"""One execution of one check, shared by everybody who asks while it is in flight."""

import asyncio
import inspect
import os
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING

from obskit._threads import Call, call_on_thread
from obskit.health._report import CheckResult
from obskit.health._verdict import ABANDONED, TIMED_OUT, Verdict, failed, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from obskit.clock import Clock
    from obskit.health._check import Check

AWAITS = 2
"""A check's result is awaited, and what that gives once more: the caller forgot an ``await``."""

SECONDS_TO_CLEAN_UP = 0.05
"""An answer waits this long for a cancelled check to end, so that the next probe starts afresh."""


class Run:
    """One execution of a check: a task on the loop that started it, and a thread where needed.

    It is answered once: by the check's end or, at the deadline, by any loop that waits for it. It
    stays in flight until the check has really ended, and answers ``timeout`` at once meanwhile.

    Args:
        check: What to run.
        clock: Measures the latency.
        record: Is told what the run found, once, unless the loop went away before.
    """

    _task: "asyncio.Task[Verdict]"

    def __init__(
        self, check: "Check", clock: "Clock", record: "Callable[[CheckResult, Verdict], None]"
    ) -> None:
        self._check = check
        self._clock = clock
        self._record = record
        self._started = clock.monotonic()
        self._deadline = time.monotonic() + check.timeout
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._call: Future[Call] | None = None
        self._ended = False
        self._answer: Future[CheckResult] = Future()
        self._answer.set_running_or_notify_cancel()  # no caller who leaves can cancel it

    def start(self) -> None:
        """Begin, on the loop that made the run."""
        name = f"obskit-health-{self._check.name}"
        self._task = self._loop.create_task(self._execute(), name=name)
        self._task.add_done_callback(self._finish)

    @property
    def in_flight(self) -> bool:
        """Whether the check is still at work; a loop that is gone or a fork ends it."""
        if self._process != os.getpid():
            return False
        return self._hangs_in_thread or (self._loop.is_running() and not self._ended)

    @property
    def _hangs_in_thread(self) -> bool:
        return self._call is not None and not self._call.done()

    async def answer(self) -> CheckResult:
        """Wait for the end of the check or for what is left of its time.

        Returns:
            The same result for everybody.
        """
        loop = asyncio.get_running_loop()
        # Outlives a caller who leaves: the check is cancelled in time though nobody waits.
        timer = loop.call_later(self._deadline - time.monotonic(), self._expire)
        result = await asyncio.wrap_future(self._answer)
        timer.cancel()
        if loop is self._loop and not self._ended:
            await asyncio.wait({self._task}, timeout=SECONDS_TO_CLEAN_UP)
        return result

    async def _execute(self) -> Verdict:
        try:
            return await self._verdict()
        except BaseException as error:  # what a loop lets through, as SystemExit, would end it
            if self._is_for_host(error):
                raise
            return failed(error)

    def _is_for_host(self, error: BaseException) -> bool:
        """Whether the check only had the loop when it came: Ctrl-C, or a real cancellation."""
        if isinstance(error, asyncio.CancelledError):
            return self._task.cancelling() > 0
        return isinstance(error, KeyboardInterrupt)

    async def _verdict(self) -> Verdict:
        if self._check.on_loop:
            return judge(await _awaited(self._check.function()))
        ended = await self._ended_call()
        if ended.error is not None:
            return failed(ended.error)
        return judge(await _awaited(ended.value))

    async def _ended_call(self) -> Call:
        call = self._call = call_on_thread(
            self._check.function, f"obskit-health-{self._check.name}"
        )
        try:
            return await asyncio.wrap_future(call)
        except asyncio.CancelledError:
            call.add_done_callback(_drop)
            raise

    def _finish(self, task: "asyncio.Task[Verdict]") -> None:
        self._ended = True
        if task.cancelled():
            self._settle(TIMED_OUT if self._hangs_in_thread else ABANDONED)
        elif (error := task.exception()) is not None:
            self._conclude(failed(error))
        else:
            self._conclude(task.result())

    def _expire(self) -> None:
        if self._conclude(TIMED_OUT):
            with suppress(RuntimeError):  # the loop is closed, and the task with it
                self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        self._task.cancel()

    def _conclude(self, verdict: Verdict) -> bool:
        result = self._settle(verdict)
        if result is None:
            return False
        self._record(result, verdict)
        return True

    def _settle(self, verdict: Verdict) -> CheckResult | None:
        """Answer everybody; None when they have been answered before."""
        latency = (self._clock.monotonic() - self._started) * 1000
        name, critical = self._check.name, self._check.critical
        result = CheckResult(name, verdict.status, verdict.code, latency, critical)
        try:
            self._answer.set_result(result)
        except InvalidStateError:
            return None
        return result


async def _awaited(value: object) -> object:
    for _ in range(AWAITS):
        if inspect.isawaitable(value):
            value = await value
    return value


def _drop(call: "Future[Call]") -> None:
    value = call.result().value
    if inspect.iscoroutine(value):
        value.close()
