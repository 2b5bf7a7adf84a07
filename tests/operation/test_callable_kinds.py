"""What `observe` makes of each kind of callable: its names, its nesting, its descriptors.

That a decorated callable is in all else what the bare one is, `test_torture` holds.
"""

import abc
import enum
import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

import pytest
from tests.kits.callable_table import KINDS
from tests.kits.callables import Kind

import obskit
from obskit.testing import Observed

one_call = [kind for kind in KINDS if kind.operations == 1 and not kind.lazy]


@pytest.mark.parametrize("kind", one_call, ids=lambda kind: kind.name)
def test_decorated_twice_is_nested(kind: Kind, observed: Observed) -> None:
    def twice(function: Any) -> Any:
        return obskit.observe("outer")(obskit.observe("inner")(function))

    kind.run(kind.make(twice, str).call, 1)
    assert observed.spans.tree() == {"outer": {"inner": {}}}
    for name in ("outer", "inner"):
        assert observed.metrics.value("operation_duration_seconds_count", operation=name) == 1


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
    """Holds things, and everything that a class can have is decorated."""

    def __init__(self, items: list[str] | None = None) -> None:
        self._items = items or []

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

    @obskit.observe  # type: ignore[prop-decorator] # mypy knows decorators below only
    @property
    def items(self) -> list[str]:
        """What is on it."""
        return self._items

    @items.setter
    @obskit.observe("shelf.fill")
    def items(self, items: list[str]) -> None:
        self._items = items

    @obskit.observe  # type: ignore[prop-decorator] # the same
    @functools.cached_property
    def weight(self) -> int:
        """What it weighs."""
        return len(self._items)


@pytest.mark.parametrize(
    ("use", "name"),
    [
        pytest.param(module_level, "module_level", id="function"),
        pytest.param(lambda: Shelf().put("book"), "Shelf.put", id="method"),
        pytest.param(Shelf.empty, "Shelf.empty", id="classmethod"),
        pytest.param(lambda: Shelf().items, "Shelf.items", id="property"),
        pytest.param(lambda: Shelf().weight, "Shelf.weight", id="cached_property"),
    ],
)
def test_the_default_name_is_module_and_qualified_name(
    use: Callable[[], Any], name: str, observed: Observed
) -> None:
    use()
    observed.operation(f"{__name__}.{name}").once().with_outcome("ok")


def test_a_partial_is_named_like_its_function(observed: Observed) -> None:
    obskit.observe(functools.partial(functools.partial(module_level, 3)))()
    observed.operation(f"{__name__}.module_level").times(2)


def test_a_callable_object_is_named_like_its_class(observed: Observed) -> None:
    class Scale:
        def __call__(self) -> int:
            return 1

    assert obskit.observe(Scale())() == 1
    observed.operation(f"{__name__}.{Scale.__qualname__}").once()


def test_builtin_functions_and_objects_are_named_after_where_they_are(observed: Observed) -> None:
    assert obskit.observe(len)([1, 2]) == 2
    assert obskit.observe((3).__add__)(4) == 7
    assert obskit.observe(operator.itemgetter(1))("ab") == "b"
    observed.operation("builtins.len").once()
    observed.operation("operator.itemgetter").once()


def test_the_function_itself_is_still_there() -> None:
    bare = inspect.unwrap(module_level)
    assert bare is module_level.__wrapped__  # type: ignore[attr-defined] # functools.wraps sets it
    assert bare(3) == 3.0
    assert bare.__name__ == "module_level"


def test_attributes_of_a_function_stay(observed: Observed) -> None:
    def bare() -> None: ...

    bare.marker = "x"  # type: ignore[attr-defined] # what frameworks put on functions
    assert obskit.observe(bare).marker == "x"  # type: ignore[attr-defined] # the same


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("empty", classmethod),
        ("count", staticmethod),
        ("items", property),
        ("weight", functools.cached_property),
    ],
)
def test_a_descriptor_stays_what_it_is(name: str, kind: type) -> None:
    assert type(inspect.getattr_static(Shelf, name)) is kind


def test_a_property_keeps_its_documentation() -> None:
    assert [inspect.getdoc(vars(Shelf)[name]) for name in ("items", "weight")] == [
        "What is on it.",
        "What it weighs.",
    ]


def test_a_property_is_an_operation_each_time_it_is_read_or_set(observed: Observed) -> None:
    shelf = Shelf(["book"])
    assert (shelf.items, shelf.items) == (["book"], ["book"])
    shelf.items = []
    assert shelf.items == []
    observed.operation(f"{__name__}.Shelf.items").times(3)
    observed.operation("shelf.fill").once()


def test_a_cached_property_is_an_operation_once(observed: Observed) -> None:
    shelf = Shelf(["book"])
    assert (shelf.weight, shelf.weight) == (1, 1)
    assert vars(shelf)["weight"] == 1
    observed.operation(f"{__name__}.Shelf.weight").once()


def test_a_property_that_is_absent_stays_absent() -> None:
    class Sealed:
        @obskit.observe  # type: ignore[prop-decorator] # mypy knows decorators below only
        @property
        def label(self) -> str:
            raise AttributeError("no label")

        def __getattr__(self, name: str) -> str:
            return f"made up: {name}"

    assert vars(Sealed)["label"].fset is None
    assert Sealed().label == "made up: label"
    with pytest.raises(AttributeError):
        Sealed().label = "x"  # type: ignore[misc] # the mistake under test


def test_a_classmethod_gets_the_subclass(observed: Observed) -> None:
    class Drawer(Shelf):
        pass

    assert type(Drawer.empty()) is Drawer


def test_abstract_members_stay_abstract() -> None:
    class Port(abc.ABC):
        @obskit.observe
        @abc.abstractmethod
        def send(self) -> None:
            """Send."""

        @obskit.observe  # type: ignore[prop-decorator] # mypy knows decorators below only
        @property
        @abc.abstractmethod
        def address(self) -> str:
            """Where to."""

    assert Port.__abstractmethods__ == {"send", "address"}


def test_a_method_of_an_enum_is_no_member() -> None:
    class Colour(enum.Enum):
        RED = 1

        @obskit.observe
        def shout(self) -> str:
            return self.name

        @obskit.observe  # type: ignore[prop-decorator] # mypy knows decorators below only
        @property
        def lower(self) -> str:
            return self.name.lower()

    assert [*Colour] == [Colour.RED]
    assert (Colour.RED.shout(), Colour.RED.lower) == ("RED", "red")
