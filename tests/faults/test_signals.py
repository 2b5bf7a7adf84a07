"""Signal handlers that record, and ones that raise, in the middle of recording."""

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.kits.programs import run_to_its_end
from tests.kits.strikes import strikes

import obskit
from obskit.context import current_context
from obskit.metrics import BATCH, default_engine
from obskit.runtime import active_runtime

RECORDING_HANDLER = """
    import signal, time
    import obskit
    from prometheus_client import REGISTRY
    from obskit.metrics import Counter, Histogram, default_engine
    from obskit.runtime import active_runtime

    obskit.configure(service="x", logging="off")
    orders = Counter("orders", "Orders.")
    sizes = Histogram("sizes", "Sizes.")
    calls = handled = within_folds = 0

    @obskit.observe("work")
    def work():
        orders.inc()
        sizes.observe(1)

    @obskit.observe("items")
    def items():
        yield 1

    def record():
        work()
        list(items())
        orders.inc(2)
        with obskit.observe("block"):
            pass

    def handler(*_):
        global handled, within_folds
        handled += 1
        within_folds += default_engine._folding
        record()
        default_engine.drain()
        obskit.in_flight()

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    deadline = time.monotonic() + 20
    while (handled < 3_000 or not within_folds) and time.monotonic() < deadline:
        record()
        calls += 1
    signal.setitimer(signal.ITIMER_REAL, 0)

    def value(name, **labels):
        return REGISTRY.get_sample_value(name, labels)

    def ended(operation):
        return value("operations_total", operation=operation, outcome="ok", error_type="")

    def timed(operation):
        return value("operation_duration_seconds_count", operation=operation, outcome="ok")

    assert handled >= 3_000 and within_folds, (handled, within_folds)
    everything = calls + handled
    assert value("orders_total") == 3 * everything
    assert value("sizes_count") == everything
    for operation in ("work", "items", "block"):
        assert ended(operation) == timed(operation) == everything, operation
    assert not active_runtime().store.in_flight
    assert default_engine.dropped_observations == {"overflow": 0, "refused": 0}
"""

RAISING_HANDLER = """
    import contextvars, signal, threading
    import obskit
    from prometheus_client import REGISTRY
    from obskit.runtime import active_runtime

    obskit.configure(service="x", logging="off")
    obskit.control.disable("*", signals={"log"})

    class TimeLimit(Exception):
        pass

    def handler(*_):
        raise TimeLimit

    @obskit.observe("work")
    def work():
        return 1

    @obskit.observe("reading")
    def reading():
        return 1

    calls = strikes = running = current = 0
    signal.signal(signal.SIGALRM, handler)

    def be_struck():
        global calls, strikes, running, current
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0003)
            while True:
                work()
                calls += 1
        except TimeLimit:
            strikes += 1
        current += obskit.current().name != ""
        running += len(active_runtime().store.in_flight)
        active_runtime().store.in_flight.clear()

    while strikes < 4_000:
        contextvars.Context().run(be_struck)

    def value(name, operation):
        labels = {"operation": operation, "outcome": "ok"}
        if name == "operations_total":
            labels["error_type"] = ""
        return REGISTRY.get_sample_value(name, labels)

    def read_elsewhere():
        reading()
        seen.append(value("operations_total", "reading"))

    seen = []
    reader = threading.Thread(target=read_elsewhere)
    reader.start()
    reader.join()
    ended, timed = value("operations_total", "work"), value(
        "operation_duration_seconds_count", "work"
    )
    print(*map(int, (calls, strikes, running, current, seen[0] or 0, ended, timed)))
"""


def test_a_handler_may_record_into_what_is_being_folded() -> None:
    """3,000 times, each 0.3 ms after the one before: no deadlock, and exact totals."""
    assert run_to_its_end(RECORDING_HANDLER) == ""


@pytest.fixture(scope="module")
def struck() -> dict[str, int]:
    """What 4,000 exceptions raised by a handler into decorated calls have left behind."""
    names = ("calls", "strikes", "running", "current", "seen_elsewhere", "ended", "timed")
    return dict(zip(names, map(int, run_to_its_end(RAISING_HANDLER).split()), strict=True))


def test_what_a_handler_raises_leaves_nothing_in_flight(struck: dict[str, int]) -> None:
    assert struck["running"] == 0


def test_what_a_handler_raises_leaves_nothing_current(struck: dict[str, int]) -> None:
    assert struck["current"] == 0


def test_what_a_handler_raises_leaves_folding_to_the_other_threads(struck: dict[str, int]) -> None:
    """The lock is given back, or no other thread would fold or read ever again."""
    assert struck["seen_elsewhere"] == 1


def test_what_a_handler_raises_into_a_fold_loses_no_more_than_its_own_call(
    struck: dict[str, int],
) -> None:
    lost = struck["calls"] - struck["ended"]
    assert -struck["strikes"] <= lost <= struck["strikes"]
    assert abs(struck["ended"] - struck["timed"]) <= struck["strikes"]


Call = Callable[[], Any]


def declared(kind: str) -> Call:
    """Return a decorated call that goes one of the ways through the code."""
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "labelled": {"labels": {"kind": obskit.arg("kind")}},
        "attributes": {"attributes": {"kind": obskit.arg("kind")}},
        "slow": {"slow": 0.0},
        "predicate": {"outcome": lambda result, error: None},
        "failing": {},
    }

    @obskit.observe(kind, **options[kind])
    def work(kind: str) -> str:
        if kind == "failing":
            raise LookupError
        return kind

    def call() -> None:
        with suppress(LookupError):
            work(kind)

    return call


FAST = ("plain", "labelled", "attributes")
OTHERS = ("slow", "predicate", "failing")


@pytest.fixture(params=[*FAST, *OTHERS])
def call(request: pytest.FixtureRequest) -> Generator[Call]:
    with (
        obskit.configure(registry=CollectorRegistry(), logging="off"),
        obskit.control.disable("*", signals={"log"}),
    ):
        call = declared(request.param)
        call()
        yield call
    default_engine.drain()


def fill_a_batch(call: Call) -> None:
    default_engine.drain()
    call()
    durations = default_engine.durations
    durations += durations[:1] * (BATCH - len(durations))


def nothing() -> None:
    """Prepare nothing."""


@pytest.mark.parametrize("full", [False, True], ids=["room", "full batch"])
def test_a_strike_anywhere_reaches_the_host_and_leaves_nothing(call: Call, full: bool) -> None:
    """An exception at each of the places where CPython runs signal handlers, one after another."""
    store = active_runtime().store
    left: list[str] = []
    prepare = (lambda: fill_a_batch(call)) if full else default_engine.drain
    for place in strikes(call, prepare):
        if store.in_flight:
            left.append(f"in flight after {place}")
            store.in_flight.clear()
        if current_context.get() is not None:
            left.append(f"current after {place}")
            current_context.set(None)
        while default_engine._lock._is_owned():  # type: ignore[attr-defined] # RLock has it since 2.x
            left.append(f"locked after {place}")
            default_engine._lock.release()
    assert left == []
