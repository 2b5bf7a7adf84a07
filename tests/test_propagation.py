"""The context across boundaries: headers in and out, threads, coroutines, processes."""

import asyncio
import concurrent.futures
import contextvars
import functools
import gc
import inspect
import multiprocessing
import pickle
import threading
import types
from collections.abc import AsyncGenerator, Generator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry import context as opentelemetry_context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from prometheus_client import CollectorRegistry
from tests.kits.carried import report

import obskit
from obskit._guard import guard
from obskit.context import current_context, is_valid_correlation_id
from obskit.errors import DeclarationError
from obskit.testing import Observed

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def _outside() -> Generator[None]:
    """Let no test see what another has bound for the main thread."""
    token = current_context.set(None)
    yield
    current_context.reset(token)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Request-ID": "c-1"},
        {"x-request-id": "c-1"},
        {"X-REQUEST-ID": "c-1", "X-Correlation-ID": "c-2"},
        {"x-correlation-id": "c-1"},
        {"X-Request-ID": "not valid", "X-Correlation-ID": "c-1"},
        [("X-Request-ID", "c-1")],
        [(b"x-request-id", b"c-1"), (b"x-request-id", b"c-2")],
        (pair for pair in [(b"Host", b"x"), (b"X-Correlation-Id", b"c-1")]),
    ],
)
def test_an_id_comes_in(headers: Any) -> None:
    """Mappings and pairs, text and bytes, in any case; the first valid one counts."""
    with obskit.extract(headers) as identifier:
        assert identifier == obskit.correlation_id() == "c-1"
    assert obskit.correlation_id() is None


@pytest.mark.parametrize(
    "headers",
    [{}, [], {"X-Request-ID": ""}, {"X-Request-ID": "a b"}, [(b"x-request-id", b"\xff\xfe")]],
)
def test_without_a_valid_id_there_is_a_new_one(headers: Any) -> None:
    with obskit.extract(headers) as first, obskit.extract(headers) as second:
        assert first != second
        assert is_valid_correlation_id(first)


def test_what_is_injected_is_extracted(observed: Observed) -> None:
    token = opentelemetry_context.attach(baggage.set_baggage("tenant", "acme"))
    with obskit.bound(correlation_id="c-1"), obskit.observe("client"):
        headers = obskit.inject({"Accept": "*/*"})
    opentelemetry_context.detach(token)
    assert headers["Accept"] == "*/*"
    assert headers["X-Request-ID"] == "c-1"
    with obskit.extract({name.upper(): headers[name] for name in headers}) as identifier:
        assert identifier == "c-1"
        assert baggage.get_all() == {"tenant": "acme"}
        with obskit.observe("server"):
            again = obskit.inject({})
    assert again["baggage"] == headers["baggage"] == "tenant=acme"
    assert observed.spans.tree() == {"client": {"server": {}}}
    assert baggage.get_all() == {}


def test_inject_returns_the_same_object_and_replaces() -> None:
    headers = {"X-Request-ID": "old"}
    with obskit.bound(correlation_id="c-1"):
        assert obskit.inject(headers) is headers
    assert headers == {"X-Request-ID": "c-1"}


def test_outside_of_everything_there_is_nothing_to_inject() -> None:
    assert obskit.inject({}) == {}


def test_a_remote_parent_is_continued(observed: Observed) -> None:
    with obskit.extract({"traceparent": PARENT, "tracestate": "vendor=x"}), obskit.observe("work"):
        headers = obskit.inject({})
    span = observed.spans.one("work")
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE_ID
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert headers["traceparent"] == f"00-{TRACE_ID}-{span.context.span_id:016x}-01"
    assert headers["tracestate"] == "vendor=x"


def test_a_trace_passes_through_where_tracing_is_off() -> None:
    with obskit.configure(tracing="off", logging="off", registry=CollectorRegistry()):
        with obskit.extract({"traceparent": PARENT}), obskit.observe("work"):
            assert obskit.inject({})["traceparent"] == PARENT
        assert "traceparent" not in obskit.inject({})


@pytest.mark.parametrize(
    "traceparent",
    ["", "00", "00-0-0-01", PARENT.replace("00-", "ff-"), PARENT + "-x", f"00-{'0' * 32}-b7ad-01"],
)
def test_a_malformed_parent_is_ignored(traceparent: str, observed: Observed) -> None:
    with obskit.extract({"traceparent": traceparent, "tracestate": "=,=", "baggage": "=;%"}):
        assert not trace.get_current_span().get_span_context().is_valid
        with obskit.observe("work"):
            pass
    assert observed.spans.one("work").parent is None


names = st.sampled_from(
    ["traceparent", "tracestate", "baggage", "X-Request-ID", "x-correlation-id", "Host"]
)
values = st.text(max_size=100) | st.sampled_from([PARENT, "a=1", "a=1;b=2,c", "vendor=x", "%%%"])


pairs = st.tuples(names, values) | st.tuples(names.map(str.encode), st.binary(max_size=100))


@given(st.lists(pairs, max_size=8))
def test_no_headers_whatever_do_harm(headers: list[tuple[Any, Any]]) -> None:
    before = opentelemetry_context.get_current()
    with obskit.extract(headers) as identifier:
        assert is_valid_correlation_id(identifier)
        assert obskit.inject({})["X-Request-ID"] == identifier
    assert opentelemetry_context.get_current() is before
    assert current_context.get() is None


def test_other_headers_can_be_configured() -> None:
    with (
        obskit.configure(
            correlation_headers=("X-Trace", "X-Other"), logging="off", registry=CollectorRegistry()
        ),
        obskit.extract({"x-other": "c-1", "X-Request-ID": "c-2"}),
    ):
        assert obskit.inject({}) == {"X-Trace": "c-1"}


def test_extract_begins_a_unit_of_its_own(observed: Observed) -> None:
    with obskit.bound(tenant="acme"), obskit.observe("consumer"):
        with obskit.extract({}):
            obskit.bind(message=1)
            assert obskit.current().name == ""
            obskit.get_logger("test").info("inside")
        obskit.get_logger("test").info("outside")
    assert "tenant" not in observed.logs.one(event="inside")
    assert "message" not in observed.logs.one(event="outside")


def test_extract_held_by_a_generator_and_closed_elsewhere_leaves_that_place_alone() -> None:
    def messages() -> Generator[int]:
        with obskit.extract({"X-Request-ID": "c-1", "traceparent": PARENT}):
            yield 1

    held = [messages()]
    contextvars.copy_context().run(next, held[0])
    token = opentelemetry_context.attach(baggage.set_baggage("place", "elsewhere"))
    with obskit.bound(correlation_id="c-2"):
        held.clear()
        gc.collect()
        assert obskit.correlation_id() == "c-2"
        assert baggage.get_all() == {"place": "elsewhere"}
    opentelemetry_context.detach(token)


def test_a_thread_gets_the_context_that_is_carried(observed: Observed) -> None:
    @obskit.observe("child")
    def child(number: int, *, factor: int) -> tuple[str | None, int]:
        """Multiply."""
        return obskit.correlation_id(), number * factor

    with concurrent.futures.ThreadPoolExecutor() as pool:
        with obskit.bound(correlation_id="c-1"), obskit.observe("parent"):
            carried = obskit.carry(child)
            done = pool.submit(carried, 3, factor=2).result()
        assert pool.submit(obskit.correlation_id).result() is None
    assert done == ("c-1", 6)
    assert carried.__name__ == "child"
    assert carried.__doc__ == "Multiply."
    assert observed.spans.tree() == {"parent": {"child": {}}}


def test_carried_work_may_run_many_times_at_once() -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> tuple[str | None, int]:
        barrier.wait(timeout=10)
        with obskit.bound(number=number):
            barrier.wait(timeout=10)
            context = current_context.get()
            assert context is not None
            return obskit.correlation_id(), context.fields["number"]

    with concurrent.futures.ThreadPoolExecutor(4) as pool, obskit.bound(correlation_id="c-1"):
        results = list(pool.map(obskit.carry(work), range(4)))
    assert results == [("c-1", number) for number in range(4)]


def test_carried_work_raises_what_the_work_raises() -> None:
    error = ValueError("x")

    def work() -> None:
        raise error

    with pytest.raises(ValueError, match="x") as caught:
        obskit.carry(work)()
    assert caught.value is error


def test_a_coroutine_on_another_loop_gets_the_context_that_is_carried() -> None:
    async def work(number: int) -> tuple[str | None, int]:
        await asyncio.sleep(0)
        return obskit.correlation_id(), number

    with obskit.bound(correlation_id="c-1"):
        carried = obskit.carry(work)
    assert asyncio.iscoroutinefunction(carried)

    async def main() -> list[tuple[str | None, int]]:
        results = list(await asyncio.gather(carried(1), carried(2)))
        assert obskit.correlation_id() is None
        return results

    with concurrent.futures.ThreadPoolExecutor() as pool:
        assert pool.submit(asyncio.run, main()).result() == [("c-1", 1), ("c-1", 2)]


@pytest.mark.anyio
async def test_a_carried_coroutine_can_be_cancelled() -> None:
    started = asyncio.Event()
    ended: list[str] = []

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    task = asyncio.create_task(obskit.carry(work)())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"]


def test_a_process_gets_ids_and_plain_fields(observed: Observed) -> None:
    class Local:
        def __str__(self) -> str:
            return "a local thing"

    parent = obskit.observe("parent")
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        with obskit.bound(correlation_id="c-1", tenant="acme", thing=Local()), parent:
            carried = obskit.carry(report, process=True)
            sent = obskit.inject({})
            there = pool.submit(carried, 1, two=2).result(timeout=60)
        bare = pool.submit(report).result(timeout=60)
    assert there["id"] == "c-1"
    assert there["fields"] == {
        "correlation_id": "c-1",
        "tenant": "acme",
        "thing": "a local thing",
    }
    assert there["headers"]["traceparent"] == sent["traceparent"]
    assert there["arguments"] == ((1,), {"two": 2})
    assert bare["id"] is None


def test_work_for_a_process_survives_pickle() -> None:
    with obskit.bound(correlation_id="c-1"):
        carried = pickle.loads(pickle.dumps(obskit.carry(report, process=True)))
    assert carried()["id"] == "c-1"
    assert obskit.correlation_id() is None


def test_outside_of_everything_a_process_begins_a_unit_of_its_own() -> None:
    there = obskit.carry(report, process=True)()
    assert is_valid_correlation_id(there["id"])


def test_an_id_is_carried_under_any_header() -> None:
    """The other process may be configured differently."""
    with (
        obskit.configure(
            correlation_headers=("X-Trace",), logging="off", registry=CollectorRegistry()
        ),
        obskit.bound(correlation_id="c-1"),
    ):
        carried = obskit.carry(report, process=True)
    assert carried()["id"] == "c-1"


@pytest.mark.parametrize("existing", ["x-request-id", "X-REQUEST-ID", "X-Request-ID"])
def test_inject_replaces_a_header_in_any_case(existing: str) -> None:
    with obskit.bound(correlation_id="c-1"):
        assert obskit.inject({existing: "old", "Accept": "*/*"}) == {
            "X-Request-ID": "c-1",
            "Accept": "*/*",
        }


@pytest.mark.parametrize("headers", [types.MappingProxyType({"a": "b"}), None, 5, ["a"]], ids=str)
def test_inject_into_something_else_is_counted(headers: Any) -> None:
    with guard.recording() as faults, obskit.bound(correlation_id="c-1"):
        assert obskit.inject(headers) is headers
    assert [site for site, _ in faults] == ["propagation.inject"]


@pytest.mark.parametrize("headers", [None, 5, [("a",)], [("a", "b", "c")], [3]], ids=str)
def test_extract_from_something_else_is_counted(headers: Any) -> None:
    with guard.recording() as faults, obskit.extract(headers) as identifier:
        assert is_valid_correlation_id(identifier)
        assert obskit.correlation_id() == identifier
    assert [site for site, _ in faults] == ["propagation.extract"]


def test_what_stands_before_a_malformed_pair_counts() -> None:
    headers: Any = [("X-Request-ID", "c-1"), ("half",)]
    with guard.recording(), obskit.extract(headers) as identifier:
        assert identifier == "c-1"


def test_trace_headers_that_cannot_be_read_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("propagator")

    monkeypatch.setattr(W3CBaggagePropagator, "extract", fail)
    with guard.recording() as faults, obskit.extract({"X-Request-ID": "c-1"}) as identifier:
        assert identifier == "c-1"
    assert [site for site, _ in faults] == ["propagation.extract"]


class Calling:
    async def __call__(self, number: int) -> tuple[str | None, int]:
        await anyio.lowlevel.checkpoint()
        return obskit.correlation_id(), number


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("work", [Calling(), functools.partial(Calling(), 1)], ids=str)
@pytest.mark.anyio
async def test_a_callable_with_a_coroutine_is_carried_under_every_loop(
    work: Any, anyio_backend: str
) -> None:
    with obskit.bound(correlation_id="c-1"):
        carried = obskit.carry(work)
    assert inspect.iscoroutinefunction(carried)
    assert await carried(*(() if isinstance(work, functools.partial) else (1,))) == ("c-1", 1)
    assert obskit.correlation_id() is None


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.anyio
async def test_carried_coroutines_wait_start_tasks_and_are_cancelled(anyio_backend: str) -> None:
    seen: list[str | None] = []

    async def child() -> None:
        seen.append(obskit.correlation_id())

    async def work() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child)
        await anyio.lowlevel.checkpoint()
        try:
            await anyio.sleep_forever()
        finally:
            seen.append(obskit.correlation_id())

    with obskit.bound(correlation_id="c-1"):
        carried = obskit.carry(work)
    with anyio.move_on_after(0.01) as scope:
        await carried()
    assert scope.cancelled_caught
    assert seen == ["c-1", "c-1"]


@pytest.mark.anyio
async def test_a_carried_coroutine_may_handle_what_it_waits_for() -> None:
    async def work() -> str | None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, KeyError("k"))
        with pytest.raises(KeyError):
            await future
        return obskit.correlation_id()

    with obskit.bound(correlation_id="c-1"):
        carried = obskit.carry(work)
    assert await carried() == "c-1"


def generates() -> Generator[int]:
    yield 1


async def generates_too() -> AsyncGenerator[int]:
    yield 1


@pytest.mark.parametrize("work", [generates, generates_too, functools.partial(generates)], ids=str)
@pytest.mark.parametrize("process", [True, False])
def test_generators_are_not_carried(work: Any, process: bool) -> None:
    """Their bodies run where they are consumed."""
    with pytest.raises(DeclarationError, match="carry a function that consumes"):
        obskit.carry(work, process=process)


@pytest.mark.parametrize("work", [dict, str.upper, len])
def test_classes_and_methods_are_carried(work: Any) -> None:
    assert obskit.carry(work)("ab" if work is not dict else []) == work(
        "ab" if work is not dict else []
    )
