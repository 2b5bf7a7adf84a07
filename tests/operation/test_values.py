"""Labels, attributes and events: where they come from, where they go, how many there may be."""

import functools
from collections import UserDict
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest

import obskit
from obskit import arg
from obskit.testing import Observed


@dataclass
class Order:
    id: int
    lines: dict[str, Any]


ORDER = Order(7, {"first": {"sku": "x1"}})


def sites(observed: Observed) -> list[str]:
    return [site for site, _ in observed.internal_errors()]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("order.id", 7),
        ("order.lines.first.sku", "x1"),
        ("amount", 5),
        ("currency", "eur"),
        ("note", None),
        ("extra", (1, 2)),
        ("options", {"colour": "red"}),
        ("options.colour", "red"),
    ],
)
def test_an_attribute_comes_from_the_arguments(path: str, value: Any, observed: Observed) -> None:
    """Attributes and keys, positions, defaults, keyword-only and collected parameters."""

    @obskit.observe("pay", attributes={"taken": arg(path)})
    def pay(
        order: Order,
        amount: int,
        *extra: int,
        currency: str = "eur",
        note: Any = None,
        **options: Any,
    ) -> None: ...

    pay(ORDER, 5, 1, 2, colour="red")
    observed.operation("pay").once().with_attributes(taken=value)


@pytest.mark.parametrize("call", ["positional", "keyword", "default"])
def test_an_argument_is_found_however_it_is_given(call: str, observed: Observed) -> None:
    @obskit.observe("pay", labels={"kind": arg("kind")})
    def pay(amount: int, kind: str = "card") -> None: ...

    {
        "positional": lambda: pay(1, "card"),
        "keyword": lambda: pay(kind="card", amount=1),
        "default": lambda: pay(1),
    }[call]()
    observed.operation("pay").once().with_labels(kind="card")
    assert observed.metrics.delta("operations_total", operation="pay", kind="card") == 1


@pytest.mark.parametrize(
    "mapping", [dict, UserDict, MappingProxyType], ids=lambda kind: kind.__name__
)
def test_a_step_into_a_mapping_is_a_key_before_it_is_an_attribute(
    mapping: Any, observed: Observed
) -> None:
    @obskit.observe("read", attributes={"key": arg("given.keys"), "other": arg("given.get")})
    def read(given: Any) -> None: ...

    given = mapping({"keys": "a key"})
    read(given)
    observed.operation("read").with_attributes(key="a key", other=given.get)


@pytest.mark.parametrize("path", ["order.nothing", "order.lines.second"])
def test_a_path_that_leads_nowhere_is_none_and_counted(path: str, observed: Observed) -> None:
    @obskit.observe("pay", attributes={"taken": arg(path)})
    def pay(order: Order) -> int:
        return order.id

    assert pay(ORDER) == 7
    assert sites(observed) == ["operation.arg"]
    observed.operation("pay").once().with_attributes(taken=None)


def test_an_attribute_that_raises_is_counted(observed: Observed) -> None:
    class Lazy:
        @property
        def id(self) -> int:
            raise ConnectionError

    @obskit.observe("pay", attributes={"id": arg("order.id")})
    def pay(order: Lazy) -> None: ...

    pay(Lazy())
    assert sites(observed) == ["operation.arg"]


def test_a_missing_argument_is_the_callers_error(observed: Observed) -> None:
    @obskit.observe("pay", attributes={"amount": arg("amount")})
    def pay(amount: int) -> None: ...

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'amount'"):
        pay()  # type: ignore[call-arg] # the mistake under test
    assert sites(observed) == ["operation.arg"]
    observed.operation("pay").once().with_error("TypeError")


def test_arguments_of_methods_partials_and_objects(observed: Observed) -> None:
    class Till:
        name = "north"

        @obskit.observe("take", attributes={"till": arg("self.name"), "amount": arg("amount")})
        def take(self, amount: int) -> None: ...

        @obskit.observe("open", attributes={"code": arg("code")})
        @classmethod
        def open(cls, code: int) -> None: ...

        def __call__(self, amount: int) -> None: ...

    Till().take(3)
    Till.open(4)
    observe = obskit.observe("other", attributes={"amount": arg("amount")})
    observe(Till())(5)
    observe(functools.partial(lambda till, amount: None, "x"))(6)
    observe(functools.partial(lambda till, amount: None, amount=7))("x")
    observe(Till().__call__)(8)
    observed.operation("take").once().with_attributes(till="north", amount=3)
    observed.operation("open").once().with_attributes(code=4)
    for amount in (5, 6, 7, 8):
        observed.operation("other").times(4).with_attributes(amount=amount)


def test_labels_reach_all_three_signals_and_attributes_two(observed: Observed) -> None:
    @obskit.observe("work", labels={"tier": "gold"}, attributes={"order": 7}, region="eu")
    def work() -> None:
        obskit.current().set(rows=3, order=8)
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        work()
    labels = {"tier": "gold", "region": "eu"}
    observed.operation("work").once().with_labels(**labels).with_attributes(rows=3, order=8)
    (sample,) = (dict(s) for name, s, _ in observed.metrics.moved() if name == "operations_total")
    assert sample == {**labels, "operation": "work", "outcome": "error", "error_type": "ValueError"}
    line = observed.logs.one(event="operation failed", **labels, order=8, rows=3)
    assert line["error_type"] == "ValueError"
    assert dict(observed.spans.one("work").attributes or {}) == {
        **labels,
        "order": 8,
        "rows": 3,
        "obskit.outcome": "error",
        "error.type": "ValueError",
    }


def test_attributes_are_those_of_one_operation(observed: Observed) -> None:
    work = obskit.observe("work", attributes={"rows": 0})
    with work as first:
        first.set(rows=1)
    with work as second:
        assert second.attributes == {"rows": 0}


def test_span_attributes_are_plain_and_none_is_left_out(observed: Observed) -> None:
    with obskit.observe("work", attributes={"order": ORDER, "nothing": None, "flag": True}):
        pass
    attributes = observed.spans.one("work").attributes or {}
    assert attributes["order"] == str(ORDER)
    assert attributes["flag"] is True
    assert "nothing" not in attributes


def test_current_finds_the_innermost_operation(observed: Observed) -> None:
    @obskit.observe("inner")
    def inner() -> None:
        obskit.current().set(found=True)

    with obskit.observe("outer"):
        inner()
    observed.operation("inner").with_attributes(found=True)
    with pytest.raises(AssertionError):
        observed.operation("outer").with_attributes(found=True)


def test_without_an_operation_everything_is_forgotten() -> None:
    nothing = obskit.current()
    nothing.set(rows=1)
    nothing.event("noticed")
    nothing.outcome = "error"
    nothing.enter()
    nothing.suspend()
    nothing.leave()
    nothing.end(ValueError())
    assert (nothing.outcome, nothing.attributes, nothing.events) == ("ok", {}, [])
    assert obskit.current() is nothing


def test_events_are_points_on_the_span(observed: Observed) -> None:
    with obskit.observe("work") as operation:
        operation.event("evicted", count=3, order=ORDER)
    observed.operation("work").once().with_event("evicted", count=3)
    (event,) = observed.spans.one("work").events
    assert (event.name, dict(event.attributes or {})) == (
        "evicted",
        {"count": 3, "order": str(ORDER)},
    )
    observed.logs.none(event="evicted")


def test_events_are_log_lines_where_asked_for(observed: Observed) -> None:
    with obskit.observe("work", log_events=True) as operation:
        operation.event("evicted", count=3, operation="mine")
    line = observed.logs.one(event="evicted")
    assert (line["operation"], line["operation_"], line["count"]) == ("work", "mine", 3)
    assert (line["level"], line["logger"]) == ("info", __name__)


def test_attributes_with_the_names_of_fixed_fields_give_way(observed: Observed) -> None:
    with obskit.observe("work", attributes={"outcome": "mine", "service": "x"}) as operation:
        operation.outcome = "error"
    line = observed.logs.one(event="operation failed", operation="work")
    assert (line["outcome"], line["outcome_"], line["service_"]) == ("error", "mine", "x")


def test_no_more_than_128_attributes_are_kept(observed: Observed) -> None:
    with obskit.observe("work") as operation:
        for number in range(130):
            operation.set(**{f"a{number}": number})
        operation.set(a0="again", a200=1)
        assert len(operation.attributes) == 128
        assert operation.attributes["a0"] == "again"
    assert sites(observed) == ["operation.set"] * 3


def test_no_more_than_128_events_are_kept(observed: Observed) -> None:
    with obskit.observe("work") as operation:
        for _ in range(130):
            operation.event("again")
    assert len(observed.spans.one("work").events) == 128
    assert sites(observed) == ["operation.event"] * 2


def test_label_values_without_end_share_one_series(observed: Observed) -> None:
    """10,000 values of one label: as many series as the settings allow, and a count of the rest."""

    @obskit.observe("work", labels={"user": arg("user")})
    def work(user: int) -> None: ...

    before = observed.metrics.value("obskit_dropped_series_total", family="operations")
    for user in range(10_000):
        work(user)
    series = [labels for name, labels, _ in observed.metrics.moved() if name == "operations_total"]
    assert len(series) == 2_001
    assert observed.metrics.delta("operations_total") == 10_000
    assert observed.metrics.delta("operations_total", user="_overflow") == 8_000
    after = observed.metrics.value("obskit_dropped_series_total", family="operations")
    assert after - before == 8_000
    observed.logs.one(logger="obskit.metrics", level="warning", event=_overflow("operations"))


def test_an_operation_without_bounds_hides_no_other(observed: Observed) -> None:
    with obskit.observe("first"):
        pass
    for user in range(2_100):
        with obskit.observe("unbounded", user=user):
            pass
    for name in ("first", "second"):
        with obskit.observe(name, tier="l2"):
            pass
        assert observed.metrics.delta("operations_total", operation=name, tier="l2") == 1
    assert observed.metrics.delta("operations_total", operation="unbounded") == 2_100


def _overflow(family: str) -> str:
    return (
        f"metric {family} has 2000 series of work, its limit: further ones are counted together"
        " under _overflow"
    )


def test_a_label_whose_text_raises_is_counted_and_changes_nothing(observed: Observed) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    @obskit.observe("work", labels={"who": arg("who")}, attributes={"whom": arg("who")})
    def work(who: Any) -> int:
        raise LookupError

    with pytest.raises(LookupError):
        work(Hostile())
    assert observed.metrics.delta("operations_total", who="<unprintable>") == 1
    assert observed.logs.one(event="operation failed")["whom"] == "<unprintable>"
    assert sites(observed) == ["metrics.label"]


def test_a_long_label_is_cut(observed: Observed) -> None:
    with obskit.observe("work", text="x" * 1000):
        pass
    observed.operation("work").with_labels(text="x" * 255 + "…")
