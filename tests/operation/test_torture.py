"""`observe` leaves every kind of callable what it is, however it is spelt and configured."""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY, CollectorRegistry
from tests.kits.callable_table import KINDS
from tests.kits.callables import Kind
from tests.kits.nature import check_nature
from tests.kits.torture import Subject, check_calls

import obskit
import obskit.control
from obskit._guard import guard
from obskit.context import current_context, suppressed
from obskit.operation import outcome_of
from obskit.runtime import active_runtime
from obskit.testing import observing

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)

by_parameter = {
    "value": obskit.observe(
        "work",
        labels={"value": obskit.arg("value", one_of=[21, 1])},
        attributes={"raw": obskit.arg("value")},
    ),
    "self": obskit.observe("work", attributes={"raw": obskit.arg("self")}),
}

SPELLINGS: dict[str, Callable[[Any], Any]] = {
    "bare": obskit.observe,
    "named": obskit.observe("work"),
    "with labels": obskit.observe("work", labels={"tier": "a"}, queue="b", attributes={"x": 1}),
    "always slow": obskit.observe("work", slow=0.0),
    "with events": obskit.observe("work", log_events=True),
    "with another outcome": obskit.observe("work", outcome=lambda result, error: "cancelled"),
}


def cancelled(error: BaseException | None) -> str:
    return "cancelled"


def unrecorded(error: BaseException | None) -> None:
    return None


def counted(registry: CollectorRegistry) -> Counter[str]:
    """Return how many operations have ended, by outcome."""
    counts: Counter[str] = Counter()
    for family in registry.restricted_registry(["operations_total"]).collect():
        for sample in family.samples:
            counts[sample.labels["outcome"]] += int(sample.value)
    return counts


def running() -> list[str]:
    return [operation.name for operation in active_runtime().store.in_flight.copy()]


@contextmanager
def recorded(
    decorate: Callable[[Any], Any], *, outcome: Any = outcome_of, **options: Any
) -> Generator[Subject]:
    """All signals, into a recorder."""
    with observing() as observed:

        def ended() -> Counter[str]:
            operations = Counter(one.outcome for one in observed._operations.all())
            assert operations == +counted(observed.registry)
            assert operations.total() == len(observed.spans.all())
            return operations

        yield Subject(
            decorate=decorate,
            ended=ended,
            running=observed.in_flight,
            faults=observed.internal_errors,
            outcome=outcome,
            inside=obskit.current,
            **options,
        )


@contextmanager
def configured(
    decorate: Callable[[Any], Any],
    registry: CollectorRegistry,
    *,
    outcome: Any = outcome_of,
    **options: Any,
) -> Generator[Subject]:
    """Whatever is configured at the time; what is recorded is read from the metrics."""
    with guard.recording() as faults:
        yield Subject(
            decorate=decorate,
            ended=lambda: counted(registry),
            running=running,
            faults=lambda: [faults.pop() for _ in list(faults)],
            outcome=outcome,
            inside=obskit.current,
            **options,
        )


@contextmanager
def metrics_only(spelling: str, **options: Any) -> Generator[Subject]:
    registry = CollectorRegistry()
    with (
        obskit.configure(service="s", logging="off", tracing="off", registry=registry),
        configured(SPELLINGS[spelling], registry, **options) as subject,
    ):
        yield subject


@contextmanager
def decorated_first() -> Generator[Subject]:
    """Each callable is decorated before, and called after, something is configured."""
    registry = CollectorRegistry()

    def decorate(function: Any) -> Any:
        obskit.shutdown()
        return obskit.observe("work")(function)

    def ready() -> None:
        obskit.configure(service="s", logging="off", tracing="off", registry=registry)

    ready()
    with configured(decorate, registry, ready=ready) as subject:
        yield subject


@contextmanager
def traced() -> Generator[Subject]:
    """Spans, metrics and no logs."""
    registry = CollectorRegistry()
    with (
        obskit.configure(service="s", logging="off", tracing=TracerProvider(), registry=registry),
        configured(obskit.observe("work"), registry) as subject,
    ):
        yield subject


@contextmanager
def arguments(
    subject: Callable[..., AbstractContextManager[Subject]], *given: Any
) -> Generator[Subject]:
    """Labels and attributes are taken from the call."""

    def decorate(function: Any) -> Any:
        try:
            return by_parameter["value"](function)
        except obskit.ObskitError:
            return by_parameter["self"](function)

    with subject(decorate, *given, takes=("value", "self"), keeps_arguments=True) as made:
        yield made


@contextmanager
def switched_off() -> Generator[Subject]:
    with (
        obskit.control.disable("*"),
        recorded(obskit.observe("work"), outcome=unrecorded) as subject,
    ):
        yield subject


@contextmanager
def suppressing() -> Generator[Subject]:
    with suppressed(), recorded(obskit.observe("work"), outcome=unrecorded) as subject:
        yield subject


SUBJECTS: dict[str, Callable[[], AbstractContextManager[Subject]]] = {
    **{
        f"{spelling}, recorded": lambda decorate=decorate: recorded(decorate)  # type: ignore[misc] # bound early
        for spelling, decorate in SPELLINGS.items()
        if spelling != "with another outcome"
    },
    "another outcome, recorded": lambda: recorded(
        SPELLINGS["with another outcome"], outcome=cancelled
    ),
    "arguments, recorded": lambda: arguments(recorded),
    "unconfigured": lambda: configured(obskit.observe("work"), REGISTRY),
    "metrics only": lambda: metrics_only("named"),
    "labels, metrics only": lambda: metrics_only("with labels"),
    "always slow, metrics only": lambda: metrics_only("always slow"),
    "another outcome, metrics only": lambda: metrics_only(
        "with another outcome", outcome=cancelled
    ),
    "arguments, unconfigured": lambda: arguments(configured, REGISTRY),
    "decorated first": decorated_first,
    "traced, not logged": traced,
    "switched off": switched_off,
    "suppressed": suppressing,
}


@every_kind
@pytest.mark.parametrize("spelling", ["bare", "named"])
def test_it_is_what_it_was(kind: Kind, spelling: str) -> None:
    check_nature(kind, SPELLINGS[spelling])


@every_kind
@pytest.mark.parametrize("name", SUBJECTS)
def test_a_call_is_what_it_was(kind: Kind, name: str) -> None:
    with SUBJECTS[name]() as subject:
        if subject.fits(kind):
            check_calls(kind, subject)
    assert current_context.get() is None
