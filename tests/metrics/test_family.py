"""Families: their series, and how many there may be."""

import logging
import re
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from obskit.errors import InvalidNameError, LabelError
from obskit.metrics import (
    OVERFLOW,
    Counter,
    Engine,
    Family,
    Gauge,
    MetricSpec,
    declare,
    label_text,
)

ORDERS = MetricSpec("counter", "orders", "Orders placed.", ("channel",))


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Rejecting(logging.Filter):
    """A filter of the host's that fails."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise RuntimeError(record.msg)


def totals(family: Family) -> dict[tuple[str, ...], float]:
    return {tuple(labels.values()): cell.value for labels, cell in family.series()}


def test_the_same_values_are_the_same_series(engine: Engine) -> None:
    family = Family(ORDERS, engine=engine)
    assert family.cell(("web",)) is family.cell(("web",))
    assert family.cell(("web",)) is not family.cell(("app",))


def test_a_family_shows_no_series_that_nobody_has_asked_for(engine: Engine) -> None:
    family = Family(MetricSpec("gauge", "level", ""), engine=engine)
    family.cell(("cold",), ("tier",)).set(1)
    assert totals(family) == {("cold",): 1.0}


def test_the_series_without_labels_is_not_subject_to_the_cap(engine: Engine) -> None:
    family = Family(MetricSpec("gauge", "level", ""), max_series=0, engine=engine)
    family.cell(())
    assert totals(family) == {(): 0.0}
    assert engine.dropped_series == {}


def test_a_metric_without_labels_is_0_rather_than_absent() -> None:
    gauge = Gauge("level", "", registry=None)
    assert totals(gauge.family) == {(): 0.0}


def test_a_family_may_hold_series_with_further_labels(
    registry: CollectorRegistry, engine: Engine
) -> None:
    family = declare(registry, ORDERS, engine=engine)
    family.cell(("web",)).inc()
    family.cell(("web", "visa"), ("channel", "card")).inc(2)
    assert registry.get_sample_value("orders_total", {"channel": "web"}) == 1.0
    assert registry.get_sample_value("orders_total", {"channel": "web", "card": "visa"}) == 2.0
    assert generate_latest(registry).count(b"# TYPE orders_total counter") == 1


def test_further_labels_are_checked(engine: Engine) -> None:
    family = Family(ORDERS, engine=engine)
    with pytest.raises(InvalidNameError, match="counter 'orders': label name 'a-b'"):
        family.cell(("web", "x"), ("channel", "a-b"))
    with pytest.raises(LabelError, match="each label name once"):
        family.cell(("web", "x"), ("channel", "channel"))
    with pytest.raises(LabelError, match="'orders': incorrect label count: 1 expected"):
        family.cell(("web", "x"))


def test_series_beyond_the_limit_are_counted_together(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    family = Family(ORDERS, max_series=3, engine=engine)
    for number in range(10):
        family.cell((str(number),)).inc()
    family.cell(("1",)).inc()
    family.cell(("web", "visa"), ("channel", "card")).inc(5)
    assert totals(family) == {
        ("0",): 1.0,
        ("1",): 2.0,
        ("2",): 1.0,
        (OVERFLOW,): 7.0,
        (OVERFLOW, OVERFLOW): 5.0,
    }
    assert engine.dropped_series == {"orders": 8}
    assert [record.getMessage() for record in caplog.records] == [
        "metric orders has 3 series, its limit: further ones are counted together under _overflow"
    ]


def test_room_made_by_removing_is_used_again(engine: Engine) -> None:
    family = Family(ORDERS, max_series=1, engine=engine)
    family.cell(("a",)).inc()
    family.remove(("a",))
    family.cell(("b",)).inc()
    assert totals(family) == {("b",): 1.0}


def test_a_log_filter_that_fails_does_not_reach_the_caller(
    engine: Engine, faults: list[tuple[str, Exception]]
) -> None:
    logger = logging.getLogger("obskit.metrics")
    rejecting = Rejecting()
    logger.addFilter(rejecting)
    try:
        Family(ORDERS, max_series=0, engine=engine).cell(("a",)).inc()
    finally:
        logger.removeFilter(rejecting)
    assert [site for site, _ in faults] == ["metrics.series"]


def test_clearing_forgets_everything_but_a_series_without_labels(engine: Engine) -> None:
    family = Family(ORDERS, max_series=2, engine=engine)
    for channel in ("a", "b", "c"):
        family.cell((channel,))
    family.clear()
    assert totals(family) == {}
    single = Family(MetricSpec("counter", "single", ""), engine=engine)
    single.cell(()).inc()
    single.clear()
    assert totals(single) == {(): 1.0}


def test_removal_by_labels_reaches_series_with_further_labels(engine: Engine) -> None:
    family = Family(ORDERS, engine=engine)
    for values, names in (
        (("web",), ("channel",)),
        (("web", "visa"), ("channel", "card")),
        (("app", "visa"), ("channel", "card")),
    ):
        family.cell(values, names)
    family.remove_by_labels({})
    assert len(totals(family)) == 3
    family.remove_by_labels({"channel": "web"})
    assert totals(family) == {("app", "visa"): 0.0}


def test_threads_may_add_and_remove_while_another_collects(
    registry: CollectorRegistry, engine: Engine
) -> None:
    family = declare(registry, ORDERS, engine=engine)
    stop = threading.Event()
    errors: list[Exception] = []

    def churn(thread: int) -> None:
        try:
            number = 0
            while not stop.is_set():
                number += 1
                family.cell((f"{thread}.{number}",)).inc()
                family.remove((f"{thread}.{number - 50}",))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            generate_latest(registry)
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert errors == []


def test_a_label_value_that_utf_8_cannot_hold_is_made_one_that_it_can(
    registry: CollectorRegistry,
) -> None:
    orders = Counter("orders", "", ["channel"], registry=registry)
    for _ in range(2):
        orders.labels("a\ud800b").inc()
    assert b'orders_total{channel="a?b"} 2.0' in generate_latest(registry)


@given(st.text() | st.integers() | st.none() | st.binary())
def test_any_value_makes_a_bounded_printable_text(value: object) -> None:
    text = label_text(value)
    assert len(text) <= 256
    assert "\0" not in text
    text.encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("web", "web"),
        (3, "3"),
        ("x" * 256, "x" * 256),
        ("x" * 257, "x" * 255 + "…"),
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
    ],
)
def test_label_texts(value: object, text: str) -> None:
    assert label_text(value) == text


def test_a_value_without_a_text_gets_a_placeholder(faults: list[tuple[str, Exception]]) -> None:
    assert label_text(Unprintable()) == "<unprintable>"
    assert [site for site, _ in faults] == ["metrics.label"]


def test_a_family_tells_its_shape(engine: Engine) -> None:
    described: Any = re.escape("<Family counter orders{channel}>")
    assert re.fullmatch(described, repr(Family(ORDERS, engine=engine)))


JOBS = MetricSpec("counter", "jobs", "", ("operation", "outcome"))


def own_cell(family: Family, operation: str, own: str) -> Any:
    return family.cell(
        (operation, "ok", own), ("operation", "outcome", "own"), group=operation, kept=2
    )


def test_a_group_that_is_full_leaves_room_to_others_and_keeps_its_leading_labels(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    family = Family(JOBS, max_series=2, engine=engine)
    for number in range(5):
        own_cell(family, "bad", str(number)).inc()
    own_cell(family, "good", "x").inc()
    family.cell(("bad", "ok"), group="bad", kept=2).inc()
    assert totals(family) == {
        ("bad", "ok", "0"): 1.0,
        ("bad", "ok", "1"): 1.0,
        ("bad", "ok", OVERFLOW): 3.0,
        ("good", "ok", "x"): 1.0,
        ("bad", "ok"): 1.0,
    }
    assert engine.dropped_series == {"jobs": 3}
    (record,) = caplog.records
    assert record.getMessage().startswith("metric jobs has 2 series of bad, its limit: ")


def test_a_full_group_whose_labels_are_all_kept_loses_nothing(engine: Engine) -> None:
    family = Family(JOBS, max_series=1, engine=engine)
    for outcome in ("ok", "error", "error"):
        family.cell(("a", outcome), group="a", kept=2).inc()
    assert totals(family) == {("a", "ok"): 1.0, ("a", "error"): 2.0}


def test_room_made_in_a_group_is_used_again(engine: Engine) -> None:
    family = Family(JOBS, max_series=1, engine=engine)
    own_cell(family, "a", "1")
    own_cell(family, "b", "1")
    family.remove_by_labels({"operation": "a"})
    own_cell(family, "a", "2")
    own_cell(family, "b", "2")
    assert set(totals(family)) == {("b", "ok", "1"), ("a", "ok", "2"), ("b", "ok", OVERFLOW)}
    family.clear()
    own_cell(family, "b", "3")
    assert set(totals(family)) == {("b", "ok", "3")}


def test_groups_are_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obskit.metrics._family.MAX_GROUPS", 2)
    family = Family(JOBS, engine=engine)
    for operation in ("a", "b", "c", "d", "a"):
        family.cell((operation, "ok"), group=operation, kept=1).inc()
    assert totals(family) == {("a", "ok"): 2.0, ("b", "ok"): 1.0, (OVERFLOW, OVERFLOW): 2.0}


def test_groups_may_share_a_series(engine: Engine) -> None:
    family = Family(JOBS, engine=engine)
    assert family.cell(("", "ok"), group="a") is family.cell(("", "ok"), group="b")


def test_a_value_that_reads_like_overflow_is_shown_once(
    registry: CollectorRegistry, engine: Engine
) -> None:
    family = declare(registry, ORDERS, max_series=1, engine=engine)
    for channel in (OVERFLOW, "a", "b"):
        family.cell((channel,)).inc()
    lines = generate_latest(registry).decode().splitlines()
    shown = [line for line in lines if line.startswith("orders_total")]
    assert len(shown) == len({line.split(" ")[0] for line in shown})
    assert sum(float(line.split(" ")[1]) for line in shown) == 3
