"""`instrument_object` makes operations of what is not ours, and leaves it what it was."""

import abc
import asyncio
import copy
import functools
import inspect
import json
import pickle
import time
import types
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pytest
from tests.kits.callable_table import KINDS
from tests.kits.callables import Kind, identity, is_named
from tests.kits.nature import QUESTIONS, check_nature
from tests.kits.patched import (
    Client,
    Mobile,
    members,
    title,
)
from tests.kits.torture import Subject, check_calls, double

import obskit
from obskit.errors import DeclarationError
from obskit.operation import outcome_of
from obskit.testing import Observed, observing

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture(autouse=True)
def _nothing_left() -> Generator[None]:
    """Hold every test to it: the classes are afterwards what they were before."""
    before = members()
    yield
    assert members() == before


def patched(member: Any) -> Any:
    """Return what a class holds instead of a member that is patched."""
    holder = type("Holder", (), {"work": member})
    obskit.instrument_object(holder, "work", name="work")
    return vars(holder)["work"]


def unpatched(member: Any) -> Any:
    """Return what is left to those who hold on to it after the end."""
    holder = type("Holder", (), {"work": member})
    with obskit.instrument_object(holder, "work", name="work"):
        return vars(holder)["work"]


@contextmanager
def recorded(decorate: Callable[[Any], Any], outcome: Any) -> Generator[Subject]:
    with observing() as observed:
        yield Subject(
            decorate=decorate,
            ended=lambda: Counter(one.outcome for one in observed._operations.all()),
            running=observed.in_flight,
            faults=observed.internal_errors,
            outcome=outcome,
            inside=obskit.current,
        )


@every_kind
@pytest.mark.parametrize("decorate", [patched, unpatched])
def test_every_kind_of_callable_is_what_it_was(kind: Kind, decorate: Callable[[Any], Any]) -> None:
    bare, made = kind.make(identity, double).decorated, kind.make(decorate, double).decorated
    modern = int(version("wrapt")[0]) > 1  # older: no module is the proxy's own module
    if is_named(bare) and (modern or getattr(bare, "__module__", None)):
        check_nature(kind, decorate)
    else:  # an object or a partial stays one
        assert [ask(made) for ask in QUESTIONS] == [ask(bare) for ask in QUESTIONS]


@every_kind
def test_a_call_of_any_kind_is_what_it_was_and_an_operation(kind: Kind) -> None:
    with recorded(patched, outcome_of) as subject:
        check_calls(kind, subject)


@every_kind
def test_after_the_end_a_call_of_any_kind_is_no_operation(kind: Kind) -> None:
    with recorded(unpatched, lambda error: None) as subject:
        check_calls(kind, subject)


def test_methods_of_every_kind(observed: Observed) -> None:
    methods = ("get", "fetch", "pages", "stream", "make", "quote", "url")
    with obskit.instrument_object(Client, *methods):
        client = Client.make("inn")
        assert type(client) is Client
        assert client.get("/a", times=2) == Client.get(client, "/a", times=2) == "inn/ainn/a"
        assert asyncio.run(client.fetch("/b")) == "inn/b"
        assert list(client.pages(2)) == [0, 1]
        assert client.quote("x") == Client.quote("x") == "<x>"
        assert client.url == "https://inn"

        async def stream() -> list[int]:
            return [number async for number in client.stream(3)]

        assert asyncio.run(stream()) == [0, 1, 2]
    for method, times in zip(methods, (3, 1, 1, 1, 1, 2, 1), strict=True):
        observed.operation(title(method)).times(times).with_outcome("ok")


def test_a_generator_takes_what_is_sent_and_says_how_it_ended(observed: Observed) -> None:
    with obskit.instrument_object(Client, "pages", name="pages"):
        pages = Client().pages(2)
        assert [next(pages), pages.send("a")] == [0, 1]
        with pytest.raises(StopIteration) as stop:
            pages.send("b")
        assert stop.value.value == "ab"
        dropped = Client().pages(5)
        next(dropped)
        dropped.close()
    observed.operation("pages").times(2)
    observed.operation("pages").with_outcome("closed").once().with_attributes(items=1)


def test_introspection_sees_what_was_there() -> None:
    def seen(cls: type) -> list[Any]:
        found: list[Any] = []
        for name in ("get", "fetch", "pages", "stream", "make", "quote"):
            for function in (getattr(cls, name), getattr(cls("h"), name)):
                found.append([ask(function) for ask in QUESTIONS])
                found.append((str(inspect.signature(function)), function.__qualname__))
                found.append((inspect.getdoc(function), inspect.getsource(function)))
                found.append((inspect.isfunction(function), isinstance(function, Callable)))  # type: ignore[arg-type] # an ABC
            static = inspect.getattr_static(cls, name)
            found.append((static.__class__, static.__module__, dict(static.__annotations__)))
        return found

    before = seen(Client)
    names = ("get", "fetch", "pages", "stream", "make", "quote")
    with obskit.instrument_object(Client, *names):
        assert seen(Client) == before


def test_options_are_those_of_observe(observed: Observed) -> None:
    with obskit.instrument_object(
        Client,
        "get",
        "fetch",
        name="client.{method}",
        labels={"tier": "a"},
        attributes={"path": obskit.arg("path"), "host": obskit.arg("self.host")},
    ):
        Client().get("/a")
        asyncio.run(Client().fetch("/b"))
    observed.operation("client.get").times(2).with_labels(tier="a")
    observed.operation("client.fetch").once().with_attributes(path="/b", host="shop")


def test_a_call_without_arguments_through_the_class_works(observed: Observed) -> None:
    with obskit.instrument_object(Client, "without_self"):
        assert Client.without_self() == "called"
        with pytest.raises(TypeError, match="takes 0 positional arguments"):
            Client().without_self()  # type: ignore[misc] # the same
        with pytest.raises(TypeError, match="missing 2 required"):
            Client.get()  # type: ignore[call-arg] # the same


def test_special_methods_are_patched_where_python_looks_for_them(observed: Observed) -> None:
    class Block:
        def __init__(self, value: int) -> None:
            self.value = value

        def __call__(self) -> int:
            return self.value

        def __enter__(self) -> int:
            return self.value

        def __exit__(self, *_: object) -> None: ...

        def __len__(self) -> int:
            return self.value

    names = ("__init__", "__call__", "__enter__", "__exit__", "__len__")
    with obskit.instrument_object(Block, *names, name="{method}"):
        block = Block(3)
        with block as value:
            assert [value, len(block), block()] == [3, 3, 3]
    for name in names:
        observed.operation(name).once()
    assert Block(2)() == 2


def test_descriptors_with_functions_inside(observed: Observed) -> None:
    class Theirs:
        _value = 1

        def read(self) -> int:
            return self._value

        def write(self, value: int) -> None:
            self._value = value

        def reset(self) -> None:
            del self._value

        value = property(read, write, reset, "A value.")
        silent = property(None, write)
        once = functools.cached_property(read)
        six = functools.partialmethod(write, 6)

    before = dict(vars(Theirs))
    names = ("value", "silent", "once", "six")
    handle = obskit.instrument_object(Theirs, *names, name="{method}")
    theirs = Theirs()
    assert theirs.once == theirs.once == 1
    theirs.value = 2
    assert theirs.value == 2
    del theirs.value
    theirs.silent = 5
    assert theirs.value == 5
    assert Theirs.value.__doc__ == "A value."
    theirs.six()
    assert theirs.value == 6
    obskit.instrument_object(Theirs, *names, name="{method}")  # changes nothing
    assert handle.uninstrument()
    assert dict(vars(Theirs)) == before
    observed.operation("value").times(5)
    for name in names[1:]:
        observed.operation(name).once()


def test_a_name_that_a_module_makes_when_it_is_asked_for(observed: Observed) -> None:
    lazy = types.ModuleType("lazy")
    vars(lazy)["__getattr__"] = lambda name: Client.quote if name == "quote" else None
    with obskit.instrument_object(lazy, "quote"):
        assert lazy.quote("x") == "<x>"
    assert "quote" not in vars(lazy)
    observed.operation("lazy.quote").once()


def test_one_object_is_patched_and_no_other(observed: Observed) -> None:
    one, other = Client("one"), Client("other")
    with obskit.instrument_object(one, "get", "make", "quote", name="{method}"):
        assert one.get("/") == "one/"
        assert type(one.make("x")) is Client
        assert one.quote("x") == "<x>"
        assert other.get("/") == "other/"
        assert inspect.ismethod(one.get)
    assert vars(one) == {"host": "one"}
    for name in ("get", "make", "quote"):
        observed.operation(name).once()


def test_a_callable_that_an_object_holds(observed: Observed) -> None:
    client = Client()
    vars(client)["callback"] = callback = functools.partial(max, 2)
    with obskit.instrument_object(client, "callback", name="callback"):
        assert vars(client)["callback"](3) == 3
    assert vars(client)["callback"] is callback
    observed.operation("callback").once()


def test_a_frozen_object_is_patched(observed: Observed) -> None:
    @dataclass(frozen=True)
    class Frozen:
        x: int = 1

        def double(self) -> int:
            return self.x * 2

    frozen = Frozen()
    with obskit.instrument_object(frozen, "double", name="double"):
        assert frozen.double() == 2
        assert frozen == Frozen()
    observed.operation("double").once()


def test_an_object_without_room_is_an_error() -> None:
    class Slotted:
        __slots__ = ()

        def work(self) -> None: ...

    with pytest.raises(DeclarationError, match="on one object: instrument its class"):
        obskit.instrument_object(Slotted(), "work")
    with pytest.raises(DeclarationError, match="url is not looked up on the object"):
        obskit.instrument_object(Client(), "url")


def test_an_inherited_method_is_patched_in_the_subclass_only(observed: Observed) -> None:
    with obskit.instrument_object(Mobile, "fail"):
        with pytest.raises(LookupError):
            Client().fail()
        observed.operation(title("fail", Mobile)).never()
        with pytest.raises(LookupError):
            Mobile().fail()
    assert "fail" not in vars(Mobile)
    observed.operation(title("fail", Mobile)).once()
    observed.operation(title("fail")).never()


def test_a_subclass_that_overrides_and_calls_super(observed: Observed) -> None:
    with obskit.instrument_object(Client, "get"):
        assert Mobile().get("/a") == "SHOP/A"
    observed.operation(title("get")).once()
    with obskit.instrument_object(Client, "get"), obskit.instrument_object(Mobile, "get"):
        assert Mobile().get("/a") == "SHOP/A"
    assert observed.spans.tree()[title("get", Mobile)] == {title("get"): {}}


@pytest.mark.parametrize("base_first", [True, False])
def test_base_and_subclass_may_both_be_patched_and_end_in_any_order(
    base_first: bool, observed: Observed
) -> None:
    base = obskit.instrument_object(Client, "quote", "make", "pages", name="base.{method}")
    child = obskit.instrument_object(Mobile, "quote", "make", "pages", name="child.{method}")
    assert Mobile.quote("x") == "<x>"
    assert type(Mobile.make("x")) is Mobile
    assert list(Mobile().pages(1)) == [0]
    first, second = (base, child) if base_first else (child, base)
    assert first.uninstrument()
    assert list(Mobile().pages(2)) == [0, 1]
    assert second.uninstrument()
    assert list(Mobile().pages(2)) == [0, 1]
    observed.operation("base.quote").once()
    observed.operation("child.make").once()
    observed.operation("base.pages").times(1 if base_first else 2)
    observed.operation("child.pages").times(2 if base_first else 1)


def test_an_abstract_method_stays_abstract() -> None:
    class Store(abc.ABC):
        @abc.abstractmethod
        def get(self) -> int: ...

    with obskit.instrument_object(Store, "get"):
        with pytest.raises(TypeError, match="abstract"):
            type("Half", (Store,), {})()
        whole: Any = type("Whole", (Store,), {"get": lambda self: 1})
        assert whole().get() == 1


def test_patched_functions_pickle_by_their_names(observed: Observed) -> None:
    bare = pickle.dumps(json.dumps), pickle.dumps(Client.get), pickle.dumps(Client("a").get)
    with (
        obskit.instrument_object(json, "dumps"),
        obskit.instrument_object(Client, "get", name="get"),
    ):
        for function in (json.dumps, Client.get, time.sleep):
            assert pickle.loads(pickle.dumps(function)) is function
            assert copy.copy(function) is copy.deepcopy(function) is function
        patched = pickle.dumps(json.dumps), pickle.dumps(Client.get), pickle.dumps(Client("a").get)
        assert patched == bare
        assert pickle.loads(patched[2])("/") == "a/"
    observed.operation("get").once()


def test_builtins_and_objects_pickle_as_what_was_there(observed: Observed) -> None:
    module = types.ModuleType("theirs")
    vars(module).update(quote=functools.partial(Client.quote, "x"))
    with (
        obskit.instrument_object(time, "monotonic"),
        obskit.instrument_object(module, "quote", name="quote"),
    ):
        assert pickle.loads(pickle.dumps(time.monotonic)) is time.monotonic
        again = pickle.loads(pickle.dumps(vars(module)["quote"]))
        assert type(again) is functools.partial
        assert again() == "<x>"


def test_objects_of_a_patched_class_and_patched_objects_pickle_and_copy(
    observed: Observed,
) -> None:
    with obskit.instrument_object(Client, "fail", "get"):
        again = pickle.loads(pickle.dumps(Client("far")))
        assert again.get("/") == copy.deepcopy(again).get("/") == "far/"
    one = Client("one")
    with obskit.instrument_object(one, "get", name="one"):
        again = pickle.loads(pickle.dumps(one))
        again.host = "two"
        assert again.get("/") == "two/"
        deep = copy.deepcopy(one)
        deep.host = "three"
        assert deep.get("/") == "three/"
    observed.operation(title("get")).times(2)


def test_a_patched_function_works_in_a_process_pool() -> None:
    with obskit.instrument_object(json, "dumps"), ProcessPoolExecutor(1) as pool:
        assert pool.submit(json.dumps, [1]).result(timeout=60) == "[1]"


def test_annotations_stay_those_of_the_function_whoever_asks_the_classes_of_the_layers() -> None:
    """Python then makes annotations for the classes, which must not hide the function's."""
    with obskit.instrument_object(Client, "get"):
        before = dict(Client.get.__annotations__)
        for kind in type(vars(Client)["get"]).__mro__:
            getattr(kind, "__annotations__", None)
        assert Client.get.__annotations__ == before != {}
