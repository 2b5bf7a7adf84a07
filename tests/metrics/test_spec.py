"""Metric families as data: names, labels, buckets."""

import math
import re
from typing import Any

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from obskit.errors import DeclarationError, InvalidNameError, LabelError
from obskit.metrics import DEFAULT_BUCKETS, Histogram, MetricSpec, check_label_names


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("orders-placed", "orders_placed"),
        ("2xx", "_2xx"),
        ("orders.placed", "orders_placed"),
        ("größe", "gr__e"),
        ("orders\n", "orders_"),
    ],
)
def test_a_bad_metric_name_is_refused_with_a_good_one(name: str, remedy: str) -> None:
    with pytest.raises(InvalidNameError, match=re.escape(f"write '{remedy}'")):
        MetricSpec("gauge", name, "")


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_metric_needs_a_name(name: Any) -> None:
    with pytest.raises(InvalidNameError, match="a gauge needs a name"):
        MetricSpec("gauge", name, "")


@pytest.mark.parametrize(
    ("label", "remedy"),
    [("a-b", "a_b"), ("__name__", "name__"), ("1st", "_1st"), ("", "_"), ("a:b", "a_b"), (3, "_3")],
)
def test_a_bad_label_name_is_refused_with_a_good_one(label: Any, remedy: str) -> None:
    with pytest.raises(InvalidNameError, match=f"metric|gauge 'a'.*write '{remedy}'"):
        MetricSpec("gauge", "a", "", (label,))


@given(st.text(), st.text())
def test_what_is_accepted_is_what_every_prometheus_accepts(name: str, label: str) -> None:
    try:
        MetricSpec("gauge", name, "", (label,))
    except InvalidNameError:
        return
    assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name)
    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", label)
    assert not label.startswith("__")


@given(st.text(min_size=1))
def test_the_remedy_for_a_metric_name_is_itself_accepted(name: str) -> None:
    try:
        MetricSpec("gauge", name, "")
    except InvalidNameError as error:
        remedy = str(error).rsplit("write ", 1)[1].strip("'")
        assert MetricSpec("gauge", remedy, "").name == remedy


def test_a_histogram_keeps_le_for_itself() -> None:
    with pytest.raises(InvalidNameError, match="'le' is reserved"):
        MetricSpec("histogram", "a", "", ("le",))
    assert MetricSpec("gauge", "a", "", ("le",)).labels == ("le",)


@pytest.mark.parametrize(
    ("labels", "message"),
    [(("a", "b", "a"), "each label name once"), ("method", r"write \['method'\]")],
)
def test_label_names_are_a_sequence_without_repetition(labels: Any, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        MetricSpec("counter", "a", "", labels)


def test_label_names_can_be_checked_for_something_else() -> None:
    assert check_label_names(["a", "b"], "operation 'x'") == ("a", "b")
    with pytest.raises(InvalidNameError, match="operation 'x': label name 'a b'"):
        check_label_names(["a b"], "operation 'x'")


@pytest.mark.parametrize(
    "buckets", [(), (math.inf,), (2, 1), (1, 1), (1, math.nan), ("x",), (None,), (-math.inf, 1)]
)
def test_buckets_ascend_and_one_is_finite(buckets: Any) -> None:
    with pytest.raises(DeclarationError, match="histogram 'latency'"):
        MetricSpec("histogram", "latency", "", buckets=buckets)


def test_buckets_end_with_infinity_and_belong_to_histograms() -> None:
    texts: Any = ("0.5", 1)
    assert MetricSpec("histogram", "a", "", buckets=texts).buckets == (0.5, 1.0, math.inf)
    assert MetricSpec("histogram", "a", "").buckets == DEFAULT_BUCKETS
    assert MetricSpec("gauge", "a", "").buckets == ()


def test_the_default_buckets_are_prometheus_clients() -> None:
    assert prometheus_client.Histogram.DEFAULT_BUCKETS == DEFAULT_BUCKETS
    assert Histogram.DEFAULT_BUCKETS == DEFAULT_BUCKETS


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kind", "untyped", "kind is one of counter, gauge, histogram, summary, info, stateset"),
        ("help", None, "help is a text"),
        ("multiprocess_mode", "newest", "invalid multiprocess mode 'newest'"),
    ],
)
def test_other_fields_are_checked(field: str, value: Any, message: str) -> None:
    fields: dict[str, Any] = {"kind": "gauge", "name": "a", "help": "", field: value}
    with pytest.raises(DeclarationError, match=message):
        MetricSpec(**fields)


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram"])
@pytest.mark.parametrize("name", ["a", "a_total", "a_total_total", "a_seconds", "a_seconds_total"])
@pytest.mark.parametrize("unit", ["", "seconds", "total"])
def test_names_are_normalised_as_prometheus_client_does(kind: Any, name: str, unit: str) -> None:
    theirs = getattr(prometheus_client, kind.capitalize())
    expected = theirs(name, "", unit=unit, registry=CollectorRegistry())
    assert MetricSpec(kind, name, "", unit=unit).name == expected._name


def test_a_spec_tells_its_shape() -> None:
    spec = MetricSpec("histogram", "a", "help", ("x", "y"), "seconds", (1.0,))
    assert str(spec) == "histogram a_seconds{x,y} in seconds with buckets 1.0, inf"
    gauge = MetricSpec("gauge", "a", "", multiprocess_mode="max")
    assert str(gauge) == "gauge a{} merged by max"
