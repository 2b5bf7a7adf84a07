"""The instruments, with prometheus_client's own as the oracle."""

import enum
import gc
import inspect
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from obskit import metrics
from obskit.clock import ManualClock
from obskit.errors import DeclarationError, DuplicateError, InvalidNameError, LabelError
from obskit.metrics import Counter, Enum, Gauge, Histogram, Info, Summary, default_engine

KINDS = ["Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"]
EXTRA: dict[str, dict[str, Any]] = {"Enum": {"states": ['say "off"', "on"]}}
UNITLESS = ["Info", "Enum"]

TEXTS = st.sampled_from(["web", "", 'say "hi"', "a\nb", "back\\slash", "ü", "\0", "\u2028"])
AMOUNTS = st.floats() | st.integers(-5, 5) | st.sampled_from([0.1, 0.2, 1, 1e300, 0.005, 10])
INCREMENTS = AMOUNTS.filter(lambda amount: amount < math.inf)
EXEMPLARS = st.none() | st.just({"trace_id": "abc"}) | st.just({"k" * 100: "v" * 100})
LABELS = st.tuples(TEXTS, TEXTS)


@contextmanager
def one_clock() -> Iterator[ManualClock]:
    """Let both libraries see the same time."""
    clock = ManualClock()
    with (
        patch.object(default_engine, "clock", clock),
        patch("prometheus_client.metrics.time", SimpleNamespace(time=clock.time)),
    ):
        yield clock


def openmetrics(registry: CollectorRegistry) -> bytes:
    page: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call] # theirs has no types
    return page


def pages(registry: CollectorRegistry) -> tuple[bytes, bytes]:
    return generate_latest(registry), openmetrics(registry)


def outcome(call: Callable[[], object]) -> type[BaseException] | None:
    """How a call ended, for comparison; library errors that are ValueErrors count as such."""
    try:
        call()
    except ValueError:
        return ValueError
    except Exception as error:
        return type(error)
    return None


Operation = tuple[str, tuple[str, str], tuple[Any, ...]]

OPERATIONS: dict[str, st.SearchStrategy[Operation]] = {
    "Counter": st.one_of(
        st.tuples(st.just("inc"), LABELS, st.tuples() | st.tuples(INCREMENTS)),
        st.tuples(st.just("inc"), LABELS, st.tuples(INCREMENTS, EXEMPLARS)),
        st.tuples(st.just("reset"), LABELS, st.tuples()),
    ),
    "Gauge": st.one_of(
        st.tuples(st.sampled_from(["inc", "dec"]), LABELS, st.tuples() | st.tuples(AMOUNTS)),
        st.tuples(st.just("set"), LABELS, st.tuples(AMOUNTS)),
        st.tuples(st.just("set_to_current_time"), LABELS, st.tuples()),
        st.tuples(st.just("set_function"), LABELS, st.just((lambda: 7,))),
    ),
    "Histogram": st.one_of(
        st.tuples(st.just("observe"), LABELS, st.tuples(AMOUNTS) | st.tuples(AMOUNTS, EXEMPLARS)),
    ),
    "Summary": st.tuples(st.just("observe"), LABELS, st.tuples(AMOUNTS)),
    "Info": st.tuples(
        st.just("info"),
        LABELS,
        st.tuples(st.dictionaries(st.sampled_from(["a", "c", "z"]), TEXTS | st.none())),
    ),
    "Enum": st.tuples(
        st.just("state"), LABELS, st.tuples(st.sampled_from(['say "off"', "on", "unknown"]))
    ),
}
MAINTENANCE = st.one_of(
    st.tuples(st.just("remove"), LABELS, st.just(())),
    st.tuples(st.just("clear"), LABELS, st.just(())),
    st.tuples(st.just("remove_by_labels"), LABELS, st.just(())),
)


def apply(metric: Any, operation: Operation) -> object:
    name, labels, arguments = operation
    if name == "remove":
        return metric.remove(*labels)
    if name == "clear":
        return metric.clear()
    if name == "remove_by_labels":
        return metric.remove_by_labels({"a": labels[0]})
    return getattr(metric.labels(*labels), name)(*arguments)


def declared(library: Any, kind: str, *args: Any, **kwargs: Any) -> Any:
    """An instrument of this library, of this kind."""
    if kind in UNITLESS:
        kwargs.pop("unit", None)
    return getattr(library, kind)(*args, **{**EXTRA.get(kind, {}), **kwargs})


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), created=st.booleans())
def test_any_operations_print_the_same_bytes(kind: str, data: st.DataObject, created: bool) -> None:
    operations = data.draw(st.lists(OPERATIONS[kind] | MAINTENANCE, max_size=30))
    registries = CollectorRegistry(), CollectorRegistry()
    with one_clock() as clock, patch("prometheus_client.metrics._use_created", created):
        theirs, ours = (
            declared(library, kind, "name", 'Help "\n\\', ["a", "b"], unit="s", registry=registry)
            for library, registry in zip((prometheus_client, metrics), registries, strict=True)
        )
        for operation in operations:
            clock.advance(1.5)
            assert outcome(lambda: apply(ours, operation)) is outcome(  # noqa: B023 - called at once
                lambda: apply(theirs, operation)  # noqa: B023 - called at once
            )
        assert pages(registries[1]) == pages(registries[0])


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_without_labels_any_operations_print_the_same_bytes(kind: str, data: st.DataObject) -> None:
    operations = data.draw(st.lists(OPERATIONS[kind], max_size=30))
    registries = CollectorRegistry(), CollectorRegistry()
    with one_clock():
        theirs, ours = (
            declared(library, kind, "name", "", namespace="n", subsystem="s", registry=registry)
            for library, registry in zip((prometheus_client, metrics), registries, strict=True)
        )
        for name, _, arguments in operations:
            assert outcome(lambda: getattr(ours, name)(*arguments)) is outcome(  # noqa: B023 - called at once
                lambda: getattr(theirs, name)(*arguments)  # noqa: B023 - called at once
            )
        assert pages(registries[1]) == pages(registries[0])


@given(
    buckets=st.lists(st.floats(-10, 10), min_size=1, max_size=8, unique=True).map(sorted),
    amounts=st.lists(st.floats(-11, 11)),
)
def test_any_buckets_print_the_same_bytes(buckets: list[float], amounts: list[float]) -> None:
    registries = CollectorRegistry(), CollectorRegistry()
    with one_clock():
        for library, registry in zip((prometheus_client, metrics), registries, strict=True):
            histogram = library.Histogram("name", "", buckets=buckets, registry=registry)
            for amount in amounts:
                histogram.observe(amount)
        assert pages(registries[1]) == pages(registries[0])


@pytest.mark.parametrize("kind", KINDS)
def test_constructors_take_what_prometheus_clients_take(kind: str) -> None:
    theirs, ours = (
        [(p.name, p.kind, p.default) for p in parameters.values()]
        for parameters in (
            inspect.signature(getattr(library, kind)).parameters
            for library in (prometheus_client, metrics)
        )
    )
    assert ours[: len(theirs)] == theirs
    assert [(name, place) for name, place, _ in ours[len(theirs) :]] == [
        ("max_series", inspect.Parameter.KEYWORD_ONLY),
        ("allowed", inspect.Parameter.KEYWORD_ONLY),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_methods_take_what_prometheus_clients_take(kind: str) -> None:
    theirs, ours = getattr(prometheus_client, kind), getattr(metrics, kind)
    for name in (name for name in dir(theirs) if not name.startswith("_") and name.islower()):
        expected, actual = (inspect.signature(getattr(cls, name)) for cls in (theirs, ours))
        assert [(p.name, p.kind, p.default) for p in actual.parameters.values()] == [
            (p.name, p.kind, p.default) for p in expected.parameters.values()
        ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_public_method_of_prometheus_clients_is_there(kind: str) -> None:
    theirs, ours = getattr(prometheus_client, kind), getattr(metrics, kind)
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public <= set(dir(ours))
    for name in public:
        assert inspect.getdoc(getattr(ours, name))


@pytest.mark.parametrize("kind", KINDS)
def test_descriptions_and_names_are_the_same(kind: str, registry: CollectorRegistry) -> None:
    theirs, ours = (
        declared(library, kind, "name", "help", ["a"], unit="s", registry=None)
        for library in (prometheus_client, metrics)
    )
    assert list(ours.describe()) == list(theirs.describe())
    assert str(ours) == str(theirs)
    assert repr(ours).endswith(f".{kind}({'name' if kind in UNITLESS else 'name_s'})")


def test_the_default_registry_is_prometheus_clients() -> None:
    counter = Counter("obskit_test_default_registry", "")
    try:
        counter.inc()
        assert b"\nobskit_test_default_registry_total 1.0\n" in generate_latest()
    finally:
        prometheus_client.REGISTRY.unregister(counter)
    assert b"obskit_test_default_registry" not in generate_latest()


def test_without_a_registry_a_metric_still_counts() -> None:
    counter = Counter("orders", "", registry=None)
    counter.inc(3)
    (metric,) = counter.collect()
    assert metric.samples[0].value == 3.0


def test_the_same_declaration_twice_is_one_metric(registry: CollectorRegistry) -> None:
    first = Counter("orders", "", ["channel"], registry=registry)
    second = Counter("orders_total", "", ["channel"], registry=registry)
    first.labels("web").inc()
    second.labels("web").inc()
    assert first == second
    assert first.labels("web") is second.labels("web")
    assert registry.get_sample_value("orders_total", {"channel": "web"}) == 2.0


def test_unregistering_by_any_handle_makes_room_for_another(registry: CollectorRegistry) -> None:
    Counter("orders", "", registry=registry).inc()
    registry.unregister(Counter("orders", "", registry=registry))
    assert generate_latest(registry) == b""
    Gauge("orders", "", registry=registry)
    with pytest.raises(DuplicateError):
        Counter("orders", "", registry=registry)


def test_labels_give_one_handle_per_series_of_the_same_class(registry: CollectorRegistry) -> None:
    class Orders(Counter):
        """A subclass of the host's."""

    orders = Orders("orders", "", ["channel", "card"], registry=registry)
    handle = orders.labels("web", 3)
    assert isinstance(handle, Orders)
    assert handle is orders.labels(card="3", channel="web")
    assert handle != orders.labels("web", 4)
    assert handle != orders
    assert hash(handle) != hash(orders)
    assert orders not in ({handle}, "orders")


def test_a_removed_series_begins_anew_and_is_not_kept_alive(registry: CollectorRegistry) -> None:
    first = Counter("orders", "", ["channel"], registry=registry)
    second = Counter("orders", "", ["channel"], registry=registry)
    old = first.labels("web")
    old.inc()
    second.remove("web")
    assert first.labels("web") is not old
    first.labels("web").inc()
    old.inc()
    assert registry.get_sample_value("orders_total", {"channel": "web"}) == 1.0


def test_a_bound_handle_collects_its_series_without_labels(registry: CollectorRegistry) -> None:
    for library in (prometheus_client, metrics):
        gauge = library.Gauge("level", "", ["a"], registry=None)
        gauge.labels("x").set(3)
        gauge.labels("y").set(4)
        (metric,) = gauge.labels("x").collect()
        assert [(sample.labels, sample.value) for sample in metric.samples] == [({}, 3.0)]


@pytest.mark.parametrize(
    ("labelled", "call", "message"),
    [
        (True, lambda m: m.labels("a"), "orders: incorrect label count: 1 given, declared: a, b"),
        (True, lambda m: m.labels(a=1, c=2), "orders: incorrect label names a, c; declared: a, b"),
        (True, lambda m: m.labels(1, b=2), "by position or by name, not both"),
        (True, lambda m: m.labels("x", "y").labels("z", "z"), "cannot chain calls"),
        (True, lambda m: m.labels(), "incorrect label count"),
        (True, lambda m: m.remove("a"), "incorrect label count"),
        (True, lambda m: m.remove_by_labels({"c": "x"}), r"unknown label names \['c'\]"),
        (False, lambda m: m.labels("a"), "no label names were set when declaring counter:orders"),
        (False, lambda m: m.remove("a"), "no label names"),
        (False, lambda m: m.remove_by_labels({"a": "x"}), "no label names"),
    ],
)
def test_labels_that_do_not_match_are_refused(
    labelled: bool, call: Callable[[Counter], object], message: str
) -> None:
    counter = Counter("orders", "", ["a", "b"] if labelled else [], registry=None)
    with pytest.raises(LabelError, match=message):
        call(counter)


def test_removal_by_labels_takes_a_dict() -> None:
    counter = Counter("orders", "", ["a"], registry=None)
    with pytest.raises(TypeError, match="must be a dict"):
        counter.remove_by_labels("a")  # type: ignore[arg-type] # the fault


CALLS_WITHOUT_LABELS: list[tuple[type[Any], Callable[[Any], object]]] = [
    (Counter, lambda m: m.inc()),
    (Counter, lambda m: m.inc(2)),
    (Counter, lambda m: m.reset()),
    (Counter, lambda m: m.count_exceptions()),
    (Gauge, lambda m: m.inc()),
    (Gauge, lambda m: m.dec()),
    (Gauge, lambda m: m.set(1)),
    (Gauge, lambda m: m.set_to_current_time()),
    (Gauge, lambda m: m.set_function(lambda: 1)),
    (Gauge, lambda m: m.track_inprogress()),
    (Counter, lambda m: m.inc(-1)),
    (Counter, lambda m: m.inc(math.nan)),
    (Histogram, lambda m: m.observe(1)),
    (Histogram, lambda m: m.time()(len)),
    (Summary, lambda m: m.observe(1)),
    (Info, lambda m: m.info({})),
    (Enum, lambda m: m.state("on")),
]


@pytest.mark.parametrize(("kind", "call"), CALLS_WITHOUT_LABELS)
def test_recording_without_label_values_says_so(
    kind: type[Any], call: Callable[[Any], object]
) -> None:
    with pytest.raises(LabelError, match=r"metric 'orders' is missing label values: call \.labels"):
        call(declared(metrics, kind.__name__, "orders", "", ["a"], registry=None))


def test_declarations_that_cannot_be_are_refused(registry: CollectorRegistry) -> None:
    with pytest.raises(InvalidNameError):
        Counter("", "", namespace="shop", registry=registry)
    with pytest.raises(DeclarationError):
        Histogram("seconds", "", buckets=[], registry=registry)
    with pytest.raises(DeclarationError):
        Gauge("level", "", multiprocess_mode="x", registry=registry)  # type: ignore[arg-type] # the fault


def test_a_negative_amount_is_refused_and_named() -> None:
    counter = Counter("orders", "", registry=None)
    with pytest.raises(ValueError, match="counter:orders can only be incremented by non-negative"):
        counter.inc(-1)


@pytest.mark.parametrize("amount", [math.inf, math.nan])
def test_an_amount_that_would_stay_for_ever_is_refused_and_counted(
    registry: CollectorRegistry, amount: float
) -> None:
    counter = Counter("orders", "", registry=registry)
    counter.inc()
    counter.inc(amount)
    assert registry.get_sample_value("orders_total") == 1.0
    assert default_engine.dropped_observations["refused"] == 1


@pytest.mark.parametrize("mode", ["mostrecent", "livemostrecent"])
def test_a_most_recent_gauge_is_only_set(mode: Any) -> None:
    gauge = Gauge("level", "", multiprocess_mode=mode, registry=None)
    gauge.set(1)
    for call in (gauge.inc, gauge.dec):
        with pytest.raises(RuntimeError, match="mostrecent mode"):
            call()


def test_a_gauge_whose_function_fails_is_left_out(
    registry: CollectorRegistry, faults: list[tuple[str, Exception]]
) -> None:
    def fail() -> float:
        raise RuntimeError("broken")

    Gauge("level", "", registry=registry).set_function(fail)
    Counter("orders", "", registry=registry).inc()
    page = generate_latest(registry).decode().splitlines()
    assert "orders_total 1.0" in page
    assert not any(line.startswith("level") for line in page)
    assert [site for site, _ in faults] == ["metrics.gauge_function"]


def test_series_beyond_the_limit_share_one(registry: CollectorRegistry) -> None:
    orders = Counter("orders", "", ["channel"], registry=registry, max_series=1)
    orders.labels("web").inc()
    for channel in ("a", "b"):
        orders.labels(channel).inc()
    assert registry.get_sample_value("orders_total", {"channel": "_overflow"}) == 2.0
    assert default_engine.dropped_series["orders"] == 2


def test_timers_trackers_and_exception_counters_work_as_decorators_and_blocks(
    registry: CollectorRegistry,
) -> None:
    seconds = Histogram("seconds", "", registry=registry)
    last = Gauge("last_seconds", "", registry=registry)
    inside = Gauge("inside", "", registry=registry)
    errors = Counter("errors", "", registry=registry)
    seen: list[float | None] = []

    @seconds.time()
    @last.time()
    @inside.track_inprogress()
    @errors.count_exceptions(KeyError)
    def work(key: str) -> int:
        seen.append(registry.get_sample_value("inside"))
        return {"a": 1}[key]

    assert work("a") == 1
    with pytest.raises(KeyError):
        work("b")
    with seconds.time(), suppress(KeyError), errors.count_exceptions():
        raise KeyError
    assert seen == [1.0, 1.0]
    assert registry.get_sample_value("inside") == 0.0
    assert registry.get_sample_value("errors_total") == 2.0
    assert registry.get_sample_value("seconds_count") == 3.0
    assert registry.get_sample_value("last_seconds") > 0.0  # type: ignore[operator] # there is one


def test_a_timer_may_be_labelled_inside(registry: CollectorRegistry) -> None:
    seconds = Histogram("seconds", "", ["route"], registry=registry)
    with seconds.time() as timer:
        timer.labels("/")
    assert registry.get_sample_value("seconds_count", {"route": "/"}) == 1.0


def test_not_a_number_is_summed_but_not_counted(registry: CollectorRegistry) -> None:
    seconds = Histogram("seconds", "", registry=registry)
    seconds.observe(math.nan, {"trace_id": "abc"})
    assert registry.get_sample_value("seconds_count") == 0.0
    assert math.isnan(registry.get_sample_value("seconds_sum") or 0.0)


def test_an_observation_that_cannot_be_added_is_reported(
    registry: CollectorRegistry, faults: list[tuple[str, Exception]]
) -> None:
    amount: Any = "no number"
    seconds = Histogram("seconds", "", registry=registry)
    seconds.observe(amount)
    seconds.observe(1)
    assert registry.get_sample_value("seconds_count") == 1.0
    assert [site for site, _ in faults] == ["metrics.fold"]


def test_an_exemplar_is_kept_as_it_was(registry: CollectorRegistry) -> None:
    labels = {"trace_id": "abc"}
    Counter("orders", "", registry=registry).inc(1, labels)
    labels["trace_id"] = "changed"
    assert b'# {trace_id="abc"} 1.0' in openmetrics(registry)


def test_short_lived_series_leave_nothing_behind(registry: CollectorRegistry) -> None:
    orders = Counter("orders", "", ["channel"], registry=registry)
    for number in range(1_000):
        orders.labels(number).inc()
        orders.remove(number)
    default_engine.drain()
    gc.collect()
    alive = [handle for handle in gc.get_objects() if isinstance(handle, Counter)]
    assert sum(handle.family is orders.family for handle in alive) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"labelnames": None}, TypeError),
        ({"labelnames": 5}, TypeError),
        ({"unit": 5}, TypeError),
        ({"namespace": 5}, TypeError),
        ({"subsystem": 5}, TypeError),
        ({"registry": 5}, ValueError),
        ({"max_series": "a"}, ValueError),
        ({"max_series": True}, ValueError),
        ({"max_series": -1}, ValueError),
        ({"allowed": 5}, ValueError),
        ({"_labelvalues": ("a",)}, ValueError),
    ],
)
@pytest.mark.parametrize("kind", [Counter, Gauge, Histogram, Summary])
def test_an_argument_of_a_wrong_type_is_named(
    kind: Any, arguments: dict[str, Any], error: type[Exception]
) -> None:
    """The exception is also the one that prometheus_client raises."""
    ((name, value),) = arguments.items()
    with pytest.raises(DeclarationError) as caught:
        kind("orders", "", **{"registry": CollectorRegistry(), **arguments})
    assert isinstance(caught.value, error)
    assert "orders" in str(caught.value)
    assert name.removesuffix("names") in str(caught.value)
    assert repr(value) in str(caught.value) or name == "_labelvalues"


@pytest.mark.parametrize(
    ("states", "error", "message"),
    [
        (None, ValueError, "no states; give states="),
        ([], ValueError, "no states"),
        ("on", TypeError, "a sequence of texts, not 'on'"),
        (5, TypeError, "a sequence of texts, not 5"),
        ([1], TypeError, "states are texts, not 1"),
        (["on", "on"], ValueError, "each state once"),
    ],
)
def test_states_are_different_texts(states: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(DeclarationError, match=message) as caught:
        Enum("light", "", states=states, registry=None)
    assert isinstance(caught.value, error)


def test_states_may_be_members_of_an_enum_of_texts(registry: CollectorRegistry) -> None:
    class Light(str, enum.Enum):  # noqa: UP042 - its own text is another
        OFF = "off"
        ON = "on"

    light = Enum("light", "", states=list(Light), registry=registry)
    light.state(Light.ON)
    assert registry.get_sample_value("light", {"light": "on"}) == 1.0
    light.state("off")
    assert registry.get_sample_value("light", {"light": "on"}) == 0.0


def test_an_unknown_state_is_named_and_changes_nothing(registry: CollectorRegistry) -> None:
    light = Enum("light", "", states=["off", "on"], registry=registry)
    light.state("on")
    for state in ("red", ["on"], None):
        with pytest.raises(ValueError, match=r"stateset:light has no state .*; its states are off"):
            light.state(state)  # type: ignore[arg-type] # the fault
    assert registry.get_sample_value("light", {"light": "on"}) == 1.0


def test_a_metric_without_a_number_has_no_unit() -> None:
    for kind in UNITLESS:
        with pytest.raises(DeclarationError, match="'name': no unit="):
            getattr(metrics, kind)("name", "", unit="bytes", registry=None, **EXTRA.get(kind, {}))


@pytest.mark.parametrize("kind", ["Summary", "Enum"])
def test_labels_that_samples_have_by_themselves_are_refused(kind: str) -> None:
    for library in (prometheus_client, metrics):
        with pytest.raises(ValueError, match=r"[Rr]eserved|Overlapping"):
            declared(library, kind, "name", "", ["quantile", "name"], registry=None)


def test_what_info_says_is_replaced_as_a_whole(registry: CollectorRegistry) -> None:
    build = Info("build", "", registry=registry)
    build.info({"version": "1", "commit": "abc"})
    version: Any = {"version": 2}
    build.info(version)
    version["version"] = 3
    assert registry.get_sample_value("build_info", {"version": "2"}) == 1.0
    assert generate_latest(registry).count(b"build_info{") == 1
    with pytest.raises(InvalidNameError, match="info:build: label name 'a-b'"):
        build.info({"a-b": "x"})


def test_info_with_text_that_is_no_utf_8_still_shows(registry: CollectorRegistry) -> None:
    Info("build", "", registry=registry).info({"branch": "\udcff"})
    assert b'build_info{branch="?"} 1.0' in generate_latest(registry)


def test_cells_tell_their_numbers(registry: CollectorRegistry) -> None:
    sizes = Summary("sizes", "", registry=registry)
    sizes.observe(3)
    sizes.observe(4)
    assert sizes.family.cell(()).value == 2.0
    light = Enum("light", "", states=["off", "on"], registry=registry)
    light.state("on")
    assert light.family.cell(()).value == 1.0
    assert list(light.family.cell(()).numbers()) == [0.0, 1.0]
    assert Info("build", "", registry=registry).family.cell(()).value == 1.0


def test_threads_lose_no_observation_of_a_summary(registry: CollectorRegistry) -> None:
    sizes = Summary("sizes", "", registry=registry)

    def work() -> None:
        for _ in range(5_000):
            sizes.observe(2)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert registry.get_sample_value("sizes_count") == 20_000.0
    assert registry.get_sample_value("sizes_sum") == 40_000.0


@pytest.mark.parametrize(
    "argument", [{"labelnames": None}, {"unit": 5}, {"namespace": 5}, {"subsystem": 5}]
)
def test_prometheus_client_refuses_the_same_with_a_type_error(argument: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        prometheus_client.Counter("orders", "", registry=CollectorRegistry(), **argument)
