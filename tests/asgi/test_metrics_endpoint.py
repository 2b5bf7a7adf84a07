"""Pages are rendered on a thread, and shared by those who wait for the same one."""

import asyncio
import gzip
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio
from prometheus_client import CollectorRegistry
from tests.kits.gate import Gate

from obskit._guard import guard
from obskit.asgi import metrics_app
from obskit.metrics import Counter, render

pytestmark = pytest.mark.anyio

Application = Callable[..., Any]

GZIP = ((b"accept-encoding", b"gzip"),)
OPENMETRICS = ((b"accept", b"application/openmetrics-text; version=1.0.0"),)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A collector that is closed; a test that fails does not leave its thread waiting."""
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def app(gate: Gate) -> Application:
    return metrics_app(with_collector(gate))


def with_collector(collector: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


class Scrape:
    """A request and what came of it."""

    def __init__(self, app: Application, **given: Any) -> None:
        self._app = app
        self._given = given
        self.sent: list[dict[str, Any]] = []

    async def run(self) -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/metrics",
            "query_string": b"",
            "headers": [],
            **self._given,
        }
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    @property
    def is_answered(self) -> bool:
        return len(self.sent) > 1 and not self.sent[-1].get("more_body")

    @property
    def body(self) -> bytes:
        assert self.is_answered
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def page(self) -> int:
        """The number that a `Gate` shows."""
        body = gzip.decompress(self.body) if self.body[:2] == b"\x1f\x8b" else self.body
        (line,) = [line for line in body.splitlines() if line.startswith(b"page ")]
        return int(float(line.split()[1]))


async def rendering(gate: Gate) -> None:
    """Wait until a page is being rendered and every task has asked for its own."""
    assert await anyio.to_thread.run_sync(gate.begun.wait, 10)
    await anyio.wait_all_tasks_blocked()


async def test_those_who_ask_while_a_page_is_rendered_share_the_next(
    app: Application, gate: Gate
) -> None:
    """Nobody gets a page that was begun before the request."""
    first, others = Scrape(app), [Scrape(app) for _ in range(49)]
    async with anyio.create_task_group() as group:
        group.start_soon(first.run)
        await rendering(gate)
        for other in others:
            group.start_soon(other.run)
        await rendering(gate)
        gate.open.set()
    assert first.page == 1
    assert {other.page for other in others} == {2}
    assert gate.pages == 2


async def test_a_page_is_not_kept(app: Application, gate: Gate) -> None:
    gate.open.set()
    scrapes = [Scrape(app) for _ in range(3)]
    for scrape in scrapes:
        await scrape.run()
    assert [scrape.page for scrape in scrapes] == [1, 2, 3]


async def test_other_pages_are_rendered_one_after_the_other(app: Application, gate: Gate) -> None:
    """Each in its format, with its names, of its registry."""
    other_gate = Gate()
    kinds: list[dict[str, Any]] = [
        {},
        {"headers": GZIP},
        {"headers": OPENMETRICS},
        {"query_string": b"name[]=page"},
        {"query_string": b"name[]=other"},
    ]
    scrapes = [Scrape(app, **kind) for kind in kinds]
    elsewhere = Scrape(metrics_app(with_collector(other_gate)))
    async with anyio.create_task_group() as group:
        group.start_soon(Scrape(app).run)
        await rendering(gate)
        for scrape in [*scrapes, elsewhere]:
            group.start_soon(scrape.run)
        await rendering(gate)
        assert not other_gate.begun.is_set()
        other_gate.open.set()
        gate.open.set()
    assert len({scrape.page for scrape in scrapes[:4]}) == 4
    assert gate.pages == 6
    assert scrapes[2].body.endswith(b"# EOF\n")
    assert scrapes[4].body == b""
    assert (elsewhere.page, gate.most_at_once) == (1, 1)


async def test_one_who_leaves_breaks_nothing(app: Application, gate: Gate) -> None:
    stayed = [Scrape(app) for _ in range(3)]
    left = [Scrape(app) for _ in range(3)]
    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(left[0].run)  # the page in rendering is its own
            await rendering(gate)
            for scrape in left[1:]:
                leaving.start_soon(scrape.run)
            for scrape in stayed:
                group.start_soon(scrape.run)
            await rendering(gate)
            leaving.cancel_scope.cancel()
        gate.open.set()
    assert [scrape.sent for scrape in left] == [[], [], []]
    assert [scrape.page for scrape in stayed] == [2, 2, 2]


async def test_a_client_that_goes_breaks_nothing(app: Application, gate: Gate) -> None:
    gone, stayed = Scrape(app), Scrape(app)

    async def fail(message: dict[str, Any]) -> None:
        raise ConnectionResetError

    gone._send = fail  # type: ignore[method-assign] # what servers do once the client has gone
    gate.open.set()
    async with anyio.create_task_group() as group:
        group.start_soon(gone.run)
        group.start_soon(stayed.run)
    assert stayed.status == 200


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
async def test_a_rendering_that_ends_badly_is_a_500_for_those_who_share_it(
    kind: type[BaseException],
) -> None:
    failing = [True]

    def fail() -> None:
        if failing[0]:
            raise kind("5432 hunter2")

    gate = Gate(fail)
    app = metrics_app(with_collector(gate))
    first, others = Scrape(app), [Scrape(app) for _ in range(5)]
    with guard.recording() as faults:
        async with anyio.create_task_group() as group:
            group.start_soon(first.run)
            await rendering(gate)
            for other in others:
                group.start_soon(other.run)
            await rendering(gate)
            gate.open.set()
    assert [scrape.status for scrape in (first, *others)] == [500] * 6
    assert b"hunter2" not in first.body
    assert [(site, type(error)) for site, error in faults] == [("metrics.scrape", kind)] * 2
    failing[0] = False
    after = Scrape(app)
    await after.run()
    assert after.page == 3


async def test_a_registry_that_fails_is_a_500() -> None:
    class Broken(CollectorRegistry):
        def restricted_registry(self, names: Any) -> Any:
            raise LookupError

    scrape = Scrape(metrics_app(Broken()))
    with guard.recording() as faults:
        await scrape.run()
    assert (scrape.status, [site for site, _ in faults]) == (500, ["metrics.scrape"])


def _until_no_thread_renders() -> None:
    """Wait for the thread of the test before to find that it has nothing to do."""
    for thread in threading.enumerate():
        if thread.name == "obskit-metrics":
            thread.join(10)
            assert not thread.is_alive()


async def test_without_a_thread_to_spare_it_is_a_500_and_the_next_may_be_a_page(
    app: Application, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    gate.open.set()
    _until_no_thread_renders()
    refused, after = Scrape(app), Scrape(app)
    with monkeypatch.context() as patch, guard.recording() as faults:
        patch.setattr(threading.Thread, "start", refuse)
        await refused.run()
    assert (refused.status, [site for site, _ in faults]) == (500, ["metrics.scrape"])
    await after.run()
    assert after.page == 1


def large() -> CollectorRegistry:
    registry = CollectorRegistry()
    family = Counter("large", "Large.", ["number"], registry=registry, max_series=20_000)
    for number in range(20_000):
        family.labels(str(number)).inc(number)
    return registry


async def test_a_large_page_is_sent_in_parts_and_others_run_in_between() -> None:
    registry = large()
    scrape = Scrape(metrics_app(registry))
    seen: set[int] = set()

    async def watch() -> None:
        while not scrape.is_answered:
            seen.add(len(scrape.sent))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        group.start_soon(scrape.run)
    parts = [len(message["body"]) for message in scrape.sent[1:]]
    assert scrape.body == render(registry)[0]
    assert len(parts) > 20
    assert max(parts) <= 65_536
    assert (b"content-length", str(sum(parts)).encode()) in scrape.sent[0]["headers"]
    assert len(seen) > len(parts) / 4


async def test_a_large_page_is_compressed_in_parts() -> None:
    registry = large()
    scrape = Scrape(metrics_app(registry), headers=GZIP)
    await scrape.run()
    assert gzip.decompress(scrape.body) == render(registry)[0]
    assert len(scrape.sent) > 2


@pytest.mark.parametrize("headers", [(), GZIP])
async def test_the_loop_goes_on_while_fifty_scrape(headers: Any) -> None:
    """On the loop, they would take seconds; the limit leaves room for a busy machine."""
    app = metrics_app(large())
    scrapes = [Scrape(app, headers=headers) for _ in range(50)]
    pauses: list[float] = []

    async def beat() -> None:
        while True:
            before = time.perf_counter()
            await anyio.sleep(0.001)
            pauses.append(time.perf_counter() - before)

    async with anyio.create_task_group() as outer:
        outer.start_soon(beat)
        async with anyio.create_task_group() as group:
            for scrape in scrapes:
                group.start_soon(scrape.run)
        outer.cancel_scope.cancel()
    assert {scrape.status for scrape in scrapes} == {200}
    assert len(pauses) > 5
    assert max(pauses) < 0.5


async def test_loops_of_two_threads_scrape_at_the_same_time(app: Application, gate: Gate) -> None:
    scrapes = [[Scrape(app) for _ in range(10)] for _ in range(2)]

    async def all_of(own: list[Scrape]) -> None:
        async with anyio.create_task_group() as group:
            for scrape in own:
                group.start_soon(scrape.run)

    runs: list[Callable[[], Any]] = [
        partial(asyncio.run, all_of(scrapes[0])),
        partial(trio.run, all_of, scrapes[1]),
    ]
    async with anyio.create_task_group() as group:
        for run in runs:
            group.start_soon(anyio.to_thread.run_sync, run)
        await rendering(gate)
        gate.open.set()
    pages = {scrape.page for own in scrapes for scrape in own}
    assert pages == set(range(1, gate.pages + 1))


@pytest.mark.parametrize("knows_trio", [True, False])
def test_a_loop_that_is_not_known_waits(
    app: Application, gate: Gate, knows_trio: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not knows_trio:
        monkeypatch.delitem(sys.modules, "trio")
    gate.open.set()
    scrape = Scrape(app)
    with pytest.raises(StopIteration):
        scrape.run().send(None)
    assert scrape.page == 1


def test_a_large_page_on_a_loop_that_is_not_known() -> None:
    registry = large()
    scrape = Scrape(metrics_app(registry))
    with pytest.raises(StopIteration):
        scrape.run().send(None)
    assert scrape.body == render(registry)[0]


def test_a_loop_that_is_closed_while_a_page_is_rendered(
    app: Application, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(Scrape(app).run())
    loop.run_until_complete(asyncio.wait({waiting}, timeout=0.01))
    assert gate.begun.wait(10)
    waiting._log_destroy_pending = False  # type: ignore[attr-defined] # it is left on purpose
    loop.close()
    after = Scrape(app)
    with caplog.at_level(logging.DEBUG):
        gate.open.set()
        asyncio.run(after.run())
    assert after.page == 2
    assert [record for record in caplog.records if record.name == "concurrent.futures"] == []


def test_trio_as_the_guest_of_asyncio(app: Application, gate: Gate) -> None:
    scrape = Scrape(app)
    gate.open.set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        trio.lowlevel.start_guest_run(
            scrape.run,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=done.set_result,
        )
        (await done).unwrap()
        await Scrape(app).run()

    asyncio.run(main())
    assert (scrape.page, gate.pages) == (1, 2)
