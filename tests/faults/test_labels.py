"""Label values that nobody planned for: the page stays one that Prometheus reads."""

import shutil
import subprocess
from collections.abc import Callable, Generator
from typing import Any, NoReturn

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse
from tests.kits.programs import run_to_its_end

import obskit
from obskit._guard import guard
from obskit.metrics import Counter
from obskit.runtime import active_runtime

PRINTABLE = {
    "newline": ("a\nb", "a\nb"),
    "carriage return": ("a\rb", "a\rb"),
    "quote": ('a"b', 'a"b'),
    "backslash": ("a\\b", "a\\b"),
    "backslash n": ("a\\nb", "a\\nb"),
    "last backslash": ("a\\", "a\\"),
    "braces": ('} 1\nx{y="z', '} 1\nx{y="z'),
    "NUL": ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
    "surrogate": ("a\ud800b", "a?b"),
    "line separator": ("a\u2028b", "a\u2028b"),
    "escape": ("a\x1b[31mb", "a\x1b[31mb"),
    "not ASCII": ("größe €🙂", "größe €🙂"),
    "empty": ("", ""),
    "nothing": (None, "None"),
    "number": (1.5, "1.5"),
}
"""Values, and what an operation's label makes of them."""

MIB = "x" * 2**20


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class NoText:
    def __str__(self) -> str:
        return 7  # type: ignore[return-value] # noqa: PLE0307 - the fault


class Incomparable:
    """A value that cannot be compared, nor be a key."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    def __hash__(self) -> int:
        raise RuntimeError("no key")

    def __bool__(self) -> NoReturn:
        raise RuntimeError("neither true nor false")

    def __str__(self) -> str:
        return "incomparable"


class IncomparableText(str):
    """A text that cannot be compared, nor be a key, and gives itself as its text."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    def __hash__(self) -> int:
        raise RuntimeError("no key")

    def __str__(self) -> str:
        return self


Record = Callable[[Any], None]


@pytest.fixture
def registry() -> Generator[CollectorRegistry]:
    registry = CollectorRegistry()
    with obskit.configure(registry=registry, logging="off"):
        yield registry


@pytest.fixture(params=["argument", "coroutine", "generator", "block"])
def record(request: pytest.FixtureRequest, registry: CollectorRegistry) -> Record:
    """Records an operation with a label value, in each of the ways."""

    @obskit.observe("work", labels={"kind": obskit.arg("kind")})
    def function(kind: Any) -> str:
        return "done"

    @obskit.observe("work", labels={"kind": obskit.arg("kind")})
    async def coroutine(kind: Any) -> str:
        return "done"

    @obskit.observe("work", labels={"kind": obskit.arg("kind")})
    def generator(kind: Any) -> Generator[str]:
        yield "done"

    def awaited(kind: Any) -> str:
        step = coroutine(kind)
        try:
            step.send(None)
        except StopIteration as end:
            return str(end.value)
        raise AssertionError(kind)

    def block(kind: Any) -> str:
        with obskit.observe("work", labels={"kind": kind}):
            return "done"

    ways: dict[str, Callable[[Any], str]] = {
        "argument": function,
        "coroutine": awaited,
        "generator": lambda kind: next(iter(list(generator(kind)))),
        "block": block,
    }

    def record(kind: Any) -> None:
        assert ways[request.param](kind) == "done"

    return record


def page(accept: str = "") -> str:
    return active_runtime().render(accept)[0].decode()


def counted(accept: str = "") -> dict[str, float]:
    """Ended operations by the value of their label, as the page has them."""
    families = parse_openmetrics(page(accept)) if accept else parse(page())  # type: ignore[no-untyped-call] # theirs has no types
    return {
        sample.labels["kind"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "operations_total" and sample.value
    }


@pytest.mark.parametrize("name", PRINTABLE)
def test_any_value_is_a_label(record: Record, registry: CollectorRegistry, name: str) -> None:
    value, text = PRINTABLE[name]
    record(value)
    record(value)
    assert counted() == {text: 2}
    assert obskit.in_flight() == []


def test_a_value_of_a_mebibyte_is_cut(record: Record, registry: CollectorRegistry) -> None:
    record(MIB)
    record(MIB + "y")
    assert counted() == {"x" * 255 + "…": 2}


@pytest.mark.parametrize("value", [Unprintable(), NoText()], ids=["raises", "no text"])
def test_a_value_without_a_text_is_a_placeholder(
    record: Record, registry: CollectorRegistry, value: object
) -> None:
    with guard.recording() as faults:
        record(value)
    assert counted() == {"<unprintable>": 1}
    assert {site for site, _ in faults} == {"metrics.label"}


@pytest.mark.parametrize("value", [Incomparable(), IncomparableText("incomparable")], ids=type)
def test_a_value_that_is_no_key_is_a_label(
    record: Record, registry: CollectorRegistry, value: object
) -> None:
    with guard.recording() as faults:
        record(value)
    assert counted() == {"incomparable": 1}
    assert faults == []
    assert obskit.in_flight() == []


@pytest.mark.parametrize(
    "value", [Incomparable(), IncomparableText("incomparable"), Unprintable()], ids=type
)
def test_a_value_that_was_not_declared_is_other(registry: CollectorRegistry, value: object) -> None:
    @obskit.observe("work", labels={"kind": obskit.arg("kind", one_of=("web", "app"))})
    def work(kind: object) -> str:
        return "done"

    assert work(value) == work("web") == "done"
    assert counted() == {"other": 1, "web": 1}


@pytest.mark.parametrize("name", PRINTABLE)
def test_a_drop_in_counter_shows_any_value(registry: CollectorRegistry, name: str) -> None:
    value, _ = PRINTABLE[name]
    counter = Counter("work", "Work.", ["kind"], registry=registry)
    counter.labels(value).inc()
    counter.labels(kind=value).inc(2)
    (sample,) = [
        sample
        for family in parse(page())
        for sample in family.samples
        if sample.name == "work_total"
    ]
    shown = str(value).replace("\ud800", "?")
    assert (sample.labels["kind"].replace("\0", "0"), sample.value) == (
        shown.replace("\0", "0"),
        3,
    )


@pytest.mark.parametrize("value", [Unprintable(), NoText()], ids=["raises", "no text"])
def test_a_drop_in_counter_lets_a_values_error_through(
    registry: CollectorRegistry, value: object
) -> None:
    """As prometheus_client's does: the host has called it, and nothing is recorded."""
    counter = Counter("work", "Work.", ["kind"], registry=registry)
    with pytest.raises((RuntimeError, TypeError)):
        counter.labels(value)
    assert "work_total{" not in page()


def test_openmetrics_has_the_same_values(record: Record, registry: CollectorRegistry) -> None:
    for value, _ in PRINTABLE.values():
        record(value)
    found = counted("application/openmetrics-text; version=1.0.0")
    assert found == dict.fromkeys([text for _, text in PRINTABLE.values()], 1)


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool: apt-get install prometheus"
)
def test_prometheus_takes_a_page_with_all_of_them(
    record: Record, registry: CollectorRegistry
) -> None:
    counter = Counter("orders", "Orders.", ["kind"], registry=registry)
    for value in (*[value for value, _ in PRINTABLE.values()], MIB, Incomparable()):
        record(value)
        counter.labels(value).inc()
    with guard.recording():
        record(Unprintable())
    lint = subprocess.run(
        ["promtool", "check", "metrics"],
        input=page().encode(),
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, b"", b"")


MANY_VALUES = """
    import gc, logging, resource, sys
    import obskit
    from prometheus_client import REGISTRY
    from obskit.metrics import Counter, default_engine
    from obskit.runtime import active_runtime

    DISTINCT, MAXIMUM = 100_000, 2_000
    way = sys.argv[1]
    warnings = []

    class Keep(logging.Handler):
        def emit(self, record):
            warnings.append(record.getMessage())

    logging.getLogger("obskit.metrics").addHandler(Keep())
    logging.getLogger("obskit.metrics").propagate = False
    obskit.configure(service="x", logging="off")
    counter = Counter("users", "Users.", ["user"]) if way == "counter" else None

    @obskit.observe("function", labels={"user": obskit.arg("user")})
    def function(user):
        return user

    @obskit.observe("generator", labels={"user": obskit.arg("user")})
    def generator(user):
        yield user

    def block(user):
        with obskit.observe("block", user=user):
            pass

    ways = {
        "function": function,
        "generator": lambda user: list(generator(user)),
        "block": block,
        "counter": lambda user: counter.labels(user).inc(),
    }
    record = ways[way]

    def memory():
        default_engine.drain()
        gc.collect()
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    for number in range(10_000):
        record(f"user-{number}")
    before = memory()
    for number in range(10_000, DISTINCT):
        record(f"user-{number}")
    grown = memory() - before

    def samples(name):
        return [s for f in REGISTRY.collect() for s in f.samples if s.name == name]

    families = ["users"]
    if way != "counter":
        families = ["operations", "operation_duration_seconds"]
    totals = {"users": "users_total", "operations": "operations_total",
              "operation_duration_seconds": "operation_duration_seconds_count"}
    refused = {s.labels["family"]: s.value for s in samples("obskit_dropped_series_total")}
    for family in families:
        found = samples(totals[family])
        assert sum(s.value for s in found) == DISTINCT, family
        overflow = [s.value for s in found if s.labels["user"] == "_overflow"]
        assert (len(found), overflow) == (MAXIMUM + 1, [DISTINCT - MAXIMUM]), (family, overflow)
        assert refused[family] == DISTINCT - MAXIMUM, refused
        assert sum(f"metric {family} " in line for line in warnings) == 1, warnings
    assert len(warnings) == len(families), warnings
    assert not active_runtime().store.in_flight
    print(grown)
"""

FLAT = 2 * 2**20
"""Bytes by which 90,000 more label values may make a process grow."""


@pytest.mark.parametrize("way", ["function", "generator", "block", "counter"])
def test_a_hundred_thousand_values_are_counted_in_flat_memory(way: str) -> None:
    """Each family at its limit warns once, and refuses each further series in so many words."""
    grown = int(run_to_its_end(MANY_VALUES, way))
    assert grown < FLAT
