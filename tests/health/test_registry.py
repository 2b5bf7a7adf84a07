"""Declaring checks, and how reports add up."""

import asyncio
import math
import string
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import FrozenInstanceError
from functools import partial, wraps

import pytest
from hypothesis import given
from hypothesis import strategies as st

import obskit.health
from obskit.clock import ManualClock
from obskit.errors import DeclarationError, DuplicateError
from obskit.health import CheckResult, HealthRegistry, HealthReport, Status

pytestmark = pytest.mark.anyio


def fine() -> None:
    """Nothing is wrong."""


def answering(value: object) -> Callable[[], Awaitable[object]]:
    async def check() -> object:
        return value

    return check


def test_the_surface_is_four_names_each_with_a_docstring() -> None:
    expected = ["CheckResult", "HealthRegistry", "HealthReport", "Status"]

    assert obskit.health.__all__ == expected
    assert all(getattr(obskit.health, name).__doc__ for name in expected)


def test_the_decorator_returns_the_function_unchanged() -> None:
    assert HealthRegistry().check("db")(fine) is fine


async def test_checks_are_ready_and_critical_unless_they_say_otherwise() -> None:
    health = HealthRegistry()
    health.add("db", answering(False))

    ready = await health.ready()

    assert [(c.name, c.status, c.critical) for c in ready.checks] == [
        ("db", Status.UNHEALTHY, True)
    ]
    assert (ready.status, ready.http_status) == (Status.UNHEALTHY, 503)


async def test_a_check_that_is_not_critical_degrades_and_keeps_the_traffic() -> None:
    health = HealthRegistry()
    health.add("db", answering(True))
    health.add("cache", answering(False), critical=False)

    ready = await health.ready()

    assert (ready.status, ready.http_status) == (Status.DEGRADED, 200)
    assert ready.status.serving


@given(
    st.lists(st.tuples(st.sampled_from(Status), st.booleans()), max_size=6),
)
def test_only_critical_checks_that_are_unhealthy_or_unknown_cost_the_traffic(
    outcomes: list[tuple[Status, bool]],
) -> None:
    health = HealthRegistry()
    for number, (status, critical) in enumerate(outcomes):
        health.add(f"c{number}", answering(status), critical=critical)

    ready, report = asyncio.run(_both(health))

    down = {status for status, critical in outcomes if critical} & {"unhealthy", "unknown"}
    assert ready.http_status == report.http_status == (503 if down else 200)
    assert ready.status == report.status
    assert (ready.status is Status.HEALTHY) == all(s is Status.HEALTHY for s, _ in outcomes)
    assert [check.status for check in ready.checks] == [status for status, _ in outcomes]


async def _both(health: HealthRegistry) -> tuple[HealthReport, HealthReport]:
    return await health.ready(), await health.report()


async def test_liveness_asks_nobody() -> None:
    calls: list[str] = []
    health = HealthRegistry(version="1.0.0")
    health.add("db", lambda: calls.append("db"))

    live = await health.live()

    assert (live.status, live.http_status, live.checks) == (Status.HEALTHY, 200, ())
    assert live.version == "1.0.0"
    assert calls == []


@pytest.mark.parametrize(("probes", "asked"), [("ready", 1), (["ready"], 1), ((), 0)])
async def test_the_health_probe_runs_every_check_and_readiness_those_that_want_it(
    probes: list[str], asked: int
) -> None:
    health = HealthRegistry()
    health.check("db", probes=probes)(fine)

    assert len((await health.ready()).checks) == asked
    assert len((await health.report()).checks) == 1


async def test_an_empty_registry_is_healthy() -> None:
    ready = await HealthRegistry().ready()

    assert (ready.status, ready.http_status, ready.checks) == (Status.HEALTHY, 200, ())


async def test_uptime_follows_the_monotonic_clock_alone() -> None:
    clock = ManualClock()
    health = HealthRegistry(clock=clock)
    clock.advance(90)
    clock.step(-3600)

    assert (await health.live()).uptime_seconds == 90


async def test_latency_is_the_time_of_the_run_in_milliseconds() -> None:
    clock = ManualClock()
    health = HealthRegistry(clock=clock)
    health.add("db", lambda: clock.advance(0.25))

    (result,) = (await health.ready()).checks

    assert result.latency_ms == pytest.approx(250)


async def test_checks_run_in_parallel_and_answer_in_the_order_of_registration() -> None:
    """Each check waits for the other: one after the other they would both time out."""
    health = HealthRegistry(timeout=5)
    meeting, threads = asyncio.Barrier(2), threading.Barrier(2)
    health.add("b", meeting.wait)
    health.add("d", threads.wait)
    health.add("a", meeting.wait)
    health.add("c", threads.wait)

    report = await health.report()

    assert [check.name for check in report.checks] == ["b", "d", "a", "c"]
    assert not any(check.code for check in report.checks)


class Client:
    """Tells whether it runs on the loop's thread."""

    def __init__(self) -> None:
        self._thread = threading.current_thread()

    async def ping(self) -> bool:
        return threading.current_thread() is self._thread

    __call__ = ping

    def plain(self) -> bool:
        return threading.current_thread().daemon

    def plain_returning_an_awaitable(self) -> Awaitable[bool]:
        return self.ping()


@pytest.mark.parametrize(
    ("kind", "on_thread"),
    [
        (lambda client: client.ping, False),
        (lambda client: partial(Client.ping, client), False),
        (lambda client: client, False),
        (lambda client: client.plain, True),
        (lambda client: client.plain_returning_an_awaitable, True),
    ],
    ids=["method", "partial", "object", "plain", "plain returning an awaitable"],
)
async def test_coroutine_functions_need_no_thread_and_all_else_is_called_on_a_daemon_thread(
    kind: Callable[[Client], Callable[[], object]], on_thread: bool, seen_threads: set[str]
) -> None:
    """Awaitables are awaited on the loop wherever they come from."""
    health = HealthRegistry()
    health.add("db", kind(Client()))

    assert (await health.ready()).status is Status.HEALTHY
    assert ("obskit-health-db" in seen_threads) == on_thread


@pytest.fixture
def seen_threads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the threads that were started."""
    names: set[str] = set()
    start = threading.Thread.start

    def remember_and_start(thread: threading.Thread) -> None:
        names.add(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", remember_and_start)
    return names


def test_the_same_name_twice_is_refused_until_the_first_is_removed() -> None:
    health = HealthRegistry()
    health.add("db", fine)

    with pytest.raises(DuplicateError, match="'db' exists"):
        health.add("db", fine)
    health.remove("db")
    health.add("db", fine)


async def test_a_removed_check_is_no_longer_asked() -> None:
    health = HealthRegistry()
    health.add("db", answering(False))
    health.add("cache", answering(True))

    health.remove("db")

    assert [check.name for check in (await health.report()).checks] == ["cache"]


def test_removing_what_is_not_there_names_what_is() -> None:
    health = HealthRegistry()
    with pytest.raises(DeclarationError, match="known are: none"):
        health.remove("db")
    health.add("cache", fine)

    with pytest.raises(DeclarationError, match="no check 'db' to remove; known are: cache"):
        health.remove("db")


@given(st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=128))
def test_names_of_letters_digits_and_three_signs_are_taken(name: str) -> None:
    HealthRegistry().add(name, fine)


@pytest.mark.parametrize("name", [fine, None, 5, b"db"])
def test_a_name_that_is_no_text_is_refused_before_anything_is_decorated(name: str) -> None:
    with pytest.raises(DeclarationError, match=r"the name comes first, as in @health\.check"):
        HealthRegistry().check(name)
    with pytest.raises(DeclarationError, match="the name comes first"):
        HealthRegistry().add(name, fine)


@pytest.mark.parametrize("name", ["", "a b", "a\n", 'a"', "ü", "a" * 129])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match="invalid check name"):
        HealthRegistry().check(name)(fine)


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, 10**400, "2", True])
def test_a_timeout_is_a_positive_finite_number(timeout: float) -> None:
    with pytest.raises(DeclarationError, match="check 'db' has timeout"):
        HealthRegistry().add("db", fine, timeout=timeout)
    with pytest.raises(DeclarationError, match="registry has timeout"):
        HealthRegistry(timeout=timeout)


def test_the_result_of_a_function_is_no_check() -> None:
    with pytest.raises(DeclarationError, match="check 'db' is a NoneType: give the function"):
        HealthRegistry().add("db", fine())  # type: ignore[func-returns-value, arg-type]  # the mistake under test


@pytest.mark.parametrize("probe", ["live", "startup"])
def test_a_probe_that_asks_no_dependency_is_refused(probe: str) -> None:
    with pytest.raises(DeclarationError, match=f"cannot answer '{probe}'"):
        HealthRegistry().add("db", fine, probes=["ready", probe])


@pytest.mark.parametrize("probes", [5, None, [["ready"]]])
def test_probes_that_are_no_names_are_refused(probes: list[str]) -> None:
    with pytest.raises(DeclarationError, match=r"check 'db' has probes .*: use 'ready', or \(\)"):
        HealthRegistry().check("db", probes=probes)(fine)


@pytest.mark.parametrize("critical", ["no", 0, None])
def test_critical_is_true_or_false(critical: bool) -> None:
    with pytest.raises(DeclarationError, match=r"check 'db' has critical .*: use True or False"):
        HealthRegistry().add("db", fine, critical=critical)


@pytest.mark.parametrize("version", [5, 1.2, b"1"])
def test_the_version_is_a_text(version: str) -> None:
    with pytest.raises(DeclarationError, match=r"registry has version .*: use a text"):
        HealthRegistry(version=version)


def generated() -> Iterator[None]:
    yield


async def generated_by_steps() -> AsyncIterator[None]:
    yield


class Generated:
    """An object whose call is a generator."""

    def __call__(self) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    "function", [generated, generated_by_steps, partial(generated), Generated()]
)
def test_a_generator_is_no_check_since_a_call_does_not_run_it(
    function: Callable[[], object],
) -> None:
    with pytest.raises(DeclarationError, match=r"check 'db' is a generator.* return instead"):
        HealthRegistry().add("db", function)


@pytest.mark.parametrize(
    "function", [lambda pool: pool, Client.plain, partial(lambda pool, key: pool, 1)]
)
def test_a_function_that_needs_arguments_is_no_check(function: Callable[[], object]) -> None:
    with pytest.raises(DeclarationError, match=r"'db' takes (pool|self|key), but .*partial"):
        HealthRegistry().add("db", function)


def test_functions_that_can_do_without_arguments_are_taken() -> None:
    """Also a wrapper that brings the argument, and a builtin that does not say what it takes."""

    @wraps(Client.plain)
    def wrapper(*args: object) -> bool:
        return Client.plain(Client())

    health = HealthRegistry()
    health.add("optional", lambda *a, b=1, **c: None)
    health.add("wrapper", wrapper)
    health.add("builtin", dict)
    health.add("method", Client().plain)


def test_results_and_reports_cannot_be_changed() -> None:
    result = CheckResult("db", Status.HEALTHY)
    report = HealthReport(Status.HEALTHY, (result,), None, 0.0, 200)

    with pytest.raises(FrozenInstanceError):
        result.status = Status.UNHEALTHY  # type: ignore[misc]  # the mistake under test
    with pytest.raises(FrozenInstanceError):
        report.http_status = 503  # type: ignore[misc]  # the mistake under test
