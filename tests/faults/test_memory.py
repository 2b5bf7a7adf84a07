"""No memory, no stack: what the bare call would have done is what happens."""

import functools
import sys
from collections.abc import Callable, Generator
from typing import Any, NoReturn

import pytest
from prometheus_client import CollectorRegistry
from tests.kits.programs import run, run_to_its_end

import obskit
from obskit._guard import guard
from obskit.clock import ManualClock
from obskit.context import current_context
from obskit.metrics import BATCH, default_engine
from obskit.runtime import active_runtime
from obskit.testing import observing

SHORTAGES = (MemoryError, RecursionError)


class HostError(Exception):
    """What a decorated function raises."""


class Short:
    """A label's value for whose text there is no memory, or no stack."""

    def __init__(self, shortage: type[Exception]) -> None:
        self._shortage = shortage

    def __str__(self) -> str:
        raise self._shortage


class ShortClock(ManualClock):
    """A clock that fails when it is asked for the so-manieth time."""

    def __init__(self, shortage: type[Exception], failing: int) -> None:
        super().__init__()
        self._shortage = shortage
        self._left = failing

    def monotonic(self) -> float:
        self._left -= 1
        if self._left == 0:
            raise self._shortage
        return super().monotonic()


@pytest.fixture
def _metrics() -> Generator[None]:
    """Metrics only, as the fast path needs it."""
    with (
        obskit.configure(registry=CollectorRegistry(), logging="off"),
        obskit.control.disable("*", signals={"log"}),
    ):
        yield
    default_engine.drain()


def nothing_is_left() -> bool:
    """Tell whether no operation is in flight or current."""
    return not active_runtime().store.in_flight and current_context.get() is None


@pytest.mark.usefixtures("_metrics")
@pytest.mark.parametrize("shortage", SHORTAGES)
def test_a_shortage_in_a_label_is_reported(shortage: type[Exception]) -> None:
    @obskit.observe("work", labels={"kind": obskit.arg("kind")})
    def work(kind: object) -> str:
        return "done"

    with guard.recording() as faults:
        assert work(Short(shortage)) == "done"
    assert [(site, type(error)) for site, error in faults] == [("metrics.label", shortage)]
    assert nothing_is_left()


@pytest.mark.usefixtures("_metrics")
@pytest.mark.parametrize("shortage", SHORTAGES)
@pytest.mark.parametrize("raises", [False, True], ids=["returns", "raises"])
def test_a_shortage_in_an_outcome_predicate_is_reported(
    shortage: type[Exception], raises: bool
) -> None:
    def predicate(result: object, error: object) -> NoReturn:
        raise shortage

    own = HostError()

    @obskit.observe("work", outcome=predicate)
    def work() -> str:
        if raises:
            raise own
        return "done"

    with guard.recording() as faults:
        assert _came_of(work) == (own if raises else "done")
    assert [(site, type(error)) for site, error in faults] == [("operation.outcome", shortage)]
    assert nothing_is_left()


@pytest.mark.parametrize("shortage", SHORTAGES)
@pytest.mark.parametrize(
    ("failing", "site"), [(1, "operation.begin"), (2, "operation.end")], ids=["begin", "end"]
)
def test_a_shortage_in_a_clock_is_reported(
    shortage: type[Exception], failing: int, site: str
) -> None:
    with observing(ShortClock(shortage, failing)) as observed:

        @obskit.observe("work")
        def work() -> str:
            return "done"

        assert work() == "done"
        faults = observed.internal_errors()
        assert [(place, type(error)) for place, error in faults] == [(site, shortage)]
        assert nothing_is_left()


@pytest.mark.usefixtures("_metrics")
@pytest.mark.parametrize("shortage", SHORTAGES)
def test_a_shortage_of_the_hosts_own_is_the_hosts(shortage: type[Exception]) -> None:
    own = shortage()

    @obskit.observe("work")
    def work() -> None:
        raise own

    with pytest.raises(shortage) as raised:
        work()
    assert raised.value is own
    assert nothing_is_left()


@pytest.mark.usefixtures("_metrics")
def test_an_operation_may_recurse_until_there_is_no_stack() -> None:
    """It gets the error that the bare function gets, and goes on working."""

    @obskit.observe("work")
    def work(depth: int) -> int:
        return work(depth + 1)

    for _ in range(3):
        with pytest.raises(RecursionError):
            work(0)
        assert nothing_is_left()

    @obskit.observe("other")
    def other() -> str:
        return obskit.current().name

    assert other() == "other"


def _came_of(function: Callable[[], object]) -> object:
    """Return what a function returns or raises."""
    try:
        return function()
    except HostError as error:
        return error


def ways() -> dict[str, dict[str, Any]]:
    """Return declarations that go different ways through the code."""
    return {
        "plain": {},
        "labelled": {"labels": {"kind": obskit.arg("kind")}},
        "attributes": {"attributes": {"kind": obskit.arg("kind")}},
        "slow": {"slow": 0.0},
        "predicate": {"outcome": _no_opinion},
    }


def _no_opinion(result: object, error: object) -> None:
    """Leave the outcome to the default."""


def deep(levels: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function with less of the stack left."""
    return function(*arguments) if levels == 0 else deep(levels - 1, function, *arguments)


def frames() -> int:
    """Count the frames of the stack."""
    frame, count = sys._getframe(), 0
    while frame.f_back is not None:
        frame, count = frame.f_back, count + 1
    return count


class Watched:
    """A decorated function that notes whether it has run."""

    def __init__(self, declaration: dict[str, Any], own: Exception | None) -> None:
        self.has_run = False

        @obskit.observe("work", **declaration)
        def work(kind: str) -> str:
            self.has_run = True
            if own is not None:
                raise own
            return "done"

        self.call = work


@pytest.mark.usefixtures("_metrics")
@pytest.mark.parametrize("way", ways())
@pytest.mark.parametrize("full", [False, True], ids=["room", "full batch"])
@pytest.mark.parametrize("raises", [False, True], ids=["returns", "raises"])
def test_who_has_had_the_stack_to_work_keeps_what_came_of_it(
    way: str, full: bool, raises: bool
) -> None:
    """Telemetry that finds no stack left takes neither the result nor the host's error."""
    own = HostError() if raises else None
    watched = Watched(ways()[way], own)
    wanted = own or "done"
    lost: list[str] = []
    limit = sys.getrecursionlimit() - frames()
    for spare in range(60, 0, -1):
        default_engine.drain()
        if full:
            _fill_a_batch()
        watched.has_run = False
        try:
            came: object = deep(limit - spare, watched.call, "web")
        except (HostError, RecursionError) as error:
            came = error
        if watched.has_run and came != wanted:
            lost.append(f"{spare} frames left: {came!r}")
        assert nothing_is_left(), spare
    assert lost == []


def _fill_a_batch() -> None:
    with obskit.observe("filling"):
        pass
    durations = default_engine.durations
    durations += durations[:1] * (BATCH - len(durations))


NO_MEMORY = """
    import logging, sys, traceback
    import obskit
    from obskit.context import current_context
    from obskit.metrics import BATCH, default_engine
    from obskit.runtime import active_runtime
    import _testcapi

    way, full = sys.argv[1], sys.argv[2] == "full"
    obskit.configure(service="x", logging="off")
    obskit.control.disable("*", signals={"log"})
    logging.getLogger("obskit").addHandler(logging.NullHandler())  # what it says is not the subject
    logging.getLogger("obskit").propagate = False
    ways = {
        "plain": {},
        "labelled": {"labels": {"kind": obskit.arg("kind")}},
        "attributes": {"attributes": {"kind": obskit.arg("kind")}},
        "slow": {"slow": 0.0},
        "predicate": {"outcome": lambda result, error: None},
    }
    has_run = [False]

    @obskit.observe("work", **ways[way])
    def work(kind):
        has_run[0] = True
        return kind

    def outcome(number):
        \"\"\"Call with one allocation failing; return what came of it.\"\"\"
        has_run[0] = False
        _testcapi.set_nomemory(number, number + 1)
        try:
            came = work("web")
        except BaseException as error:
            _testcapi.remove_mem_hooks()
            return error
        _testcapi.remove_mem_hooks()
        return came

    def wrong(number):
        came = outcome(number)
        places = []
        if active_runtime().store.in_flight:
            active_runtime().store.in_flight.clear()
            places.append("left in flight")
        if current_context.get() is not None:
            current_context.set(None)
            places.append("left current")
        if came != "web":
            frame = traceback.extract_tb(came.__traceback__)[-1]
            if has_run[0] or "obskit" in frame.filename:
                places.append(f"{frame.name}:{frame.lineno} {came!r}")
        return places

    for _ in range(3):
        work("web")
    for number in range(1, 150):
        default_engine.drain()
        if full:
            work("web")
            default_engine.durations += default_engine.durations[:1] * (BATCH - 1)
        for place in wrong(number):
            print(f"allocation {number}: {place}")
"""


@functools.cache
def failing_allocations(way: str, full: str) -> list[str]:
    """Return what has gone wrong in calls with one failing allocation each."""
    pytest.importorskip("_testcapi", reason="this Python comes without its test modules")
    return run_to_its_end(NO_MEMORY, way, full).splitlines()


@pytest.mark.parametrize("way", ways())
@pytest.mark.parametrize("full", ["room", "full"])
def test_an_allocation_that_fails_in_telemetry_is_not_the_hosts(way: str, full: str) -> None:
    """Each of the allocations of a call fails in turn: the call does what the bare one does."""
    assert [line for line in failing_allocations(way, full) if "left" not in line] == []


@pytest.mark.parametrize("way", ways())
@pytest.mark.parametrize("full", ["room", "full"])
def test_an_allocation_that_fails_in_telemetry_leaves_nothing(way: str, full: str) -> None:
    assert [line for line in failing_allocations(way, full) if "left" in line] == []


EXHAUSTED = """
    import logging, resource
    import obskit
    from prometheus_client import REGISTRY
    from obskit.runtime import active_runtime

    obskit.configure(service="x", logging="off")
    obskit.control.disable("*", signals={"log"})
    logging.getLogger("obskit").addHandler(logging.NullHandler())  # what it says is not the subject
    logging.getLogger("obskit").propagate = False

    @obskit.observe("work", labels={"kind": obskit.arg("kind")})
    def work(kind):
        return bytearray(64 * 2**20)

    @obskit.observe("small")
    def small():
        return 1

    small()
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 8 * 2**20, resource.RLIM_INFINITY))
    failed = 0
    for number in range(3_000):
        try:
            work(f"kind-{number}")
        except MemoryError:
            failed += 1
        assert small() == 1
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert failed == 3_000, failed
    assert not active_runtime().store.in_flight
    assert obskit.current().name == ""
    counts = {}
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name == "operations_total":
                name = sample.labels["operation"]
                counts[name] = counts.get(name, 0) + sample.value
    assert counts == {"work": 3_000, "small": 3_001}, counts
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on address space is Linux's")
def test_a_process_at_its_limit_of_memory_gets_its_own_errors() -> None:
    """The host finds no memory 3,000 times, with as many label values; all calls are counted."""
    done = run(EXHAUSTED)
    assert (done.returncode, done.stdout, done.stderr[-2000:]) == (0, "", "")
