"""`observe_methods` decorates a class's own public methods, each as `observe` would."""

import abc
import asyncio
import enum
import functools
import inspect
import pickle
import sqlite3
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from typing import Any

import pytest

import obskit
from obskit.errors import DeclarationError, LabelError
from obskit.testing import Observed


def make_shop() -> Any:  # noqa: C901 - many members, none of them complex
    """Return a new class with every kind of member that a class may hold."""

    class Shop:
        opened = 0
        lookup = dict.get

        def __init__(self) -> None:
            self._discount = 0

        def __repr__(self) -> str:
            return "Shop()"

        def price(self, item: str, *, count: int = 1) -> int:
            """Tell what an item costs."""
            return count * len(item) - self._discount

        async def charge(self, cents: int) -> int:
            await asyncio.sleep(0)
            return cents

        def items(self, count: int) -> Generator[int, None, str]:
            yield from range(count)
            return "sold out"

        async def stream(self, count: int) -> AsyncGenerator[int]:
            for number in range(count):
                yield number

        @classmethod
        def open(cls) -> "Shop":
            return cls()

        @staticmethod
        def check(item: str) -> bool:
            return bool(item)

        @property
        def discount(self) -> int:
            """What is taken off."""
            return self._discount

        @discount.setter
        def discount(self, value: int) -> None:
            self._discount = value

        @discount.deleter
        def discount(self) -> None:
            self._discount = 0

        @functools.lru_cache(maxsize=8)  # noqa: B019 - that it is cached is the point here
        def cached(self) -> int:
            return 1

        def _private(self) -> int:
            return 1

        class Till:
            def add(self) -> int:
                return 1

    Shop.__qualname__ = "Shop"
    return Shop


async def collected(stream: AsyncGenerator[int]) -> list[int]:
    return [number async for number in stream]


def names(observed: Observed) -> list[str]:
    """Return the names of all operations that have ended, without their module."""
    prefix = f"{__name__}."
    return sorted(ended.name.removeprefix(prefix) for ended in observed._operations.all())


def test_public_methods_of_every_kind_become_operations(observed: Observed) -> None:
    shop = obskit.observe_methods(make_shop()).open()
    assert shop.price("tea") == 3
    assert asyncio.run(shop.charge(5)) == 5
    assert list(shop.items(2)) == [0, 1]
    assert asyncio.run(collected(shop.stream(2))) == [0, 1]
    assert shop.check("tea")
    assert names(observed) == [
        *("Shop.charge", "Shop.check", "Shop.items", "Shop.open", "Shop.price", "Shop.stream")
    ]


def test_kinds_and_signatures_stay() -> None:
    bare, decorated = make_shop(), obskit.observe_methods(make_shop())
    for name in ("price", "charge", "items", "stream", "open", "check"):
        old, new = getattr(bare, name), getattr(decorated, name)
        assert str(inspect.signature(new)) == str(inspect.signature(old))
        assert new.__doc__ == old.__doc__
        assert type(vars(decorated)[name]) is type(vars(bare)[name])
    assert inspect.iscoroutinefunction(decorated.charge)
    assert inspect.isgeneratorfunction(decorated.items)
    assert inspect.isasyncgenfunction(decorated.stream)


def test_a_property_stays_one_with_all_its_accessors(observed: Observed) -> None:
    shop_class = obskit.observe_methods(make_shop())
    shop = shop_class()
    shop.discount = 2
    assert shop.discount == 2
    del shop.discount
    assert shop.discount == 0
    assert isinstance(shop_class.discount, property)
    assert shop_class.discount.__doc__ == "What is taken off."
    assert names(observed) == ["Shop.discount"] * 4


def test_other_members_stay_as_they_are(observed: Observed) -> None:
    bare = make_shop()
    before = dict(vars(bare))
    assert obskit.observe_methods(bare) is bare
    changed = {name for name in before if vars(bare)[name] is not before[name]}
    assert changed == {"price", "charge", "items", "stream", "open", "check", "discount"}
    assert bare().cached() == 1
    assert bare.cached.cache_info().misses == 1
    assert bare.Till().add() == 1
    assert names(observed) == []


def test_names_given_may_be_private_or_special(observed: Observed) -> None:
    @obskit.observe_methods(include=("__call__", "_run", "__repr__"))
    class Job:
        def __call__(self) -> int:
            return self._run()

        def _run(self) -> int:
            return self.other()

        def other(self) -> int:
            return 1

        def __repr__(self) -> str:
            return "job"

    assert Job()() == 1
    assert repr(Job()) == "job"
    assert [name.rpartition(".")[2] for name in names(observed)] == ["__call__", "__repr__", "_run"]


def test_excluded_names_stay_bare(observed: Observed) -> None:
    shop_class = obskit.observe_methods(make_shop(), exclude={"price", "__repr__", "Till"})
    shop_class().price("tea")
    assert repr(shop_class()) == "Shop()"
    shop_class().check("tea")
    assert names(observed) == ["Shop.check"]


def test_names_and_options_hold_for_each_method(observed: Observed) -> None:
    @obskit.observe_methods(
        name="orders.{method}",
        labels={"tier": "gold"},
        attributes={"number": obskit.arg("number")},
        slow=60.0,
    )
    class Orders:
        def place(self, number: int) -> None: ...

        def cancel(self, number: int) -> None:
            raise KeyError(number)

    Orders().place(1)
    with pytest.raises(KeyError):
        Orders().cancel(2)
    observed.operation("orders.place").once().with_labels(tier="gold").with_attributes(number=1)
    observed.operation("orders.cancel").once().with_error("KeyError").with_attributes(number=2)


def test_one_name_may_stand_for_all_methods(observed: Observed) -> None:
    shop = obskit.observe_methods(make_shop(), include=("price", "check"), name="shop")()
    shop.price("a")
    shop.check("a")
    observed.operation("shop").times(2)


def test_what_is_an_operation_already_is_counted_once(observed: Observed) -> None:
    """Decorated by hand, decorated in bulk, or both: in whatever order and of whatever kind."""

    @obskit.observe_methods
    @obskit.observe_methods(exclude=("third",))
    class Worker:
        @obskit.observe("first")
        def first(self) -> None: ...

        @obskit.observe("second")
        @classmethod
        def second(cls) -> None: ...

        def third(self) -> None: ...

        @property
        @obskit.observe("fourth")
        def fourth(self) -> int:
            return 4

        @staticmethod
        @obskit.observe("fifth")
        def fifth() -> None: ...

    worker = Worker()
    for method in (worker.first, worker.second, worker.third, worker.fifth):
        method()
    assert worker.fourth == 4
    ended = sorted(name.rpartition(".")[2] for name in names(observed))
    assert ended == ["fifth", "first", "fourth", "second", "third"]


def test_inherited_methods_and_subclasses_are_apart(observed: Observed) -> None:
    class Base:
        def work(self) -> str:
            return "base"

        def rest(self) -> str:
            return "rest"

    @obskit.observe_methods(name="child.{method}")
    class Child(Base):
        def work(self) -> str:
            return f"child of {super().work()}"

    class Grandchild(Child):
        def work(self) -> str:
            return f"grandchild, {super().work()}"

    assert Base().work() == "base"
    assert Child().rest() == "rest"
    assert names(observed) == []
    assert Grandchild().work() == "grandchild, child of base"
    observed.operation("child.work").once()


def test_super_nests_the_operations_of_two_observed_classes(observed: Observed) -> None:
    @obskit.observe_methods(name="base.{method}")
    class Base:
        def work(self) -> None: ...

    @obskit.observe_methods(name="child.{method}")
    class Child(Base):
        def work(self) -> None:
            super().work()

    Child().work()
    assert observed.spans.tree() == {"child.work": {"base.work": {}}}


@dataclass(frozen=True, slots=True, order=True)
class Point:
    x: int

    def moved(self, by: int) -> "Point":
        return type(self)(self.x + by)


obskit.observe_methods(Point, name="point.{method}")


def test_dataclasses_with_slots_stay_what_they_are(observed: Observed) -> None:
    moved = Point(1).moved(2)
    assert moved == Point(3) > Point(2)
    assert pickle.loads(pickle.dumps(moved)) == moved
    assert not hasattr(moved, "__dict__")
    observed.operation("point.moved").once()


def test_a_dataclass_may_be_made_of_an_observed_class(observed: Observed) -> None:
    @dataclass(slots=True)
    @obskit.observe_methods(name="point.{method}")
    class Late:
        x: int = 1

        def double(self) -> int:
            return self.x * 2

    assert Late(4).double() == 8
    observed.operation("point.double").once()


def test_abstract_classes_stay_abstract(observed: Observed) -> None:
    @obskit.observe_methods(name="store.{method}")
    class Store(abc.ABC):
        @abc.abstractmethod
        def get(self) -> int: ...

        @property
        @abc.abstractmethod
        def size(self) -> int: ...

        def twice(self) -> int:
            return 2 * self.get()

    class Memory(Store):
        size = 1

        def get(self) -> int:
            return 3

    with pytest.raises(TypeError, match="abstract"):
        Store()  # type: ignore[abstract] # that it fails is the point
    assert Store.__abstractmethods__ == {"get", "size"}
    assert Memory().twice() == 6
    observed.operation("store.twice").once()


def test_enums_keep_their_members(observed: Observed) -> None:
    @obskit.observe_methods(name="colour.{method}")
    class Colour(enum.Enum):
        RED = 1
        GREEN = 2

        def mixed(self) -> str:
            return self.name.lower()

        @property
        def tone(self) -> int:
            return int(self.value)

    assert [colour.value for colour in Colour] == [1, 2]
    assert Colour.RED.mixed() == "red"
    assert Colour.GREEN.tone == 2
    assert pickle.loads(pickle.dumps(Colour.RED.value)) == 1
    observed.operation("colour.mixed").once()
    observed.operation("colour.tone").once()


def test_metaclasses_see_the_class_that_they_made(observed: Observed) -> None:
    @obskit.observe_methods(name="meta.{method}")
    class Meta(type):
        def made(cls) -> str:
            return cls.__name__

    @obskit.observe_methods(name="thing.{method}")
    class Thing(metaclass=Meta):
        def use(self) -> str:
            return type(self).made()

    assert Thing().use() == "Thing"
    assert observed.spans.tree() == {"thing.use": {"meta.made": {}}}


def test_instances_can_be_pickled(observed: Observed) -> None:
    point = pickle.loads(pickle.dumps(Point(7)))
    assert pickle.loads(pickle.dumps(point.moved))(1) == Point(8)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"include": ("prise",)}, "has no 'prise': did you mean 'price'?"),
    ({"exclude": ("prise",)}, "has no 'prise': did you mean 'price'?"),
    ({"include": "price"}, r"include='price': give several names, \('price',\) for one"),
    ({"exclude": 3}, "exclude=3: give several names"),
    ({"include": (3,)}, "has no 3"),
    ({"include": ("__eq__",)}, "Shop.__eq__ is inherited: observe it in the class"),
    ({"include": ("opened",)}, "Shop.opened is of type int, not a method or property"),
    ({"include": ("Till",)}, "Shop.Till is of type type, not a method"),
    ({"include": ("cached",)}, "Shop.cached is of type _lru_cache_wrapper"),
    ({"name": 3}, "name=3: give a text"),
    ({"name": "a\n"}, "operation name"),
    ({"slow": "2 s"}, "is not a number of seconds"),
    ({"labels": {"item": obskit.arg("item")}}, "has no parameter 'item'"),
    ({"attribute": {}}, "attribute"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[str(one) for one, _ in WRONG])
def test_what_is_wrong_is_said_and_nothing_is_changed(
    options: dict[str, Any], message: str
) -> None:
    shop_class = make_shop()
    before = dict(vars(shop_class))
    with pytest.raises((DeclarationError, LabelError), match=message):
        obskit.observe_methods(shop_class, **options)
    assert dict(vars(shop_class)) == before


@pytest.mark.parametrize("target", ["Shop", 3, len, Point(1)], ids=repr)
def test_only_classes_have_methods(target: Any) -> None:
    with pytest.raises(DeclarationError, match="is not a class"):
        obskit.observe_methods(target)


def test_a_class_that_cannot_be_changed_is_an_error() -> None:
    class Closed(type):
        def __setattr__(cls, name: str, value: Any) -> None:
            raise AttributeError("closed")

    class Shut(metaclass=Closed):
        def work(self) -> None: ...

    with pytest.raises(DeclarationError, match="Shut cannot be changed: closed"):
        obskit.observe_methods(Shut)
    assert obskit.observe_methods(sqlite3.Connection) is sqlite3.Connection  # nothing in Python
