"""Labels whose values are declared."""

import enum
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from obskit import metrics
from obskit.errors import DeclarationError, DuplicateError, LabelError
from obskit.metrics import AllowedValues, Counter, Enum, Family, Gauge, Histogram, Info, Summary


class Tier(enum.Enum):
    FREE = "free"
    PRO = "pro"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (Tier, ("free", "pro")),
        (Level, ("1", "2")),
        ([Tier.PRO, Level.LOW], ("pro", "1")),
        (("web", "app"), ("web", "app")),
        ({"web", "app"}, ("app", "web")),
        ({"web": 1, "app": 2}, ("web", "app")),
        ((1, True, "1.0"), ("1", "True", "1.0")),
        (iter(["web"]), ("web",)),
        (range(1000), tuple(map(str, range(1000)))),
    ],
)
def test_values_are_texts_in_the_order_given(values: Any, texts: tuple[str, ...]) -> None:
    assert AllowedValues(values).texts == texts


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "no allowed values"),
        (enum.Enum("Nothing", []), "no allowed values"),
        ("web", "not 'web'"),
        (b"web", "not b'web'"),
        (5, "an Enum class or a sequence of texts, .* not 5"),
        (["web", "app", "web"], "each allowed value once, not web"),
        ([1, "1"], "each allowed value once, not 1"),
        (range(1001), "more than 1000 allowed values"),
        (itertools.count(), "more than 1000 allowed values"),
        ([1.5], "texts, Enum members, whole numbers and booleans, not 1.5"),
        ([None], "not None"),
        (["x" * 257], "at most 256 characters"),
        (["a\0b"], "cannot be a label value"),
        (["\udcff"], "cannot be a label value"),
    ],
)
def test_values_that_bound_nothing_are_refused(values: Any, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        AllowedValues(values)


@pytest.mark.parametrize("other", [None, 5, "\0"])
def test_the_word_for_others_is_a_label_value(other: Any) -> None:
    with pytest.raises(DeclarationError, match="cannot be a label value"):
        AllowedValues(["web"], other)


@given(st.text(), st.lists(st.text(max_size=5), max_size=5))
def test_any_value_becomes_one_of_few(value: str, texts: list[str]) -> None:
    allowed = AllowedValues({"web", *[text for text in texts if text.isprintable()]}, "rest")
    assert allowed.text(value) == (value if value in allowed.texts else "rest")


@pytest.mark.parametrize(
    ("value", "text"),
    [(Tier.PRO, "pro"), ("pro", "pro"), ("Tier.PRO", "other"), (None, "other"), ([], "other")],
)
def test_members_and_their_values_mean_the_same(value: object, text: str) -> None:
    assert AllowedValues(Tier).text(value) == text
    assert AllowedValues([1, True]).text(1) == "1"
    assert AllowedValues([1, True]).text(True) == "True"


def test_a_value_without_a_text_is_another_one(faults: list[tuple[str, Exception]]) -> None:
    assert AllowedValues(Tier).text(Unprintable()) == "other"
    assert [site for site, _ in faults] == ["metrics.label"]


def test_equal_contents_are_equal() -> None:
    allowed = AllowedValues(Tier)
    assert allowed == AllowedValues(["free", "pro"])
    assert hash(allowed) == hash(AllowedValues(["free", "pro"]))
    assert allowed != AllowedValues(["pro", "free"])
    assert allowed != AllowedValues(Tier, other="rest")
    assert repr(allowed) == "AllowedValues(texts=('free', 'pro'), other='other')"


def test_values_that_are_not_allowed_are_counted_together(registry: CollectorRegistry) -> None:
    rest = AllowedValues(Tier, other="rest")
    orders = Counter("orders", "", ["tier", "shop"], registry=registry, allowed={"tier": rest})
    orders.labels(Tier.PRO, 1).inc()
    orders.labels("pro", 1).inc()
    orders.labels(shop=1, tier="gold").inc()
    orders.labels(None, 1).inc()
    assert orders.labels("gold", 1) is orders.labels(None, "1")
    for tier, count in (("pro", 2.0), ("rest", 2.0), ("free", None)):
        assert registry.get_sample_value("orders_total", {"tier": tier, "shop": "1"}) == count


@pytest.mark.parametrize("kind", [Counter, Gauge, Histogram, Summary, Enum])
def test_known_series_show_from_the_start(kind: Any, registry: CollectorRegistry) -> None:
    states = {"states": ["on"]} if kind is Enum else {}
    allowed = {"tier": Tier, "channel": ("web", "app")}
    metric = kind("m", "", ["channel", "tier"], registry=registry, allowed=allowed, **states)
    series = [labels for labels, _ in metric.family.series()]
    assert series == [
        {"channel": channel, "tier": tier} for channel in ("web", "app") for tier in ("free", "pro")
    ]
    assert generate_latest(registry).count(b'tier="pro"') >= 2
    assert b'tier="other"' not in generate_latest(registry)


def test_nothing_shows_from_the_start_where_a_label_is_open(registry: CollectorRegistry) -> None:
    Counter("orders", "", ["tier", "shop"], registry=registry, allowed={"tier": Tier})
    Counter("sales", "", [], registry=registry, allowed={}).inc()
    Info("build", "", ["tier"], registry=registry, allowed={"tier": Tier})
    page = generate_latest(registry)
    assert b"orders_total{" not in page
    assert b"build_info{" not in page


def test_more_known_series_than_there_may_be_are_refused(registry: CollectorRegistry) -> None:
    allowed = {"a": range(10), "b": range(10)}
    with pytest.raises(DeclarationError, match=r"'orders': 100 combinations .* max_series=99"):
        Counter("orders", "", ["a", "b"], registry=registry, allowed=allowed, max_series=99)
    assert generate_latest(registry) == b""
    Counter("orders", "", ["a", "b"], registry=registry, allowed=allowed, max_series=100)
    assert metrics.default_engine.dropped_series == {}


@pytest.mark.parametrize(
    ("allowed", "error", "message"),
    [
        ({"shop": ("a",)}, LabelError, "allowed values for shop, but its labels are tier"),
        ({"tier": "free"}, DeclarationError, "counter 'orders': label 'tier': allowed values are"),
        ({"tier": ()}, DeclarationError, "label 'tier': no allowed values"),
        (["tier"], DeclarationError, "allowed= takes label names and their values"),
    ],
)
def test_a_wrong_bound_is_named(allowed: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Counter("orders", "", ["tier"], registry=None, allowed=allowed)


def test_bounds_are_part_of_the_shape(registry: CollectorRegistry) -> None:
    first = Counter("orders", "", ["tier"], registry=registry, allowed={"tier": Tier})
    same = Counter("orders", "", ["tier"], registry=registry, allowed={"tier": ("free", "pro")})
    assert same == first
    with pytest.raises(DuplicateError, match=r"where tier is AllowedValues\(texts="):
        Counter("orders", "", ["tier"], registry=registry)


def test_only_a_known_series_is_removed(registry: CollectorRegistry) -> None:
    """What was counted under ``other`` for many values is not lost because one of them goes."""
    orders = Counter("orders", "", ["tier"], registry=registry, allowed={"tier": Tier})
    orders.labels("gold").inc()
    orders.remove("gold")
    orders.remove_by_labels({"tier": "gold"})
    assert registry.get_sample_value("orders_total", {"tier": "other"}) == 1.0
    orders.remove(Tier.PRO)
    orders.remove_by_labels({"tier": Tier.FREE})
    orders.remove("other")
    assert [labels for labels, _ in orders.family.series()] == []


def test_a_family_keeps_its_bounds_as_data(registry: CollectorRegistry) -> None:
    family = Gauge("a", "", ["x", "y"], registry=registry, allowed={"y": Tier, "x": ["ab"]})
    assert isinstance(family.family, Family)
    assert family.family.spec.allowed == (("x", AllowedValues(["ab"])), ("y", AllowedValues(Tier)))
