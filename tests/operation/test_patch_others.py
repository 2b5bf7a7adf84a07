"""Others patch, too: before us, on top of us and in their own ways."""

import asyncio
import functools
import inspect
import types
from collections.abc import Callable, Generator
from typing import Any

import pytest
import wrapt
from tests.kits.callable_table import KINDS
from tests.kits.patched import (
    Client,
    a_class,
    closed_over,
    members,
    wrapped_by_others,
    wrapped_by_wrapt,
)

import obskit
from obskit.testing import Observed

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture(autouse=True)
def _nothing_left() -> Generator[None]:
    """Hold every test to it: the classes are afterwards what they were before."""
    before = members()
    yield
    assert members() == before


every_patcher = pytest.mark.parametrize(
    "patcher", [wrapped_by_others, wrapped_by_wrapt, closed_over]
)


@every_patcher
def test_others_may_patch_on_top_and_are_not_broken(
    patcher: Callable[[Any], Any], observed: Observed
) -> None:
    theirs = a_class()
    bare = vars(theirs)["work"]
    handle = obskit.instrument_object(theirs, "work", name="work")
    ours = vars(theirs)["work"]
    theirs.work = top = patcher(theirs.work)
    assert theirs().work() == "[x]"
    assert handle.uninstrument() is (patcher is closed_over)  # nobody sees into that one
    assert handle.uninstrument() is (patcher is closed_over)
    assert vars(theirs)["work"] is top
    assert theirs().work() == "[x]"
    observed.operation("work").once()
    theirs.work = ours  # as they undo their patch
    assert theirs().work() == "x"
    observed.operation("work").once()
    assert handle.uninstrument() is True
    assert vars(theirs)["work"] is bare


@every_patcher
def test_instrumented_again_under_a_patch_of_others_counts_once(
    patcher: Callable[[Any], Any], observed: Observed
) -> None:
    theirs = a_class()
    obskit.instrument_object(theirs, "work", name="work")
    theirs.work = patcher(theirs.work)
    obskit.instrument_object(theirs, "work", name="work")
    assert theirs().work() == "[x]"
    observed.operation("work").once()
    obskit.uninstrument(theirs, "work")
    assert theirs().work() == "[x]"
    observed.operation("work").once()


@every_patcher
def test_a_patch_of_others_is_patched(patcher: Callable[[Any], Any], observed: Observed) -> None:
    theirs = a_class()
    theirs.work = top = patcher(theirs.work)
    handle = obskit.instrument_object(theirs, "work", name="work")
    assert theirs().work("y") == theirs.work(theirs(), "y") == "[y]"
    one = theirs()
    with obskit.instrument_object(one, "work", name="one"):
        assert one.work("z") == "[z]"
    handle.uninstrument()
    assert vars(theirs)["work"] is top
    observed.operation("work").times(3)
    observed.operation("one").once()


def test_wrapt_patches_of_every_kind_are_patched(observed: Observed) -> None:
    """As a library is that another instrumentation has been at before."""

    def through(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append(instance)
        return wrapped(*args, **kwargs)

    names = ("get", "fetch", "pages", "make", "quote")
    theirs: Any = type("Theirs", (Client,), {})
    for name in names:
        setattr(theirs, name, wrapt.FunctionWrapper(inspect.getattr_static(Client, name), through))
    module = types.ModuleType("theirs")
    vars(module)["quote"] = wrapt.FunctionWrapper(Client.quote, through)
    seen: list[Any] = []
    labels = {"attributes": {"host": obskit.arg("host")}}
    with (
        obskit.instrument_object(theirs, "get", "pages", "fetch", "quote", name="{method}"),
        obskit.instrument_object(theirs, "make", name="make", **labels),
        obskit.instrument_object(module, "quote", name="of module"),
    ):
        client = theirs.make("inn")
        assert type(client) is theirs
        assert client.get("/") == "inn/"
        assert inspect.iscoroutinefunction(client.fetch)
        assert inspect.isgeneratorfunction(client.pages)
        assert str(inspect.signature(client.get)) == str(inspect.signature(Client().get))
        assert asyncio.run(client.fetch("/b")) == "inn/b"
        assert list(client.pages(2)) == [0, 1]
        assert client.quote("x") == theirs.quote("y").replace("y", "x") == "<x>"
        assert vars(module)["quote"]("z") == "<z>"
        one = theirs("one")
        with obskit.instrument_object(
            one, "fetch", name="one", attributes={"path": obskit.arg("path")}
        ):
            assert asyncio.run(one.fetch("/c")) == "one/c"
    assert seen[0] is theirs
    assert seen[1] is client
    observed.operation("make").once().with_attributes(host="inn")
    observed.operation("pages").once().with_attributes(items=2)
    observed.operation("quote").times(2)
    observed.operation("of module").once()
    observed.operation("one").once().with_attributes(path="/c")
    observed.operation("fetch").times(2)


def test_a_wrapper_that_is_its_own_inside_is_not_looked_through_for_ever() -> None:
    def endless() -> None: ...

    vars(endless)["__wrapped__"] = endless
    theirs = a_class()
    handle = obskit.instrument_object(theirs, "work")
    theirs.work = endless
    assert handle.uninstrument() is True
    assert vars(theirs)["work"] is endless


def test_a_patch_of_something_written_in_c_is_patched(observed: Observed) -> None:
    """Nobody knows its parameters."""
    theirs = types.ModuleType("theirs")
    vars(theirs)["add"] = wrapped = wrapt.FunctionWrapper(max, lambda w, i, a, k: w(*a, **k))
    vars(theirs)["Keys"] = keys = type("Keys", (dict,), {})
    keys.get = wrapt.FunctionWrapper(dict.get, lambda w, i, a, k: w(*a, **k))  # type: ignore[attr-defined] # patched
    with (
        obskit.instrument_object(theirs, "add", name="add"),
        obskit.instrument_object(keys, "get", name="get"),
    ):
        assert vars(theirs)["add"](1, 2) == 2
        assert keys(a=1).get("a") == 1
    assert vars(theirs)["add"] is wrapped
    observed.operation("add").once()
    observed.operation("get").once()


def test_callables_that_bind_in_their_own_way_are_patched(observed: Observed) -> None:
    class Task:
        """As the tasks of job queues are."""

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            return functools.partial(self, instance) if instance is not None else self

        def __call__(self, instance: Any, value: int) -> tuple[str, int]:
            return type(instance).__name__, value

    class Holder:
        task = Task()
        cached = functools.lru_cache(maxsize=8)(lambda self, value: value)

        @classmethod
        def plain(cls) -> None: ...

        sized = classmethod(functools.partial(isinstance, 3))

    names = ("task", "cached", "sized")
    with obskit.instrument_object(Holder, *names, name="{method}"):
        assert Holder().task(1) == ("Holder", 1)
        assert Holder.task(Holder(), 2) == ("Holder", 2)
        assert [Holder().cached(1), Holder.cached(Holder(), 2)] == [1, 2]
        assert Holder.cached.cache_info().misses == 2
        assert Holder.sized() is Holder().sized() is False
    for name in names:
        observed.operation(name).times(2)
