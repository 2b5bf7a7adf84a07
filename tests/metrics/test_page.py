"""Our families in a scrape, with prometheus_client as the oracle: the same bytes, always."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client import parser as text_parser
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from obskit import metrics
from obskit.clock import ManualClock
from obskit.metrics import Counter, Engine, Family, MetricSpec, default_engine, render
from obskit.metrics._family import GROUP
from obskit.metrics._lines import number_texts

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

HELPS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(['a "b"\\\n', "\0"])
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"', "\\", "\n", '\\"\\n', "\0", "%s", "%", "{}", "}", ",", " ", "é", "🙂"]
)
NUMBERS = st.floats() | st.integers(-(2**60), 2**60) | st.sampled_from([0.0, -0.0, 1e6, 1e9, 1e16])
AMOUNTS = st.floats(0, allow_infinity=False) | st.integers(0, 5000)
NAMES = st.permutations(["zone", "a", "le_", "kind", "A"]).flatmap(
    lambda names: st.integers(0, 3).map(lambda count: names[:count])
)
BOUNDS = st.lists(
    st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4, unique=True
).map(sorted)
EXEMPLARS = st.none() | st.dictionaries(st.sampled_from(["trace_id", "b"]), VALUES, min_size=1)


@pytest.fixture(scope="module", autouse=True)
def _one_time() -> Iterator[None]:
    """Both libraries have one clock, so that ``_created`` and exemplars are the same."""
    clock = ManualClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(default_engine, "clock", clock)
        patch.setattr("prometheus_client.metrics.time", SimpleNamespace(time=clock.time))
        yield


@dataclass
class Program:
    """Metrics and what is done with them, to be run with either library."""

    names: Sequence[str]
    help: str
    bounds: Sequence[float]
    steps: list[tuple[str, tuple[str, ...], float, dict[str, str] | None]] = field(
        default_factory=list
    )

    def run(self, library: ModuleType) -> CollectorRegistry:
        registry = CollectorRegistry()
        common: dict[str, Any] = {"labelnames": self.names, "registry": registry}
        parts = {
            "inc": library.Counter("orders", self.help, unit="bytes", **common),
            "set": library.Gauge("level", self.help, namespace="app", **common),
            "observe": library.Histogram("seconds", self.help, buckets=self.bounds, **common),
        }
        for method, values, number, exemplar in self.steps:
            metric = parts[method].labels(*values) if self.names else parts[method]
            extra = () if method == "set" else (exemplar,)
            getattr(metric, method)(number, *extra)
        return registry


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Anything that both libraries take."""
    program = Program(draw(NAMES), draw(HELPS), draw(BOUNDS))
    values = st.tuples(*[VALUES] * len(program.names))
    steps = (
        st.tuples(st.just("inc"), values, AMOUNTS, EXEMPLARS)
        | st.tuples(st.just("set"), values, NUMBERS, st.none())
        | st.tuples(st.just("observe"), values, AMOUNTS | NUMBERS, EXEMPLARS)
    )
    program.steps = draw(st.lists(steps, max_size=12))
    return program


@st.composite
def parsable_programs(draw: st.DrawFn) -> Program:
    """Programs whose OpenMetrics pages the parser takes: it is at a loss with odd exemplars."""
    program = draw(programs())
    exemplars = st.none() | st.fixed_dictionaries(
        {"trace_id": st.text("abc123", min_size=1, max_size=9)}
    )
    return Program(
        program.names,
        program.help,
        [0.0, 0.5, 2.0],
        [
            (method, values, draw(AMOUNTS), draw(exemplars))
            for method, values, _, _ in program.steps
        ],
    )


def parsed(page: bytes, accept: str) -> list[Sample]:
    """The samples of a page, by the parser of prometheus_client."""
    module: Any = openmetrics_parser if accept == OPENMETRICS else text_parser
    families = module.text_string_to_metric_families(page.decode())
    return [sample for family in families for sample in family.samples]


def number_text(number: float) -> str:
    return str(floatToGoString(number))  # type: ignore[no-untyped-call] # theirs has no types


def their_page(registry: CollectorRegistry, accept: str) -> bytes:
    encoder, _ = choose_encoder(accept)
    return encoder(registry)


@given(program=programs())
def test_a_page_has_the_bytes_that_prometheus_client_has_after_the_same_operations(
    program: Program,
) -> None:
    ours, theirs = program.run(metrics), program.run(prometheus_client)
    for accept in (TEXT, OPENMETRICS):
        assert render(ours, accept)[0] == their_page(theirs, accept)
        assert render(ours, accept)[0] == their_page(ours, accept)  # also by their encoder


def identity(sample: Sample) -> tuple[str, list[tuple[str, str]], str]:
    return sample.name, sorted(sample.labels.items()), number_text(sample.value)


def example(sample: Sample) -> tuple[object, ...] | None:
    if sample.exemplar is None:
        return None
    labels, value, timestamp = sample.exemplar
    return labels, value, float(timestamp or 0)


@given(program=parsable_programs())
def test_a_page_is_read_back_by_prometheus_clients_parser(program: Program) -> None:
    registry = program.run(metrics)
    samples = [sample for metric in registry.collect() for sample in metric.samples]
    by_text = parsed(render(registry, TEXT)[0], TEXT)
    assert sorted(map(identity, by_text)) == sorted(map(identity, samples))
    by_openmetrics = parsed(render(registry, OPENMETRICS)[0], OPENMETRICS)
    assert list(map(identity, by_openmetrics)) == list(map(identity, samples))
    assert list(map(example, by_openmetrics)) == list(map(example, samples))


@given(program=programs(), data=st.data())
def test_names_select_the_samples_that_prometheus_client_selects(
    program: Program, data: st.DataObject
) -> None:
    ours, theirs = program.run(metrics), program.run(prometheus_client)
    known = [sample.name for metric in theirs.collect() for sample in metric.samples]
    names = data.draw(st.sets(st.sampled_from([*sorted(set(known)), "unknown"]), min_size=1))
    lines = render(ours, TEXT, names)[0].splitlines()
    expected = generate_latest(theirs.restricted_registry(names)).splitlines()
    assert sorted(lines) == sorted(expected)


@given(numbers=st.lists(NUMBERS | st.floats(1e5, 1e17) | st.integers(0, 2000)))
def test_numbers_have_the_texts_of_prometheus_client(numbers: list[float]) -> None:
    assert number_texts(numbers) == list(map(number_text, numbers))


class Odd(float):
    """A float with a ``repr`` of its own, as numpy's has."""

    def __repr__(self) -> str:
        return f"Odd({float(self)})"


def test_numbers_of_other_types_are_shown_as_floats() -> None:
    assert number_texts([Odd(1.5), True, 3]) == ["1.5", "1.0", "3.0"]


@pytest.fixture
def filled(registry: CollectorRegistry) -> CollectorRegistry:
    """A counter with an exemplar, and a family with a colon in its name."""
    counter = Counter("orders", "Orders.", ["channel_name"], registry=registry)
    counter.labels("web").inc(2, {"trace_id": "abc"})
    metrics.Gauge("app:level", "Level.", ["a"], registry=registry).labels("b").set(3)
    return registry


@pytest.mark.parametrize("escaping", ["", "underscores", "allow-utf-8", "dots", "values", "odd"])
@pytest.mark.parametrize("version", ["0.0.1", "0.0.4", "1.0.0", "1.1.0", "2.0.0", ""])
@pytest.mark.parametrize("kind", [TEXT, "application/openmetrics-text"])
def test_every_negotiated_format_has_the_bytes_of_prometheus_client(
    filled: CollectorRegistry, kind: str, version: str, escaping: str
) -> None:
    accept = f"{kind}; version={version}; escaping={escaping}"
    encoder, content_type = choose_encoder(accept)
    assert render(filled, accept) == (encoder(filled), content_type)


def test_the_page_that_a_prometheus_server_asks_for(filled: CollectorRegistry) -> None:
    accept = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*"
    )
    assert render(filled, accept)[0] == their_page(filled, accept)
    assert (
        b'orders_total{channel_name="web"} 2.0 # {trace_id="abc"} 2.0' in render(filled, accept)[0]
    )


def test_the_switch_for_created_samples_is_heeded_from_one_page_to_the_next(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    Counter("orders", "", registry=registry).inc()
    metrics.Histogram("seconds", "", registry=registry, buckets=[1]).observe(0.5)
    metrics.Summary("sizes", "", registry=registry).observe(2)
    for shown in (True, False, True):
        monkeypatch.setattr("prometheus_client.metrics._use_created", shown)
        for accept in (TEXT, OPENMETRICS):
            page, _ = render(registry, accept)
            assert page == their_page(registry, accept)
            assert (b"orders_created" in page) is shown


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_more_series_than_are_shown_at_once_keep_their_order(
    registry: CollectorRegistry, accept: str
) -> None:
    counter = Counter("orders", "", ["n"], registry=registry, max_series=2 * GROUP)
    for number in range(GROUP + 3):
        counter.labels(number).inc(number)
    counter.labels(GROUP + 1).inc(1, {"trace_id": "beyond"})
    assert render(registry, accept)[0] == their_page(registry, accept)


def test_overflow_and_further_labels_are_shown_alike(
    registry: CollectorRegistry, engine: Engine
) -> None:
    family = Family(
        MetricSpec("histogram", "seconds", "", ("method",), buckets=(1,)),
        max_series=1,
        engine=engine,
    )
    registry.register(family)
    for method in ("get", "put", "post"):
        family.cell((method,)).observe(0.5)
    family.cell(("a", "b", "c"), ("zone", "area", "le_"), group="zones").observe(3)
    family.cell(("a",), ("area",), group="areas").observe(3)
    for accept in (TEXT, OPENMETRICS):
        assert render(registry, accept)[0] == their_page(registry, accept)
    assert b'seconds_bucket{area="a",le="1.0"} 0.0\n' in render(registry)[0]


def test_a_gauge_whose_function_fails_is_left_out_and_asked_once(
    registry: CollectorRegistry, faults: list[tuple[str, Exception]]
) -> None:
    asked: list[str] = []

    def fail() -> float:
        asked.append("fail")
        raise RuntimeError("broken")

    def answer() -> float:
        asked.append("answer")
        return 7.5

    gauge = metrics.Gauge("level", "", ["tank"], registry=registry)
    gauge.labels("a").set_function(fail)
    gauge.labels("b").set_function(answer)
    gauge.labels("c").set(-0.0)
    assert render(registry)[0].splitlines()[2:] == [b'level{tank="b"} 7.5', b'level{tank="c"} -0.0']
    assert asked == ["fail", "answer"]
    assert [site for site, _ in faults] == ["metrics.gauge_function"]


def test_gauges_that_all_fail_leave_their_header_unless_names_are_given(
    registry: CollectorRegistry, faults: list[tuple[str, Exception]]
) -> None:
    metrics.Gauge("level", "L.", registry=registry).set_function(lambda: 1 / 0)
    assert render(registry)[0] == b"# HELP level L.\n# TYPE level gauge\n"
    assert render(registry, TEXT, ["level"])[0] == b""
    assert len(faults) == 2


@pytest.mark.parametrize("value", ["x" * 2**20, 'a"\n\\' * 2**18, "\0", "\ud800"])
def test_any_label_value_makes_a_page(registry: CollectorRegistry, value: str) -> None:
    Counter("orders", "", ["channel"], registry=registry).labels(value).inc()
    for accept in (TEXT, OPENMETRICS):
        assert render(registry, accept)[0] == their_page(registry, accept)


def test_a_help_text_that_utf_8_cannot_hold_costs_its_own_family_only(
    registry: CollectorRegistry, faults: list[tuple[str, Exception]]
) -> None:
    Counter("orders", "\ud800", registry=registry).inc()
    metrics.Gauge("level", "L.", registry=registry).set(1)
    assert render(registry)[0] == b"# HELP level L.\n# TYPE level gauge\nlevel 1.0\n"
    assert [site for site, _ in faults] == ["metrics.collect"]


class Doubled(Counter):
    """A counter that shows itself otherwise."""

    def collect(self) -> Iterable[Metric]:
        for metric in super().collect():
            metric.samples *= 2
            yield metric


class DoubledFamily(Family):
    """A family that shows itself otherwise."""

    def collect(self) -> Iterable[Metric]:
        return [*super().collect(), *super().collect()]


def own_collect(registry: CollectorRegistry) -> None:
    Doubled("orders", "", registry=registry).inc()


def own_family(registry: CollectorRegistry) -> None:
    family = DoubledFamily(MetricSpec("gauge", "level", ""))
    family.cell(())
    registry.register(family)


def bound_handle(registry: CollectorRegistry) -> None:
    registry.register(Counter("orders", "", ["channel"], registry=None).labels("web"))


def two_collectors(registry: CollectorRegistry) -> None:
    class Both:
        def collect(self) -> Iterable[Metric]:
            yield from Family(MetricSpec("gauge", "level", "")).collect()
            yield from Family(MetricSpec("gauge", "depth", "")).collect()

    registry.register(Both())


@pytest.mark.parametrize("register", [own_collect, own_family, bound_handle, two_collectors])
def test_a_collector_with_ways_of_its_own_is_asked_in_the_usual_way(
    registry: CollectorRegistry, register: Callable[[CollectorRegistry], None]
) -> None:
    register(registry)
    for accept in (TEXT, OPENMETRICS):
        assert render(registry, accept)[0] == their_page(registry, accept)


def test_a_handle_registered_by_hand_is_shown_like_its_family(registry: CollectorRegistry) -> None:
    counter = Counter("orders", "", ["channel"], registry=None)
    counter.labels("web").inc()
    registry.register(counter)
    for accept in (TEXT, OPENMETRICS):
        assert render(registry, accept)[0] == their_page(registry, accept)


def test_removed_series_are_not_shown_and_may_return(registry: CollectorRegistry) -> None:
    counter = Counter("orders", "", ["channel"], registry=registry)
    counter.labels("web").inc(5)
    assert b"5.0" in render(registry)[0]
    counter.remove("web")
    assert b"web" not in render(registry)[0]
    counter.labels("web").inc(2)
    assert b'orders_total{channel="web"} 2.0\n' in render(registry)[0]


def test_threads_may_add_and_remove_series_while_pages_are_made(
    registry: CollectorRegistry, faults: list[tuple[str, Exception]]
) -> None:
    counter = Counter("orders", "", ["thread", "n"], registry=registry)
    histogram = metrics.Histogram("seconds", "", ["n"], registry=registry, buckets=[1])
    done = threading.Event()

    def churn(name: int) -> None:
        number = 0
        while not done.is_set():
            number += 1
            counter.labels(name, number % 50).inc()
            histogram.labels(number % 7).observe(1, {"trace_id": str(number)})
            counter.remove(name, (number + 25) % 50)
            if number % 100 == 0:
                histogram.clear()

    threads = [threading.Thread(target=churn, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    try:
        pages = [render(registry, accept)[0] for _ in range(60) for accept in (TEXT, OPENMETRICS)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert all(parsed(page, TEXT) for page in pages[::2])
    assert all(parsed(page, OPENMETRICS) for page in pages[1::2])
    assert faults == []


def every_kind() -> dict[str, Any]:
    """A metric of each kind, with a value that needs escaping in a label."""
    label = ["kind"]
    made: dict[str, Any] = {
        "counter": Counter("orders", "", label, registry=None),
        "gauge": metrics.Gauge("level", "", label, registry=None),
        "histogram": metrics.Histogram("seconds", "", label, registry=None, buckets=[1, 2]),
        "summary": metrics.Summary("sizes", "", label, registry=None),
        "info": metrics.Info("build", "", label, registry=None),
        "enum": metrics.Enum("app:phase", "", label, registry=None, states=["on", 'o"ff']),
    }
    made["counter"].labels('w"eb').inc(3)
    made["gauge"].labels("a").set_function(lambda: 4.5)
    made["gauge"].labels("b").set(math.inf)
    made["histogram"].labels("a").observe(1.5)
    made["summary"].labels("a").observe(1.5)
    made["info"].labels("a").info({"git_sha": "x\ny", "b": ""})
    made["enum"].labels("a").state('o"ff')
    return made


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "summary", "info", "enum"])
def test_beginnings_and_numbers_of_a_family_make_its_lines(kind: str) -> None:
    metric = every_kind()[kind]
    lines = [
        beginning + number_text(number)
        for beginnings, cell in metric.family.lines()
        for beginning, number in zip(beginnings, cell.numbers(), strict=True)
    ]
    page = generate_latest(metric).decode().splitlines()
    assert sorted(lines) == sorted(line for line in page if not line.startswith("#"))


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "summary", "info", "enum"])
def test_numbers_are_the_values_of_the_samples(kind: str) -> None:
    for _, cell in every_kind()[kind].family.series():
        assert list(cell.numbers()) == [sample.value for sample in cell.samples()]


def test_a_series_without_labels_has_bare_lines(engine: Engine) -> None:
    family = Family(MetricSpec("histogram", "seconds", "", buckets=(-1,)), engine=engine)
    family.cell(())
    (lines, _), *others = family.lines()
    assert others == []
    assert lines[:3] == (
        'seconds_bucket{le="-1.0"} ',
        'seconds_bucket{le="+Inf"} ',
        "seconds_count ",
    )


def test_an_empty_family_has_no_lines(engine: Engine) -> None:
    assert list(Family(MetricSpec("counter", "orders", "", ("a",)), engine=engine).lines()) == []
