"""Labels whose values are declared, and the zeros that such declarations show before any call."""

import enum
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from tests.kits.emitted import Emitted, emitting

import obskit
from obskit import MetricNames, arg
from obskit.errors import DeclarationError
from obskit.metrics import AllowedValues
from obskit.testing import Observed


class Tier(enum.Enum):
    FREE = "free"
    PRO = "pro"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Channel(enum.StrEnum):
    WEB = "web"
    APP = "app"


@dataclass
class User:
    tier: Any


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("broken")


pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture
def emitted() -> Generator[Emitted]:
    with emitting() as emitted:
        yield emitted
        assert emitted.faults == []


@pytest.mark.parametrize(
    ("one_of", "other", "value", "text"),
    [
        (Tier, "other", Tier.PRO, "pro"),
        (Tier, "other", "pro", "pro"),
        (Tier, "other", "PRO", "other"),
        (Tier, "rest", "gold", "rest"),
        (Tier, "free", None, "free"),
        (Channel, "other", Channel.WEB, "web"),
        (Channel, "other", "web", "web"),
        (Level, "other", Level.HIGH, "2"),
        (Level, "other", 2, "2"),
        (Level, "other", 3, "other"),
        (Level, "other", True, "other"),
        (("a", "b"), "other", "b", "b"),
        (["a", Tier.PRO, 5, True], "other", 5, "5"),
        (["a", Tier.PRO, 5, True], "other", True, "True"),
        (["a", Tier.PRO, 5, True], "other", 1, "other"),
        ({"a", "b"}, "other", ["a"], "other"),
        (("a",), "other", "x" * 1000, "other"),
    ],
)
def test_a_value_is_one_of_those_declared_or_another(
    one_of: Any, other: str, value: Any, text: str, observed: Observed
) -> None:
    @obskit.observe("work", labels={"tier": arg("user.tier", one_of=one_of, other=other)})
    def work(user: User) -> None: ...

    work(User(value))
    work(User(value))
    observed.operation("work").times(2).with_labels(tier=text)
    assert observed.metrics.delta("operations_total", operation="work", tier=text) == 2


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_whatever_comes_there_are_no_more_series(values: list[Any]) -> None:
    with emitting() as emitted:

        @obskit.observe("work", labels={"tier": arg("tier", one_of=("a", 1, "True"))})
        def work(tier: Any) -> None: ...

        for value in values:
            work(value)
        known = {
            "a": values.count("a"),
            "1": sum(1 for value in values if str(value) == "1"),
            "True": sum(1 for value in values if str(value) == "True"),
        }
        for text, times in known.items():
            assert emitted.count(operation="work", tier=text) == times
        assert emitted.count(operation="work") == len(values)
        assert len(emitted.samples("operations_total", operation="work")) <= 3 * 2 + 1
        assert emitted.faults == []


def test_texts_numbers_and_truth_values_are_told_apart(emitted: Emitted) -> None:
    """They are equal as keys, and have different texts."""

    @obskit.observe("work", labels={"value": arg("value")})
    def work(value: Any) -> None: ...

    for value in (1, True, 1.0, "1", Level.LOW, "True"):
        work(value)
    counts = {text: emitted.count(operation="work", value=text) for text in ("1", "True", "1.0")}
    assert counts == {"1": 3, "True": 2, "1.0": 1}


def test_more_texts_than_are_remembered_are_still_right(emitted: Emitted) -> None:
    @obskit.observe("work", labels={"known": arg("text", one_of=("7", "1999"))})
    def work(text: str) -> None: ...

    for _ in range(2):
        for number in range(2_000):
            work(str(number))
    assert [emitted.count(operation="work", known=text) for text in ("7", "1999")] == [2, 2]
    assert emitted.count(operation="work", known="other") == 2 * 1_998


@pytest.mark.parametrize("user", [None, User(Unprintable())])
def test_a_value_that_cannot_be_read_is_another_one(user: Any) -> None:
    with emitting() as emitted:

        @obskit.observe("work", labels={"tier": arg("user.tier", one_of=Tier)})
        def work(user: User) -> str:
            return "done"

        assert work(user) == "done"
        assert emitted.count(operation="work", tier="other") == 1
        assert len(emitted.faults) == 1


def test_an_attribute_is_what_it_was(observed: Observed) -> None:
    """Only labels have to be few."""
    place = arg("tier", one_of=("a", "b"))

    @obskit.observe("work", labels={"tier": place}, attributes={"given": place})
    def work(tier: str) -> None: ...

    work("gold")
    observed.operation("work").once().with_labels(tier="other").with_attributes(given="gold")


def test_one_declaration_serves_several_functions(emitted: Emitted) -> None:
    observe = obskit.observe("work", labels={"tier": arg("tier", one_of=Tier)})

    @observe
    def first(tier: Any) -> None: ...

    @observe
    def second(number: int, tier: Any) -> None: ...

    first(Tier.PRO)
    second(1, "pro")
    assert emitted.count(operation="work", tier="pro") == 2


@pytest.mark.parametrize(
    ("one_of", "other"),
    [((), "other"), ("web", "other"), (5, "other"), (["a", "a"], "other"), (["a"], None)],
)
def test_what_bounds_nothing_is_refused_at_once(one_of: Any, other: Any) -> None:
    with pytest.raises(DeclarationError):
        arg("user.tier", one_of=one_of, other=other)


def test_values_of_blocks_are_bounded_by_hand(observed: Observed) -> None:
    tiers = AllowedValues(Tier)
    for value in (Tier.PRO, "pro", "gold", None):
        with obskit.observe("work", tier=tiers.text(value)):
            pass
    for tier in ("pro", "other"):
        assert observed.metrics.delta("operations_total", operation="work", tier=tier) == 2


# Zeros


def zeros(emitted: Emitted, **labels: str) -> list[float]:
    return emitted.samples("operations_total", operation="work", **labels)


def test_success_and_failure_are_0_before_the_first_call(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> None: ...

    assert zeros(emitted, outcome="ok", error_type="") == [0]
    assert zeros(emitted, outcome="error", error_type="") == [0]
    assert len(zeros(emitted)) == 2
    assert emitted.samples("operations_in_progress", operation="work") == [0]
    work()
    assert zeros(emitted, outcome="ok") == [1]
    assert zeros(emitted, outcome="error") == [0]


def test_what_is_decorated_before_shows_when_it_is_configured() -> None:
    @obskit.observe("decorated before")
    def work() -> None: ...

    def shown() -> float | None:
        labels = {"operation": "decorated before", "outcome": "ok", "error_type": ""}
        return REGISTRY.get_sample_value("operations_total", labels)

    assert shown() is None
    with emitting() as emitted:
        assert emitted.samples("operations_total", operation="decorated before") == [0, 0]
        assert shown() is None
    assert shown() is None


def test_all_combinations_of_known_values_are_0(emitted: Emitted) -> None:
    @obskit.observe(
        "work",
        labels={
            "tier": arg("user.tier", one_of=Tier),
            "channel": arg("channel", one_of=("web", "app"), other="rest"),
            "shop": "main",
        },
    )
    def work(user: User, channel: str) -> None: ...

    assert zeros(emitted) == [0] * (2 * 2 * 2)
    for tier in ("free", "pro"):
        for channel in ("web", "app"):
            for outcome in ("ok", "error"):
                labels = {"tier": tier, "channel": channel, "shop": "main", "outcome": outcome}
                assert zeros(emitted, **labels) == [0]
    assert zeros(emitted, tier="other") == zeros(emitted, channel="rest") == []
    work(User("gold"), "pigeon")
    assert zeros(emitted, tier="other", channel="rest") == [1]


def test_nothing_is_shown_where_a_label_may_have_any_value(emitted: Emitted) -> None:
    @obskit.observe("work", labels={"tier": arg("tier", one_of=Tier), "shop": arg("shop")})
    def work(tier: Tier, shop: str) -> None: ...

    assert zeros(emitted) == []
    work(Tier.PRO, "main")
    assert zeros(emitted) == [1]


def test_blocks_show_nothing_before_they_run(emitted: Emitted) -> None:
    block = obskit.observe("work", tier="l2")
    assert zeros(emitted) == []
    with block:
        pass
    assert zeros(emitted) == [1]


@pytest.mark.parametrize(("values", "shown"), [(10, 10 * 100 * 2), (11, 0)])
def test_a_thousand_combinations_are_shown_and_no_more(values: int, shown: int) -> None:
    with emitting(max_series=5_000) as emitted:

        @obskit.observe(
            "work",
            labels={"a": arg("a", one_of=range(100)), "b": arg("b", one_of=range(values))},
        )
        def work(a: int, b: int) -> None: ...

        assert len(zeros(emitted)) == shown
        work(99, 9)
        assert zeros(emitted, a="99", b="9", outcome="ok") == [1]


def test_zeros_have_the_names_and_words_of_the_declaration(emitted: Emitted) -> None:
    names = MetricNames(
        total="sessions_total",
        duration="session_seconds",
        in_progress="sessions_running",
        operation=None,
        outcome="status",
        error_type=None,
        outcomes={"ok": "success", "error": "failure", "cancelled": "stopped", "closed": "left"},
    )

    @obskit.observe("work", labels={"tier": arg("tier", one_of=Tier)}, names=names)
    def work(tier: Tier) -> None: ...

    for status in ("success", "failure"):
        assert emitted.samples("sessions_total", status=status, tier="pro") == [0]
    assert len(emitted.samples("sessions_total")) == 4


def test_each_configuration_has_its_zeros(emitted: Emitted) -> None:
    @obskit.observe("work", labels={"tier": arg("tier", one_of=Tier)})
    def work(tier: str) -> None: ...

    work("pro")
    with emitting(namespace="shop") as other:
        assert other.samples("shop_operations_total", operation="work") == [0] * 4
    assert zeros(emitted, tier="pro", outcome="ok") == [1]


def test_nothing_is_shown_while_it_is_switched_off() -> None:
    with emitting() as emitted:
        with obskit.control.disable("work", signals={"metric"}):

            @obskit.observe("work")
            def work() -> None: ...

            assert zeros(emitted) == []
        assert zeros(emitted) == [0, 0]


def test_a_recorder_shows_no_zeros(observed: Observed) -> None:
    """A test of what has moved is not disturbed by what has not."""

    @obskit.observe("work", labels={"tier": arg("tier", one_of=Tier)})
    def work(tier: Tier) -> None: ...

    work(Tier.PRO)
    moved = [labels for name, labels, _ in observed.metrics.moved() if name == "operations_total"]
    assert [dict(labels)["tier"] for labels in moved] == ["pro"]


def test_zeros_leave_room_for_what_happens() -> None:
    with emitting(max_series=6) as emitted:

        @obskit.observe("work", labels={"kind": arg("kind", one_of=("a", "b", "c"))})
        def work(kind: str) -> None: ...

        assert zeros(emitted) == []
        work("c")
        assert emitted.count(kind="c") == 1
        assert emitted.samples("operations_total", kind="_overflow") == []


def test_another_word_for_others_needs_known_values() -> None:
    with pytest.raises(DeclarationError, match="other='else' goes with one_of="):
        arg("kind", other="else")


def test_an_enum_member_means_its_value_in_blocks_as_well(emitted: Emitted) -> None:
    class Tier(enum.Enum):
        FREE = "free"

    with obskit.observe("work", tier=Tier.FREE):
        pass
    assert emitted.count(tier="free") == 1
