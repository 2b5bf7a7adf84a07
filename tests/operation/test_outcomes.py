"""How an operation ends, and who has a say in it."""

import asyncio
import contextvars
from collections.abc import Callable, Generator
from typing import Any

import anyio
import pytest

import obskit
from obskit import MetricNames
from obskit.operation import outcome_of
from obskit.testing import Observed


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (ValueError(), "error"),
        (KeyboardInterrupt(), "error"),
        (SystemExit(1), "error"),
        (SystemExit("message"), "error"),
        (SystemExit(0), "ok"),
        (SystemExit(), "ok"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "closed"),
    ],
    ids=repr,
)
def test_an_error_means_an_outcome(error: BaseException | None, outcome: str) -> None:
    assert outcome_of(error) == outcome


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), SystemExit(2), GeneratorExit(), asyncio.CancelledError()],
    ids=repr,
)
def test_what_is_not_an_exception_is_never_swallowed(
    error: BaseException, observed: Observed
) -> None:
    with pytest.raises(type(error)) as caught, obskit.observe("block"):
        fail(error)
    assert caught.value is error
    with pytest.raises(type(error)) as caught:
        obskit.observe("function")(fail)(error)
    assert caught.value is error
    outcome = outcome_of(error)
    observed.operation("block").once().with_outcome(outcome)
    observed.operation("function").once().with_outcome(outcome)


class Pause:
    """Something to await that hands control to whoever drives the coroutine."""

    def __await__(self) -> Generator[None]:
        yield


def test_a_coroutine_that_is_closed_is_closed(observed: Observed) -> None:
    @obskit.observe("job")
    async def job() -> None:
        await Pause()

    coroutine = job()
    begun_in, elsewhere = contextvars.copy_context(), contextvars.copy_context()
    begun_in.run(coroutine.send, None)
    assert observed.in_flight() == ["job"]
    elsewhere.run(coroutine.close)
    assert elsewhere.run(obskit.current).name == ""
    observed.operation("job").once().with_outcome("closed")


@pytest.mark.anyio
async def test_a_cancelled_task_is_cancelled(observed: Observed) -> None:
    started = asyncio.Event()

    @obskit.observe("job")
    async def job() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(job())
    await started.wait()
    assert observed.in_flight() == ["job"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    observed.operation("job").once().with_outcome("cancelled")
    observed.logs.none(event="operation failed")
    assert observed.spans.one("job").status.is_unset


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.anyio
async def test_cancellation_of_either_event_loop(anyio_backend: str, observed: Observed) -> None:
    @obskit.observe("job")
    async def job() -> None:
        await anyio.sleep_forever()

    with anyio.move_on_after(0):
        await job()
    with anyio.move_on_after(0):
        async with obskit.observe("block"):
            await anyio.sleep_forever()
    observed.operation("job").once().with_outcome("cancelled")
    observed.operation("block").once().with_outcome("cancelled")
    assert obskit.current().name == ""


def test_the_predicate_sees_result_and_error(observed: Observed) -> None:
    seen: list[tuple[Any, BaseException | None]] = []
    error = ValueError("no")

    def outcome(result: Any, error: BaseException | None) -> None:
        seen.append((result, error))

    obskit.observe("good", outcome=outcome)(lambda: 7)()
    with pytest.raises(ValueError, match="no"):
        obskit.observe("bad", outcome=outcome)(fail)(error)
    assert seen == [(7, None), (None, error)]
    observed.operation("good").with_outcome("ok")
    observed.operation("bad").with_outcome("error")


def test_the_predicate_overrides(observed: Observed) -> None:
    @obskit.observe("fetch", outcome=lambda status, error: "error" if status == 503 else None)
    def fetch(status: int) -> int:
        return status

    assert [fetch(200), fetch(503)] == [200, 503]
    observed.operation("fetch").times(2).with_outcome("ok")
    observed.operation("fetch").with_outcome("error")
    assert observed.logs.one(event="operation failed").get("error_type") is None
    assert [span.status.is_ok for span in observed.spans.all("fetch")] == [True, False]


def test_an_expected_error_may_be_ok(observed: Observed) -> None:
    error = KeyError("absent")

    @obskit.observe("look", outcome=lambda _, error: "ok" if isinstance(error, KeyError) else None)
    def look() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        look()
    assert caught.value is error
    observed.operation("look").once().with_outcome("ok").with_error("")
    observed.logs.none(event="operation failed")


def test_the_predicate_judges_blocks_coroutines_and_generators(observed: Observed) -> None:
    def outcome(result: Any, error: BaseException | None) -> Any:
        return "cancelled"

    async def coroutine() -> None: ...

    with obskit.observe("block", outcome=outcome):
        pass
    asyncio.run(obskit.observe("coroutine", outcome=outcome)(coroutine)())
    list(obskit.observe("generator", outcome=outcome)(lambda: (yield))())
    for name in ("block", "coroutine", "generator"):
        observed.operation(name).once().with_outcome("cancelled")


def broken(result: Any, error: BaseException | None) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "outcome",
    [broken, lambda: "ok", lambda *_: "great", lambda *_: 42, lambda *_: ["ok"], lambda *_: True],
)
def test_a_faulty_predicate_is_counted_and_changes_nothing(
    outcome: Callable[..., Any], observed: Observed
) -> None:
    assert obskit.observe("work", outcome=outcome)(lambda: 7)() == 7
    assert [site for site, _ in observed.internal_errors()] == ["operation.outcome"]
    observed.operation("work").once().with_outcome("ok")


def test_the_operation_itself_has_the_last_word(observed: Observed) -> None:
    with obskit.observe("sync", outcome=lambda *_: "ok") as operation:
        operation.outcome = "error"
    observed.operation("sync").once().with_outcome("error")
    observed.logs.one(event="operation failed", operation="sync")


def test_a_nonsense_outcome_is_counted(observed: Observed) -> None:
    with obskit.observe("sync") as operation:
        operation.outcome = "splendid"  # type: ignore[assignment] # the mistake under test
    assert [site for site, _ in observed.internal_errors()] == ["operation.outcome"]
    observed.operation("sync").once().with_outcome("ok")


def test_only_fifty_classes_of_errors_are_told_apart(observed: Observed) -> None:
    """Whoever makes classes of errors at run time does not make series without end."""
    work = obskit.observe("work")(fail)
    for number in range(60):
        error = type(f"Error{number}", (Exception,), {})()
        for _ in range(2):
            with pytest.raises(type(error)):
                work(error)
    assert observed.metrics.delta("operations_total", error_type="Error49") == 2
    assert observed.metrics.delta("operations_total", error_type="Error50") == 0
    assert observed.metrics.delta("operations_total", error_type="other") == 20
    observed.operation("work").times(120).with_error("Error59")
    assert observed.logs.all(error_type="Error59")


SESSION = MetricNames(
    total="agent_sessions_total",
    duration="agent_session_duration_seconds",
    in_progress="agent_sessions_active",
    operation="agent_type",
    outcome="status",
    error_type=None,
    duration_outcome=False,
    outcomes={"ok": "success", "error": "failure", "cancelled": "aborted", "closed": "aborted"},
    buckets=(1.0, 10.0),
)


def test_metric_names_label_names_and_words_are_data(observed: Observed) -> None:
    with obskit.observe("planner", names=SESSION, tier="gold"):
        assert observed.metrics.value("agent_sessions_active", agent_type="planner") == 1
    with (
        pytest.raises(ValueError, match="x"),
        obskit.observe("planner", names=SESSION, tier="gold"),
    ):
        raise ValueError("x")
    delta = observed.metrics.delta
    assert delta("agent_sessions_total", agent_type="planner", status="success", tier="gold") == 1
    assert delta("agent_sessions_total", agent_type="planner", status="failure", tier="gold") == 1
    assert delta("agent_session_duration_seconds_bucket", le="10.0", agent_type="planner") == 2
    assert observed.metrics.value("agent_sessions_active", agent_type="planner") == 0


def test_the_samples_have_exactly_these_labels(observed: Observed) -> None:
    with obskit.observe("planner", names=SESSION):
        pass
    moved = {name: dict(labels) for name, labels, _ in observed.metrics.moved()}
    assert moved["agent_sessions_total"] == {"agent_type": "planner", "status": "success"}
    assert moved["agent_session_duration_seconds_count"] == {"agent_type": "planner"}


def test_each_gauge_counts_its_own(observed: Observed) -> None:
    with obskit.observe("planner", names=SESSION), obskit.observe("work"):
        assert observed.metrics.value("agent_sessions_active") == 1
        assert observed.metrics.value("operations_in_progress") == 1


def test_without_an_operation_label_all_count_together(observed: Observed) -> None:
    names = MetricNames(
        total="jobs_total",
        duration="job_seconds",
        in_progress="jobs_running",
        operation=None,
        error_type=None,
    )
    with obskit.observe("a", names=names), obskit.observe("b", names=names):
        assert observed.metrics.value("jobs_running") == 2
    assert observed.metrics.delta("jobs_total", outcome="ok") == 2


@pytest.mark.parametrize("first", ["plain", "labelled"])
def test_declarations_that_share_a_gauge_may_differ_in_labels(
    first: str, observed: Observed
) -> None:
    """However they are ordered, no series appears twice."""
    unlabelled = MetricNames(total="x_total", duration="x_seconds", operation=None)
    order: list[dict[str, Any]] = [{"names": unlabelled}, {}]
    for options in order if first == "plain" else reversed(order):
        with obskit.observe("work", **options):
            pass
    with obskit.observe("work", names=unlabelled), obskit.observe("work"):
        assert observed.metrics.value("operations_in_progress") == 2
    (family,) = (f for f in observed.registry.collect() if f.name == "operations_in_progress")
    series = [tuple(sample.labels.items()) for sample in family.samples]
    assert len(series) == len(set(series))


def test_names_that_contradict_each_other_are_reported_not_raised(observed: Observed) -> None:
    other = MetricNames(operation="job", in_progress="jobs_in_progress")
    for names in (MetricNames(), other):
        with obskit.observe("work", names=names):
            pass
    observed.operation("work").times(2).with_outcome("ok")
    assert observed.metrics.delta("operations_total", operation="work") == 1
    assert {site for site, _ in observed.internal_errors()} == {"metrics.declare"}
