"""`observe` leaves every kind of callable what it is, and makes an operation of each call."""

import abc
import copy
import functools
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from tests.kits.callables import INSPECTIONS, KINDS, Kind, described, identity

import obskit
from obskit.context import current_context
from obskit.testing import Observed

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
every_spelling = pytest.mark.parametrize(
    "decorate",
    [
        pytest.param(obskit.observe, id="bare"),
        pytest.param(obskit.observe(), id="called"),
        pytest.param(obskit.observe("work", labels={"tier": "a"}, slow=60.0), id="named"),
    ],
)


def double(value: int) -> int:
    return value * 2


def raising(error: BaseException) -> Callable[[int], Any]:
    def body(value: int) -> Any:
        raise error

    return body


@every_kind
@every_spelling
def test_the_result_is_the_same(
    kind: Kind, decorate: Callable[[Any], Any], observed: Observed
) -> None:
    bare = kind.run(kind.build(identity, double), 21)
    assert kind.run(kind.build(decorate, double), 21) == bare


@every_kind
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_the_exception_is_the_very_same_object(
    kind: Kind, error: BaseException, observed: Observed
) -> None:
    """Whatever ends a call reaches the caller, also what is not an ``Exception``."""
    with pytest.raises(type(error)) as caught:
        kind.run(kind.build(obskit.observe("work"), raising(error)), 1)
    assert caught.value is error
    observed.operation("work").once().with_outcome("error").with_error(type(error).__qualname__)


@every_kind
def test_inspect_takes_it_for_what_it_was(kind: Kind) -> None:
    """Frameworks decide by these how to call; a partial or an object keeps its colour."""
    bare, decorated = kind.build(identity, double), kind.build(obskit.observe, double)
    asked: list[Any] = INSPECTIONS if inspect.isroutine(bare) else INSPECTIONS[1:3]
    assert [ask(decorated) for ask in asked] == [ask(bare) for ask in asked]


@every_kind
def test_an_awaitable_comes_of_the_same_kinds(kind: Kind) -> None:
    decorated = kind.build(obskit.observe, double)
    colour = inspect.iscoroutinefunction(decorated)
    assert colour == (kind.run.__name__ == "await_")


@every_kind
def test_signature_annotations_and_names_stay(kind: Kind) -> None:
    bare, decorated = kind.build(identity, double), kind.build(obskit.observe, double)
    if not inspect.isroutine(bare):  # an object has no names of its own to keep
        assert inspect.signature(decorated) == inspect.signature(bare)
        return
    assert described(decorated) == described(bare)


@every_kind
def test_each_call_is_one_operation(kind: Kind, observed: Observed) -> None:
    work = kind.build(obskit.observe("work"), double)
    for value in range(3):
        kind.run(work, value)
    observed.operation("work").times(3).with_outcome("ok")
    assert observed.metrics.delta("operations_total", operation="work", outcome="ok") == 3
    assert observed.metrics.value("operation_duration_seconds_count", operation="work") == 3
    assert observed.metrics.value("operations_in_progress", operation="work") == 0
    assert len(observed.spans.all("work")) == 3


@every_kind
def test_the_operation_is_current_inside_and_only_inside(kind: Kind, observed: Observed) -> None:
    seen: list[str] = []

    def body(value: int) -> int:
        seen.append(obskit.current().name)
        return value

    before = current_context.get()
    kind.run(kind.build(obskit.observe("work"), body), 1)
    assert set(seen) == {"work"}
    assert current_context.get() is before
    assert obskit.current().name == ""


@every_kind
def test_decorated_twice_is_nested(kind: Kind, observed: Observed) -> None:
    def twice(function: Any) -> Any:
        return obskit.observe("outer")(obskit.observe("inner")(function))

    kind.run(kind.build(twice, double), 1)
    assert observed.spans.tree() == {"outer": {"inner": {}}}


def test_recursion_nests_one_operation_per_call(observed: Observed) -> None:
    @obskit.observe("factorial")
    def factorial(n: int) -> int:
        return 1 if n < 2 else n * factorial(n - 1)

    assert factorial(4) == 24
    assert observed.spans.tree() == {"factorial": {"factorial": {"factorial": {"factorial": {}}}}}


@obskit.observe
def module_level(value: int = 7, *, scale: float = 1.0) -> float:
    """Scale."""
    return value * scale


class Shelf:
    @obskit.observe
    def put(self, item: str) -> str:
        return item

    @obskit.observe
    @classmethod
    def empty(cls) -> "Shelf":
        return cls()

    @obskit.observe("shelf.count")
    @staticmethod
    def count() -> int:
        return 0


@pytest.mark.parametrize("function", [module_level, Shelf.put, Shelf.empty, Shelf.count])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_decorated_function_survives_pickle(function: Any, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(function, protocol))
    assert again == function


def test_a_decorated_function_survives_copy() -> None:
    assert copy.copy(module_level) is module_level
    assert copy.deepcopy(module_level) is module_level


def test_the_function_itself_is_still_there() -> None:
    bare = inspect.unwrap(module_level)
    assert bare is module_level.__wrapped__  # type: ignore[attr-defined] # functools.wraps sets it
    assert bare(3) == 3.0
    assert bare.__name__ == "module_level"


def test_classmethod_and_staticmethod_stay_what_they_are(observed: Observed) -> None:
    assert isinstance(inspect.getattr_static(Shelf, "empty"), classmethod)
    assert isinstance(inspect.getattr_static(Shelf, "count"), staticmethod)
    assert isinstance(Shelf.empty(), Shelf)
    assert Shelf().count() == 0


def test_a_classmethod_gets_the_subclass(observed: Observed) -> None:
    class Drawer(Shelf):
        pass

    assert type(Drawer.empty()) is Drawer


def test_an_abstract_method_stays_abstract() -> None:
    class Port(abc.ABC):
        @obskit.observe
        @abc.abstractmethod
        def send(self) -> None:
            """Send."""

    assert inspect.isabstract(Port)


def test_the_default_name_is_module_and_qualified_name(observed: Observed) -> None:
    Shelf().put("book")
    observed.operation(f"{__name__}.Shelf.put").once()


def test_a_partial_is_named_like_its_function(observed: Observed) -> None:
    obskit.observe(functools.partial(functools.partial(module_level, 3)))()
    observed.operation(f"{__name__}.module_level").times(2)


def test_a_callable_object_is_named_like_its_class(observed: Observed) -> None:
    class Scale:
        def __call__(self) -> int:
            return 1

    assert obskit.observe(Scale())() == 1
    observed.operation(f"{__name__}.{Scale.__qualname__}").once()


def test_a_builtin_function_can_be_observed(observed: Observed) -> None:
    assert obskit.observe(len)([1, 2]) == 2
    assert obskit.observe((3).__add__)(4) == 7
    observed.operation("builtins.len").once()


def test_attributes_of_a_function_stay(observed: Observed) -> None:
    def bare() -> None: ...

    bare.marker = "x"  # type: ignore[attr-defined] # what frameworks put on functions
    assert obskit.observe(bare).marker == "x"  # type: ignore[attr-defined] # the same
