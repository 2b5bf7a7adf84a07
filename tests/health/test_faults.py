"""Checks that hang, refuse, ignore cancellation or come in a stampede."""

import asyncio
import inspect
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress

import pytest

from obskit.health import CheckResult, HealthRegistry, Status

pytestmark = pytest.mark.anyio

Threads = Callable[[], list[threading.Thread]]

TIMED_OUT = ("unhealthy", "timeout")
HEALTHY = ("healthy", None)


async def ask(health: HealthRegistry) -> tuple[str, str | None]:
    result = await only(health)
    return result.status.value, result.code


async def only(health: HealthRegistry) -> CheckResult:
    (result,) = (await health.ready()).checks
    return result


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread may bring about."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - an asyncio.Event belongs to one thread
            await asyncio.sleep(0)


async def several_steps() -> None:
    """Let the tasks of this loop get as far as they can without waiting."""
    for _ in range(5):
        await asyncio.sleep(0)


@contextmanager
def released() -> Iterator[threading.Event]:
    """Whatever waits for the event goes on at the end of the block."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


@contextmanager
def other_loop(work: Callable[[], Coroutine[object, object, object]]) -> Iterator[None]:
    """A second event loop, at work on its own thread while the block runs."""
    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    try:
        yield
    finally:
        thread.join(timeout=5)
        assert not thread.is_alive()


async def test_a_socket_that_hangs_is_a_timeout_for_an_async_check(hung_port: int) -> None:
    async def ping() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", hung_port)
        try:
            await reader.readline()
        finally:
            writer.close()
            await writer.wait_closed()

    health = HealthRegistry(timeout=0.1)
    health.add("db", ping)

    result = await only(health)

    assert (result.status, result.code) == TIMED_OUT
    assert 99 <= result.latency_ms < 1000


async def test_a_socket_that_hangs_is_a_timeout_for_a_blocking_check(
    check_threads: Threads,
) -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def ping() -> None:
        with socket.create_connection(server.getsockname()) as connection:
            connection.recv(1)

    health = HealthRegistry(timeout=0.1)
    health.add("db", ping)
    with server:
        assert await ask(health) == TIMED_OUT


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_port_without_a_server_is_refused(closed_port: int, blocking: bool) -> None:
    def ping() -> None:
        socket.create_connection(("127.0.0.1", closed_port))

    health = HealthRegistry()
    health.add(
        "db", ping if blocking else lambda: asyncio.open_connection("127.0.0.1", closed_port)
    )

    assert await ask(health) == ("unhealthy", "refused")


async def test_a_check_that_ignores_its_cancellation_is_reported_in_time() -> None:
    """It is cancelled once, answered at once while it lasts, and run afresh when it has ended."""
    release, cancelled, calls = asyncio.Event(), 0, 0

    async def stubborn() -> None:
        nonlocal cancelled, calls
        calls += 1
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                cancelled += 1

    health = HealthRegistry(timeout=0.1)
    health.add("db", stubborn)
    started = time.monotonic()

    assert [await ask(health) for _ in range(3)] == [TIMED_OUT] * 3
    assert time.monotonic() - started < 1
    assert (cancelled, calls) == (1, 1)
    release.set()
    assert await until_healthy(health) == HEALTHY
    assert calls == 2


async def until_healthy(health: HealthRegistry) -> tuple[str, str | None]:
    async with asyncio.timeout(5):
        while (answer := await ask(health)) != HEALTHY:
            await several_steps()
    return answer


async def test_a_cancelled_check_cleans_up_before_the_next_probe() -> None:
    """The probe after a timeout asks the dependency again, instead of meeting the old run."""
    hang, cleaned = True, 0

    async def ping() -> None:
        nonlocal cleaned
        try:
            if hang:
                await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            cleaned += 1

    health = HealthRegistry(timeout=0.05)
    health.add("db", ping)

    assert await ask(health) == TIMED_OUT
    assert cleaned == 1
    hang = False
    assert await ask(health) == HEALTHY


async def test_a_check_that_raises_cancellation_fails_alone() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    health = HealthRegistry()
    health.add("raises", cancelled)
    health.add("cancels", cancels_itself)
    health.add("fine", lambda: None)

    answers = {c.name: (c.status.value, c.code) for c in (await health.ready()).checks}

    assert answers == {
        "raises": ("unhealthy", "error"),
        "cancels": ("unknown", "cancelled"),
        "fine": HEALTHY,
    }


async def test_a_blocked_check_holds_one_thread_and_is_answered_at_once(
    check_threads: Threads,
) -> None:
    calls = 0
    health = HealthRegistry(timeout=0.1)
    with released() as event:

        def blocked() -> None:
            nonlocal calls
            calls += 1
            event.wait()

        health.add("db", blocked)
        assert await ask(health) == TIMED_OUT
        started = time.monotonic()
        assert [await ask(health) for _ in range(20)] == [TIMED_OUT] * 20
        assert time.monotonic() - started < 1
        assert (calls, len(check_threads())) == (1, 1)
    assert await until_healthy(health) == HEALTHY
    assert calls == 2


async def test_blocked_checks_leave_the_default_executor_to_the_host(
    check_threads: Threads,
) -> None:
    health = HealthRegistry(timeout=0.1)
    with released() as event:
        for number in range(64):
            health.add(f"c{number}", event.wait)
        assert {check.code for check in (await health.ready()).checks} == {"timeout"}

        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), timeout=5) == "free"


async def test_an_awaitable_that_comes_too_late_is_closed(check_threads: Threads) -> None:
    async def ping() -> None:
        """Is never awaited."""

    late = ping()
    health = HealthRegistry(timeout=0.05)
    with released() as event:
        health.add("db", lambda: event.wait() and late)
        assert await ask(health) == TIMED_OUT
    for thread in check_threads():
        thread.join(timeout=5)

    assert inspect.getcoroutinestate(late) == inspect.CORO_CLOSED


async def test_a_result_that_comes_too_late_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Here from a check that ignores its cancellation and then finds all well."""
    caplog.set_level(logging.INFO)
    ended, release = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()
        ended.set()

    health = HealthRegistry(timeout=0.05)
    health.add("db", stubborn)
    assert await ask(health) == TIMED_OUT
    release.set()
    await ended.wait()
    await several_steps()

    assert caplog.messages == ["health check db is unhealthy (timeout)"]


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_stampede_is_one_call(blocking: bool, check_threads: Threads) -> None:
    calls = 0
    with released() as event:

        def blocked() -> None:
            nonlocal calls
            calls += 1
            event.wait()

        async def suspended() -> None:
            nonlocal calls
            calls += 1
            await until(event.is_set)

        health = HealthRegistry(timeout=5)
        health.add("db", blocked if blocking else suspended)
        probes = [asyncio.create_task(ask(health)) for _ in range(200)]
        await until(lambda: calls > 0)
        event.set()
        answers = await asyncio.gather(*probes)

    assert answers == [HEALTHY] * 200
    assert calls == 1


async def test_probes_one_after_the_other_each_ask_again() -> None:
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    health = HealthRegistry()
    health.add("db", count)
    for _ in range(50):
        await health.ready()

    assert calls == 50


async def test_a_caller_who_joins_waits_only_for_what_is_left() -> None:
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    health = HealthRegistry(timeout=0.1)
    health.add("db", hang)
    first = asyncio.create_task(only(health))
    await started.wait()

    second = await only(health)

    assert second is await first
    assert (second.status, second.code) == TIMED_OUT


async def test_a_caller_who_leaves_does_not_cancel_the_run() -> None:
    calls, started, release = 0, asyncio.Event(), asyncio.Event()

    async def ping() -> None:
        nonlocal calls
        calls += 1
        started.set()
        await release.wait()

    health = HealthRegistry(timeout=5)
    health.add("db", ping)
    first, second = (asyncio.create_task(ask(health)) for _ in range(2))
    await started.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    release.set()

    assert await second == HEALTHY
    assert calls == 1


async def test_a_run_that_nobody_waits_for_is_cancelled_at_its_deadline() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    health = HealthRegistry(timeout=0.1)
    health.add("db", hang)
    caller = asyncio.create_task(ask(health))
    await started.wait()
    caller.cancel()

    await asyncio.wait_for(cancelled.wait(), timeout=5)
    assert caller.cancelled()


async def leave_hanging(health: HealthRegistry, started: Callable[[], bool]) -> None:
    """Start a probe and leave the loop to its end while the check is in flight."""
    caller = asyncio.create_task(ask(health))
    await until(started)
    await several_steps()
    caller.cancel()


def test_a_run_of_a_loop_that_is_gone_is_discarded(caplog: pytest.LogCaptureFixture) -> None:
    calls = 0

    async def ping() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()

    health = HealthRegistry(timeout=5)
    health.add("db", ping)
    asyncio.run(leave_hanging(health, lambda: calls == 1))

    assert asyncio.run(ask(health)) == HEALTHY
    assert caplog.messages == []


def test_a_run_of_a_loop_that_stands_still_is_discarded() -> None:
    calls = 0

    async def ping() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()

    health = HealthRegistry(timeout=5)
    health.add("db", ping)
    with asyncio.Runner() as still:
        still.run(leave_hanging(health, lambda: calls == 1))
        assert asyncio.run(ask(health)) == HEALTHY


def test_a_thread_that_outlives_its_loop_is_a_timeout_until_it_ends(
    check_threads: Threads,
) -> None:
    calls = 0
    health = HealthRegistry(timeout=5)
    with released() as event:

        def blocked() -> None:
            nonlocal calls
            calls += 1
            event.wait()

        health.add("db", blocked)
        asyncio.run(leave_hanging(health, lambda: calls == 1))
        assert asyncio.run(ask(health)) == TIMED_OUT
        assert (calls, len(check_threads())) == (1, 1)

    assert asyncio.run(until_healthy(health)) == HEALTHY
    assert calls == 2


@pytest.mark.parametrize("blocking", [True, False])
async def test_two_loops_share_one_run(blocking: bool, check_threads: Threads) -> None:
    calls, answers = 0, []
    entered, joined = threading.Event(), threading.Event()

    def blocked() -> None:
        nonlocal calls
        calls += 1
        entered.set()
        joined.wait()

    async def suspended() -> None:
        nonlocal calls
        calls += 1
        entered.set()
        await until(joined.is_set)

    async def other() -> None:
        answers.append(await ask(health))

    health = HealthRegistry(timeout=5)
    health.add("db", blocked if blocking else suspended)
    with other_loop(other):
        assert entered.wait(timeout=5)
        probe = asyncio.create_task(ask(health))
        await several_steps()
        joined.set()
        assert await probe == HEALTHY

    assert (answers, calls) == ([HEALTHY], 1)


async def test_a_loop_that_is_stuck_does_not_hold_the_probes_of_another() -> None:
    """They wait for what is left of the run's time, not for a timeout of their own."""
    entered, release = threading.Event(), threading.Event()

    async def ping() -> None:
        entered.set()
        release.wait()  # blocks its whole loop

    async def other() -> None:
        await ask(health)

    health = HealthRegistry(timeout=0.5)
    health.add("db", ping)
    with other_loop(other):
        assert entered.wait(timeout=5)
        await asyncio.sleep(0.4)
        result = await only(health)
        release.set()

    assert (result.status, result.code) == TIMED_OUT
    assert result.latency_ms < 800


async def test_a_loop_that_ends_leaves_the_callers_of_another_with_unknown() -> None:
    entered, joined = threading.Event(), threading.Event()

    async def ping() -> None:
        entered.set()
        await asyncio.Event().wait()

    async def other() -> None:
        await leave_hanging(health, entered.is_set)
        await asyncio.to_thread(joined.wait)

    health = HealthRegistry(timeout=5)
    health.add("db", ping)
    with other_loop(other):
        await asyncio.to_thread(entered.wait)
        probe = asyncio.create_task(health.ready())
        await several_steps()
        joined.set()
        report = await probe

    (result,) = report.checks
    assert (result.status, result.code) == (Status.UNKNOWN, "cancelled")
    assert (report.status, report.http_status) == (Status.UNKNOWN, 503)


async def test_a_caller_whose_loop_closed_early_is_not_waited_for() -> None:
    """The run goes on for the caller of the loop that is left."""
    entered, release = threading.Event(), asyncio.Event()

    async def ping() -> None:
        entered.set()
        await release.wait()

    async def other() -> None:
        await leave_hanging(health, entered.is_set)

    health = HealthRegistry(timeout=5)
    health.add("db", ping)
    probe = asyncio.create_task(ask(health))
    await several_steps()
    with other_loop(other):
        pass
    release.set()

    assert await probe == HEALTHY


def program(code: str) -> subprocess.CompletedProcess[str]:
    preamble = (
        "import asyncio, os, sys, threading\n"
        "from obskit.health import HealthRegistry\n"
        "health = HealthRegistry(timeout=0.1)\n"
    )
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", preamble + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_a_blocked_check_does_not_hold_the_exit_of_the_program() -> None:
    done = program(
        "health.add('db', threading.Event().wait)\n"
        "print(asyncio.run(health.ready()).checks[0].code)\n"
    )

    assert (done.stdout, done.returncode) == ("timeout\n", 0)
    assert done.stderr == "health check db is unhealthy (timeout)\n"


@pytest.mark.parametrize(
    "check",
    [
        "def check(): sys.exit(3)",
        "async def check(): sys.exit(3)",
        "async def later(): sys.exit(3)\ndef check(): return later()",
        "def check(): raise KeyboardInterrupt",
    ],
)
def test_a_check_that_leaves_the_program_fails_and_the_program_lives(check: str) -> None:
    done = program(
        f"{check}\n"
        "health.add('db', check)\n"
        "async def main():\n"
        "    return [(await health.ready()).checks[0].code for _ in range(2)]\n"
        "print(asyncio.run(main()))\n"
    )

    assert (done.stdout, done.returncode) == ("['error', 'error']\n", 0)
    assert done.stderr == "health check db is unhealthy (error)\n"


def test_a_fork_in_the_middle_of_a_probe_leaves_the_child_free_locks() -> None:
    """A clock and a name that wait stand for threads that the fork meets inside the locks."""
    done = program(
        "parent, inside, forked = os.getpid(), threading.Semaphore(0), threading.Event()\n"
        "def wait():\n"
        "    if os.getpid() == parent:\n"
        "        inside.release()\n"
        "        forked.wait()\n"
        "class Clock:\n"
        "    def monotonic(self):\n"
        "        if threading.current_thread().name == 'prober':\n"
        "            wait()\n"
        "        return 0.0\n"
        "class Name(str):\n"
        "    __hash__ = str.__hash__\n"
        "    def __eq__(self, other):\n"
        "        wait()\n"
        "        return str.__eq__(self, other)\n"
        "health = HealthRegistry(clock=Clock())\n"
        "health.add('db', lambda: None)\n"
        "probe = lambda: asyncio.run(health.ready())\n"
        "add = lambda: health.add(Name('db'), lambda: None)\n"
        "threading.excepthook = lambda args: None\n"
        "threads = [threading.Thread(target=probe, name='prober'), threading.Thread(target=add)]\n"
        "for thread in threads:\n"
        "    thread.start()\n"
        "    inside.acquire()\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    import faulthandler\n"
        "    faulthandler.dump_traceback_later(5, exit=True)\n"
        "    health.add('cache', lambda: None)\n"
        "    os._exit(len(probe().checks))\n"
        "status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "forked.set()\n"
        "print(status)\n"
    )

    assert (done.stdout, done.returncode) == ("2\n", 0), done.stderr


def test_a_fork_does_not_inherit_the_run_of_its_parent() -> None:
    """Python warns of forks with threads: the parent's thread is what the child must not await."""
    done = program(
        "parent = os.getpid()\n"
        "health.add('db', lambda: os.getpid() == parent and threading.Event().wait() or None)\n"
        "asyncio.run(health.ready())\n"
        "child = os.fork()\n"
        "status = asyncio.run(health.ready()).status\n"
        "if not child:\n"
        "    os._exit(0 if status == 'healthy' else 1)\n"
        "print(status, os.waitpid(child, 0)[1])\n"
    )

    assert (done.stdout, done.returncode) == ("unhealthy 0\n", 0)
