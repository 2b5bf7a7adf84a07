"""`uninstrument` leaves no trace, in whatever order, and nothing is counted twice."""

import gc
import threading
import types
import weakref
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.kits.patched import Client, a_class, members, title

import obskit
from obskit.errors import DuplicateError
from obskit.operation import Instrumentation
from obskit.testing import Observed, observing


@pytest.fixture(autouse=True)
def _nothing_left() -> Generator[None]:
    """Hold every test to it: the classes are afterwards what they were before."""
    before = members()
    yield
    assert members() == before


def test_uninstrument_gives_back_what_was_there() -> None:
    before = dict(vars(Client))
    obskit.instrument_object(Client, "get", "make", "quote", "url", "__eq__")
    assert dict(vars(Client)) != before
    assert obskit.uninstrument(Client, "get", "make", "quote", "url", "__eq__") is True
    assert dict(vars(Client)) == before
    assert obskit.uninstrument(Client, "get") is True


def test_a_handle_is_undone_by_itself_as_a_whole() -> None:
    handle = obskit.instrument_object(Client, "get", "url")
    assert handle.waiting is False
    assert obskit.uninstrument(handle) is True
    assert obskit.uninstrument(handle) is True


def test_methods_bound_before_the_end_end_with_it(observed: Observed) -> None:
    handle = obskit.instrument_object(Client, "get", "url", "quote", name="client")
    bound, unbound, quote = Client().get, Client.get, Client.quote
    bound("/")
    handle.uninstrument()
    assert bound("/a") == unbound(Client(), "/a") == "shop/a"
    assert quote("x") == "<x>"
    observed.operation("client").once()


def test_instrumented_twice_counts_once(observed: Observed) -> None:
    """A second handle has changed nothing, so it undoes nothing."""
    first = obskit.instrument_object(Client, "get", "make", "url")
    with obskit.instrument_object(f"{Client.__module__}:Client", "get", "make", "url"):
        Client.make("x").get("/")
    assert Client("x").url
    Client().get("/")
    observed.operation(title("get")).times(2)
    observed.operation(title("make")).once()
    observed.operation(title("url")).once()
    assert first.uninstrument()
    assert first.uninstrument()


def test_instrumented_twice_with_other_options_is_an_error() -> None:
    with obskit.instrument_object(Client, "get", name="a"):
        for options in ({"name": "b"}, {"name": "a", "slow": 1.0}, {}):
            with pytest.raises(DuplicateError, match=r"instrumented already, as 'a'.*first"):
                obskit.instrument_object(Client, "get", **options)
    obskit.instrument_object(Client, "get", name="b").uninstrument()


def test_what_observe_has_decorated_is_counted_once(observed: Observed) -> None:
    class Theirs:
        @obskit.observe("own")
        def work(self) -> None: ...

        @property
        @obskit.observe("own")
        def value(self) -> int:
            return 1

        @obskit.observe("own")
        @classmethod
        def make(cls) -> None: ...

    before = dict(vars(Theirs))
    with obskit.instrument_object(Theirs, "work", "value", "make", name="ours"):
        assert dict(vars(Theirs)) == before
        Theirs().work()
    observed.operation("own").once()
    observed.operation("ours").never()


def test_threads_that_race_leave_nothing_behind() -> None:
    """Calls go on giving the right result, whoever instruments and undoes meanwhile."""
    theirs = a_class()
    bare = vars(theirs)["work"]
    stop = threading.Event()

    def race(seed: int) -> int:
        rounds = 0
        while not stop.is_set() and rounds < 300:
            rounds += 1
            handle = obskit.instrument_object(theirs, "work", name="work")
            assert theirs().work("y") == "y"
            if (rounds + seed) % 3:
                handle.uninstrument()
            else:
                obskit.uninstrument(theirs, "work")
            assert theirs().work("z") == "z"
        return rounds

    with observing(), ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(race, seed) for seed in range(8)]
        try:
            assert [future.result(timeout=60) for future in futures] == [300] * 8
        finally:
            stop.set()
        obskit.uninstrument(theirs, "work")
    assert vars(theirs)["work"] is bare


def test_threads_that_instrument_at_once_count_once(observed: Observed) -> None:
    theirs = a_class()
    barrier = threading.Barrier(8)

    def instrument() -> Instrumentation:
        barrier.wait(60)
        return obskit.instrument_object(theirs, "work", name="work")

    with ThreadPoolExecutor(8) as pool:
        handles = [future.result(60) for future in [pool.submit(instrument) for _ in range(8)]]
    theirs().work()
    observed.operation("work").once()
    for handle in handles:
        assert handle.uninstrument()
    assert type(vars(theirs)["work"]) is types.FunctionType


def test_objects_that_were_patched_can_be_freed() -> None:
    client = Client()
    obskit.instrument_object(client, "get")
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
