"""The benchmarks measure what they say, and tell it; how long things take is not tested."""

import gc
import json
import math
from contextlib import nullcontext
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

import prometheus_client
import pytest
from prometheus_client import (
    CollectorRegistry,
    disable_created_metrics,
    enable_created_metrics,
    generate_latest,
)

import obskit
from obskit import bench
from obskit._guard import guard
from obskit.bench import (
    QUICK,
    Case,
    Cost,
    CostResult,
    Effort,
    LeftOut,
    Machine,
    Report,
    Row,
    RowResult,
    Sides,
)
from obskit.bench._hand_written import bound_call, bound_coroutine, labelled_call
from obskit.bench._measure import awaiting, calling, interleaved
from obskit.bench._metrics import bind_counters, bind_histograms
from obskit.bench._workers import check_page
from obskit.metrics import default_engine, render
from obskit.runtime import active_runtime
from obskit.testing import observing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

TINY = Effort(
    name="tiny",
    rounds=2,
    least_rounds=2,
    row_seconds=0.0,
    round_seconds=1e-5,
    series=40,
    memory_series=(20, 40),
    thread_calls=64,
    tail_seconds=0.4,  # a scrape or two in each part
    workers=3,
    requests=100,
    wrk_rounds=1,
    wrk_seconds=1,
)

MACHINE = Machine(
    processor="Abacus", cores=2, system="Linux", python="CPython 3", versions={}, date="2026-01-01"
)


@pytest.mark.parametrize("row", bench.ROWS, ids=lambda row: row.name)
def test_every_row_measures_both_sides_and_leaves_nothing_behind(row: Row) -> None:
    before = active_runtime()
    (result,) = bench.run([row], TINY)
    skip_if_left_out(result)
    assert active_runtime() is before
    assert isinstance(result, RowResult), result
    assert result.rounds == 2
    assert math.isfinite(result.ours)
    assert (result.baseline is None) == (row.limit is not None)


@pytest.mark.parametrize("cost", bench.COSTS, ids=lambda cost: cost.name)
def test_every_cost_has_cases_in_its_unit(cost: Cost) -> None:
    (result,) = bench.run([cost], TINY)
    skip_if_left_out(result)
    assert isinstance(result, CostResult), result
    assert len({case.what for case in result.cases}) == len(result.cases) >= 1
    assert all(math.isfinite(case.ours) for case in result.cases)


def skip_if_left_out(result: bench.Result) -> None:
    """Skip where a peer is not installed; what has failed is no reason."""
    if isinstance(result, LeftOut) and " is not there: " in result.reason:
        pytest.skip(result.reason)


def test_names_are_unique() -> None:
    names = [entry.name for entry in bench.select()]
    assert len(set(names)) == len(names) == len(bench.ROWS) + len(bench.COSTS)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("operation.call", {}),
        ("operation.coroutine", {}),
        ("operation.labelled", {"kind": "tea"}),
        ("tracing.off", {}),
        ("tracing.unset", {}),
        ("tracing.recorded", {}),
    ],
)
def test_what_is_measured_really_records_every_call(name: str, labels: dict[str, str]) -> None:
    """The fold of the last observation is within the time that is measured."""
    (row,) = bench.select(name)
    assert isinstance(row, Row)
    with observing() as observed, row.sides(TINY) as sides:
        sides.ours(1000)
        counted = observed.metrics.value(
            "operations_total", operation="bench.work", outcome="ok", error_type="", **labels
        )
    assert counted == (200 if labels else 1000)


@pytest.mark.parametrize("name", ["control.disabled", "control.suppressed"])
def test_what_is_switched_off_records_nothing(name: str) -> None:
    (row,) = bench.select(name)
    assert isinstance(row, Row)
    with observing() as observed, row.sides(TINY) as sides:
        sides.ours(10)
        moved = [name for name, _, _ in observed.metrics.moved()]
        assert [name for name in moved if not name.startswith(("process_", "python_"))] == []


def test_the_hand_written_code_counts_times_and_tracks() -> None:
    registries = [CollectorRegistry() for _ in range(3)]
    calling(bound_call(registries[0]))(5)
    awaiting(bound_coroutine(registries[1]))(5)
    calling(labelled_call(registries[2]), ("tea",))(5)
    for registry, further in zip(registries, ({}, {}, {"kind": "tea"}), strict=True):
        ok = {"operation": "work", "outcome": "ok", **further}
        assert registry.get_sample_value("calls_total", {**ok, "error_type": ""}) == 5
        assert registry.get_sample_value("call_duration_seconds_count", ok) == 5
        assert registry.get_sample_value("calls_in_progress", {"operation": "work"}) == 0


@pytest.fixture
def _no_creation_times() -> "Generator[None]":
    disable_created_metrics()  # type: ignore[no-untyped-call] # theirs has no types
    yield
    enable_created_metrics()  # type: ignore[no-untyped-call] # the same


@pytest.mark.usefixtures("_no_creation_times")
@pytest.mark.parametrize("bind", [bind_counters, bind_histograms])
def test_both_sides_render_the_same_page(bind: Any) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    for change in (
        *bind(obskit.metrics, ours, 100),
        *bind(prometheus_client, theirs, 100),
    ):
        change()
    page, _ = render(ours)
    assert sorted(page.splitlines()) == sorted(generate_latest(theirs).splitlines())
    assert len(page.splitlines()) >= 80


def steady(seconds: float, calls: list[float] | None = None) -> "Callable[[int], float]":
    """Return a side whose work always takes so long, and which notes that it was its turn."""

    def side(times: int) -> float:
        if calls is not None:
            calls.append(seconds)
        return times * seconds

    return side


def row_of(sides: Sides, **fields: Any) -> Row:
    return Row(name="x", work="X", baseline="Y", sides=lambda _: nullcontext(sides), **fields)


def test_a_ratio_is_of_what_is_added_to_the_bare_call() -> None:
    row = row_of(Sides(bare=steady(1e-4), baseline=steady(5e-4), ours=steady(2e-4)), goal=0.3)
    result = bench.measure(row, TINY)
    assert result.bare == pytest.approx(1e-4)
    assert result.baseline == pytest.approx(4e-4)
    assert result.ours == pytest.approx(1e-4)
    assert result.ratio == pytest.approx(0.25)
    assert result.met is True


@pytest.mark.parametrize(
    ("ours", "fields", "met"),
    [
        (2e-4, {"goal": 0.2}, True),
        (3e-4, {"goal": 0.2}, False),
        (3e-4, {}, None),
        (2e-4, {"limit": 1.5e-4}, True),
        (3e-4, {"limit": 1.5e-4}, False),
    ],
)
def test_a_goal_is_met_or_missed(ours: float, fields: dict[str, float], met: bool | None) -> None:
    sides = Sides(bare=steady(1e-4), baseline=steady(1e-3), ours=steady(ours))
    if "limit" in fields:
        sides = replace(sides, baseline=None)
    assert bench.measure(row_of(sides, **fields), TINY).met is met


def test_a_goal_that_is_a_time_is_judged_by_the_quickest_rounds() -> None:
    def varying(*seconds: float) -> "Callable[[int], float]":
        each = cycle(seconds)
        return lambda times: times * next(each)

    sides = Sides(bare=varying(1.0, 2.0), ours=varying(4.0, 3.0))
    result = bench.measure(row_of(sides, limit=2.5), TINY)
    assert (result.bare, result.ours, result.met) == (1.0, 2.0, True)


def test_without_a_bare_call_nothing_is_subtracted() -> None:
    result = bench.measure(row_of(Sides(baseline=steady(4e-4), ours=steady(1e-4))), TINY)
    assert (result.bare, result.baseline, result.ratio) == (0.0, 4e-4, 0.25)


def test_a_baseline_that_costs_nothing_has_no_ratio() -> None:
    row = row_of(Sides(bare=steady(2e-4), baseline=steady(2e-4), ours=steady(3e-4)), goal=0.3)
    result = bench.measure(row, TINY)
    assert (result.ratio, result.met) == (None, None)


def test_rounds_are_interleaved() -> None:
    turns: list[float] = []
    rounds = interleaved([steady(1e-3, turns), steady(2e-3, turns), steady(3e-3, turns)], TINY)
    assert turns[-6:] == [1e-3, 2e-3, 3e-3] * 2
    assert rounds == [[1e-3, 2e-3, 3e-3]] * 2


def test_a_round_takes_long_enough() -> None:
    taken: list[float] = []

    def side(times: int) -> float:
        taken.append(times * 1e-6)
        return times * 1e-6

    interleaved([side], replace(TINY, round_seconds=0.02))
    assert taken[-1] >= 0.02
    assert taken[-2:] == [taken[-1]] * 2


def test_what_a_side_does_not_count_makes_its_round_no_longer() -> None:
    asked: list[int] = []

    def side(times: int) -> float:
        asked.append(times)
        sleep(times / 1000)
        return times * 1e-9

    interleaved([side], replace(TINY, round_seconds=0.005))
    assert max(asked) < 50


def test_a_slow_row_ends_after_its_least_rounds() -> None:
    assert len(interleaved([steady(1.0)], replace(TINY, rounds=100, least_rounds=3))) == 3


def test_the_garbage_collector_is_left_as_it_was() -> None:
    def fail(times: int) -> float:
        if gc.get_freeze_count():
            raise ZeroDivisionError
        return times

    with pytest.raises(ZeroDivisionError):
        interleaved([fail], TINY)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_what_makes_obskit_report_a_fault_is_left_out() -> None:
    def faulty(times: int) -> float:
        guard.report("operation.begin", ValueError("bad"))
        return times

    (result,) = bench.run([row_of(Sides(ours=faulty))], TINY)
    assert result == LeftOut(
        name="x", reason="obskit had an internal error in operation.begin: ValueError: bad"
    )


def test_what_makes_obskit_drop_observations_is_left_out() -> None:
    def dropping(times: int) -> float:
        default_engine.refuse()
        return times

    (result,) = bench.run([row_of(Sides(ours=dropping))], TINY)
    assert result == LeftOut(name="x", reason="obskit dropped 3 observations")


def test_a_row_that_fails_does_not_keep_the_others_from_being_measured() -> None:
    def failing(times: int) -> float:
        raise ZeroDivisionError("division by zero")

    results = list(bench.run([row_of(Sides(ours=failing)), row_of(Sides(ours=steady(1.0)))], TINY))
    assert results[0] == LeftOut(name="x", reason="failed: ZeroDivisionError: division by zero")
    assert isinstance(results[1], RowResult)


@pytest.mark.parametrize("need", ["obskit.nothing:x", "obskit:nothing", "nothing"])
def test_what_needs_something_that_is_not_there_is_left_out(need: str) -> None:
    (result,) = bench.run([row_of(Sides(ours=steady(1.0)), needs=("obskit:observe", need))], TINY)
    assert result == LeftOut(
        name="x", reason=f"{need} is not there: pip install 'obskit-instrumentation[bench]'"
    )


def test_what_needs_a_program_that_is_not_there_is_left_out() -> None:
    cost = Cost(
        name="x", work="X", baseline="", unit="s", cases=lambda _: iter(()), programs=("no-such",)
    )
    (result,) = bench.run([cost], TINY)
    assert result == LeftOut(name="x", reason="no-such is not there: apt install no-such")


def report() -> Report:
    """Return a report with one entry of each kind."""
    made = Report(machine=MACHINE, effort=TINY)
    sides = Sides(bare=steady(1e-8), baseline=steady(1e-5), ours=steady(2e-8))
    made.add(bench.measure(row_of(sides, goal=0.35), TINY))
    made.add(
        CostResult(
            name="cost.y",
            work="Y",
            against="",
            unit="B",
            limit=None,
            cases=(Case(what="many", ours=1234.0), Case(what="few", ours=2.0, baseline=3.0)),
        )
    )
    made.add(LeftOut(name="z", reason="no time"))
    return made


def test_a_document_can_be_read_back() -> None:
    made = report()
    assert Report.from_json(made.to_json()) == made
    assert json.loads(made.to_json())["rows"][0]["goal"] == 0.35


def test_the_tables_tell_everything() -> None:
    told = report()
    told.add(replace(told.rows[0], name="second", ratio=None, goal=None))
    entries = [row_of(Sides(ours=steady(1.0)))]
    lines = list(
        bench.tell(
            Report(machine=MACHINE, effort=TINY),
            entries,
            [*told.rows, *told.costs, *told.left_out],
        )
    )
    assert lines[1] == "Abacus, 2 cores, Linux, 2026-01-01"
    assert lines[3] == "tiny run: at most 2 rounds; pages of 40 series"
    told_words = [" ".join(line.split()) for line in lines]
    assert "x X 10 ns 9.99 µs 10 ns 0.001 ≤ 0.35 met" in told_words
    assert "second X 10 ns 9.99 µs 10 ns" in told_words
    assert "cost.y: Y" in told_words
    assert "many 1,234 B" in told_words
    assert "few 3 B 2 B" in told_words
    assert "left out: z: no time" in lines


def test_results_are_told_as_they_come() -> None:
    def results() -> "Iterator[bench.Result]":
        yield from report().rows
        raise KeyboardInterrupt

    lines = bench.tell(Report(machine=MACHINE, effort=TINY), [], results())
    assert any(line.startswith("x ") for line in lines_until_interrupt(lines))


def lines_until_interrupt(lines: "Iterator[str]") -> "Iterator[str]":
    try:
        yield from lines
    except KeyboardInterrupt:
        return


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.234e-9, "s", "1.23 ns"),
        (-2e-9, "s", "-2 ns"),
        (1.5e-7, "s", "150 ns"),
        (2.5e-6, "s", "2.5 µs"),
        (0.0123, "s", "12.3 ms"),
        (1.5, "s", "1.5 s"),
        (0.0, "s", "0 ns"),
        (12345.6, "B", "12,346 B"),
        (12345.6, "/s", "12,346/s"),
        (1234.0, "1", "1,234"),
    ],
)
def test_a_quantity_has_a_unit_that_suits_it(value: float, unit: str, text: str) -> None:
    assert bench.quantity(value, unit) == text


@pytest.mark.parametrize(
    ("limit", "numbers", "met"),
    [(None, (1.0,), None), (1.0, (0.5, 1.0), True), (1.0, (0.5, 1.5), False)],
)
def test_a_limit_holds_for_every_case(
    limit: float | None, numbers: tuple[float, ...], met: bool | None
) -> None:
    cases = tuple(Case(what=str(number), ours=number) for number in numbers)
    result = CostResult(name="x", work="X", against="", unit="s", limit=limit, cases=cases)
    assert result.met is met
    verdicts = [cells[-1] for cells in bench.cost_cells(result)]
    assert ("missed" in verdicts) == (met is False)


def test_a_limit_does_not_hold_for_cases_in_another_unit() -> None:
    cases = (Case(what="memory", ours=1.0), Case(what="series", ours=7.0, unit="1"))
    result = CostResult(name="x", work="X", against="", unit="B", limit=2.0, cases=cases)
    assert result.met is True
    assert [cells[3:] for cells in bench.cost_cells(result)] == [
        ("1 B", "≤ 2 B", "met"),
        ("7", "", ""),
    ]


def test_a_machine_without_proc_has_a_processor_too(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def without_proc(path: Path, *arguments: Any, **keywords: Any) -> str:
        if path == Path("/proc/cpuinfo"):
            raise FileNotFoundError
        return read(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "read_text", without_proc)
    assert Machine.here().processor


@pytest.mark.parametrize("page", [b"", b'operations_total{operation="bench.work"} 2.0'])
def test_a_scrape_that_misses_a_worker_is_no_result(page: bytes) -> None:
    with pytest.raises(ValueError, match="does not show 3 calls"):
        check_page(page, 3)


def test_this_machine_has_a_name_and_versions() -> None:
    machine = Machine.here()
    assert machine.processor
    assert machine.cores >= 1
    assert machine.versions["obskit"] == obskit.__version__
    assert {"prometheus-client", "structlog"} <= set(machine.versions)


def test_quick_is_less_than_full() -> None:
    assert QUICK.rounds < bench.FULL.rounds
    assert QUICK.series < bench.FULL.series
