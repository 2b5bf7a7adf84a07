"""What a check's result or exception means, for every kind of check."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from functools import partial
from typing import Any

import pytest

from obskit.health import CheckResult, HealthRegistry, Status, _shapes

pytestmark = pytest.mark.anyio

SECRET = "postgres://admin:hunter2@db"

Outcome = Callable[[], object]


class Deferred:
    """An awaitable that is no coroutine, as several drivers return."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def __await__(self) -> Generator[Any, Any, object]:
        yield from asyncio.sleep(0).__await__()
        return self._outcome()


async def run(outcome: Outcome) -> object:
    await asyncio.sleep(0)
    return outcome()


async def forgotten(outcome: Outcome) -> Awaitable[object]:
    return run(outcome)


KINDS: dict[str, Callable[[Outcome], Outcome]] = {
    "plain": lambda outcome: outcome,
    "async": lambda outcome: partial(run, outcome),
    "returns a coroutine": lambda outcome: lambda: run(outcome),
    "returns an awaitable": lambda outcome: lambda: Deferred(outcome),
    "forgets an await": lambda outcome: partial(forgotten, outcome),
    "forgets an await on a thread": lambda outcome: lambda: forgotten(outcome),
}
kinds = pytest.mark.parametrize("kind", KINDS)


async def result_of(kind: str, outcome: Outcome) -> CheckResult:
    health = HealthRegistry(timeout=5)
    health.add("db", KINDS[kind](outcome))
    (result,) = (await health.ready()).checks
    return result


def raising(error: BaseException) -> Outcome:
    def outcome() -> object:
        raise error

    return outcome


@kinds
@pytest.mark.parametrize(
    ("value", "status"),
    [
        (None, Status.HEALTHY),
        (True, Status.HEALTHY),
        (False, Status.UNHEALTHY),
        (0, Status.UNHEALTHY),
        ([], Status.UNHEALTHY),
        ("", Status.UNHEALTHY),
        *((status, status) for status in Status),
        *((status.value, status) for status in Status),
    ],
)
async def test_a_result_says_how_the_dependency_is(
    kind: str, value: object, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    result = await result_of(kind, lambda: value)

    assert (result.status, result.code) == (status, None)
    assert "taken as healthy" not in caplog.text


@kinds
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(SECRET), "timeout"),
        (ConnectionRefusedError(SECRET), "refused"),
        (socket.gaierror(SECRET), "dns"),
        (PermissionError(SECRET), "auth"),
        (ConnectionResetError(SECRET), "error"),
        (ValueError(SECRET), "error"),
        (StopIteration(SECRET), "error"),
        (asyncio.CancelledError(SECRET), "error"),
        (SystemExit(SECRET), "error"),
        (GeneratorExit(SECRET), "error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
async def test_an_exception_is_a_code_and_its_text_goes_nowhere(
    kind: str, error: BaseException, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    health = HealthRegistry()
    health.add("db", KINDS[kind](raising(error)))

    report = await health.report()

    (result,) = report.checks
    assert (result.status, result.code) == (Status.UNHEALTHY, code)
    seen = json.dumps([_shapes.full(report), _shapes.ready(report)]) + repr(report)
    logged = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert "hunter2" not in seen + logged


@pytest.mark.parametrize("explicit", [True, False])
async def test_the_code_of_a_wrapped_error_is_that_of_the_system(explicit: bool) -> None:
    """Drivers wrap the errors of the system in their own, with ``from`` or without."""

    def wrapped() -> None:
        try:
            raise ConnectionRefusedError  # noqa: TRY301 - what a driver catches from the system
        except ConnectionRefusedError as error:
            if explicit:
                raise RuntimeError from error
            raise RuntimeError  # noqa: B904 - what several drivers do

    assert (await result_of("plain", wrapped)).code == "refused"


async def test_a_cause_that_was_cut_off_gives_no_code() -> None:
    def wrapped() -> None:
        try:
            raise ConnectionRefusedError  # noqa: TRY301 - what a driver catches from the system
        except ConnectionRefusedError:
            raise RuntimeError from None

    assert (await result_of("plain", wrapped)).code == "error"


async def test_a_circle_of_causes_ends() -> None:
    first, second = RuntimeError(), RuntimeError()
    first.__cause__, second.__cause__ = second, first

    assert (await result_of("plain", raising(first))).code == "error"


async def test_a_result_without_a_truth_value_is_an_error() -> None:
    class Array:
        def __bool__(self) -> bool:
            raise ValueError(SECRET)

    result = await result_of("async", Array)

    assert (result.status, result.code) == (Status.UNHEALTHY, "error")


async def test_an_awaitable_that_gives_itself_does_not_hold_the_loop() -> None:
    """A pool of asyncpg is one: awaiting it gives the pool."""

    class Pool:
        def __await__(self) -> Generator[Any, Any, object]:
            yield from asyncio.sleep(0).__await__()
            return self

    assert (await result_of("plain", Pool)).status is Status.HEALTHY


@kinds
async def test_another_true_result_is_healthy_with_one_warning(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    health = HealthRegistry()
    health.add("db", KINDS[kind](lambda: [SECRET]))

    statuses = [(await health.ready()).status for _ in range(3)]

    assert statuses == [Status.HEALTHY] * 3
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert warnings == [
        "health check db returned a list, taken as healthy: return None, a bool or a Status"
    ]


@pytest.mark.parametrize("kind", ["async", "returns a coroutine"])
def test_ctrl_c_that_meets_the_event_loop_in_a_check_belongs_to_the_host(kind: str) -> None:
    health = HealthRegistry()
    health.add("db", KINDS[kind](raising(KeyboardInterrupt())))

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(health.ready())


async def test_ctrl_c_that_a_check_raises_on_its_own_thread_fails_it() -> None:
    result = await result_of("plain", raising(KeyboardInterrupt()))

    assert (result.status, result.code) == (Status.UNHEALTHY, "error")


def generated() -> Generator[None]:
    yield


async def generated_by_steps() -> AsyncGenerator[None]:
    yield


@kinds
@pytest.mark.parametrize(
    ("value", "name"), [(generated(), "generator"), (generated_by_steps(), "async_generator")]
)
async def test_a_generator_is_unhealthy_with_one_warning_since_its_body_never_ran(
    kind: str, value: object, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    health = HealthRegistry()
    health.add("db", KINDS[kind](lambda: value))

    statuses = [(await health.ready()).status for _ in range(3)]

    assert statuses == [Status.UNHEALTHY] * 3
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert warnings == [
        f"health check db returned a {name}, taken as unhealthy: return None, a bool or a Status",
        "health check db is unhealthy",
    ]
