"""Interleaved rounds: what happens to the machine meanwhile happens to every side."""

import gc
import types
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from obskit.metrics import default_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence

    from obskit.bench._rows import Effort, Row, Side

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What one `Row` came to, in seconds for each time the work is done.

    Times are medians over the rounds. Where the goal is a time they are those of the quickest
    rounds: a machine that is slow for a while has no ratio to hide in. What is done, and the goals,
    are those of the row.
    """

    name: str
    work: str
    against: str
    """What it was compared with."""

    goal: float | None
    limit: float | None

    rounds: int
    """How many there were."""

    bare: float
    """The bare call."""

    baseline: float | None
    """What the baseline added to it."""

    ours: float
    """What obskit added to it."""

    ratio: float | None
    """The median of each round's ours ÷ baseline."""

    @property
    def met(self) -> bool | None:
        """Whether the goal was met; None without a goal."""
        if self.limit is not None:
            return self.ours <= self.limit
        if self.goal is None or self.ratio is None:
            return None
        return self.ratio <= self.goal


def measure(row: "Row", effort: "Effort") -> RowResult:
    """Measure a row.

    Args:
        row: What to measure.
        effort: How long.
    """
    with row.sides(effort) as sides:
        ways = {"bare": sides.bare, "baseline": sides.baseline, "ours": sides.ours}
        chosen = {name: side for name, side in ways.items() if side is not None}
        rounds = interleaved(list(chosen.values()), effort)
    columns = dict(zip(chosen, zip(*rounds, strict=True), strict=True))
    if row.limit is not None:
        columns = {name: (min(column),) for name, column in columns.items()}
    bare = columns.get("bare", (0.0,) * len(columns["ours"]))
    ours = _added(columns["ours"], bare)
    theirs = _added(columns["baseline"], bare) if sides.baseline else None
    return RowResult(
        name=row.name,
        work=row.work,
        against=row.baseline,
        goal=row.goal,
        limit=row.limit,
        rounds=len(rounds),
        bare=median(bare),
        ours=median(ours),
        baseline=None if theirs is None else median(theirs),
        ratio=None if theirs is None else _ratio(ours, theirs),
    )


def _added(times: "Sequence[float]", bare: "Sequence[float]") -> list[float]:
    return [time - less for time, less in zip(times, bare, strict=True)]


def _ratio(ours: "Sequence[float]", theirs: "Sequence[float]") -> float | None:
    """Return the median of the ratios; a baseline that costs nothing measurable has none."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True) if other > 0]
    return median(ratios) if ratios else None


def interleaved(sides: "Sequence[Side]", effort: "Effort") -> list[list[float]]:
    """Measure sides in turn, round by round.

    Args:
        sides: What to measure.
        effort: How long.

    Returns:
        For each round, the seconds of each side, for each time the work is done.
    """
    times = [_enough(side, effort.round_seconds) for side in sides]
    rounds: list[list[float]] = []
    began = perf_counter()
    with _frozen():
        while len(rounds) < effort.least_rounds or (
            len(rounds) < effort.rounds and perf_counter() - began < effort.row_seconds
        ):
            rounds.append([_clean(side, n) / n for side, n in zip(sides, times, strict=True)])
    return rounds


def _enough(side: "Side", seconds: float) -> int:
    """Return how often the work has to be done to take so long; it also warms up.

    What a side does not count takes its time, too.
    """
    times = 1
    while (taken := _whole(side, times)) < seconds:
        times = max(2 * times, min(100 * times, int(1.2 * times * seconds / (taken or seconds))))
    return times


def _whole(side: "Side", times: int) -> float:
    began = perf_counter()
    return max(side(times), perf_counter() - began)


def _clean(side: "Side", times: int) -> float:
    """Measure once, without the garbage that the side before has left."""
    gc.collect()
    return side(times)


@contextmanager
def _frozen() -> "Generator[None]":
    """Have the collector look only at what a round makes: it stays on, as in a service."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def calling(call: "Callable[..., Any]", arguments: "Sequence[Any]" = (1,)) -> "Side":
    """Make a side of a function; what it records is folded within the time measured.

    Args:
        call: The function.
        arguments: One for each call, in turn; none to call without.
    """
    return _timed(repeated(call, arguments))


def repeated(
    call: "Callable[..., Any]", arguments: "Sequence[Any]" = (1,)
) -> "Callable[[int], None]":
    """Make a function that calls another one so many times; arguments as for `calling`."""
    loop = own_code(_loop if arguments else _loop_without)
    return lambda times: loop(call, islice(cycle(arguments or (None,)), times))


def awaiting(call: "Callable[..., Coroutine[Any, Any, Any]]") -> "Side":
    """Make a side of a coroutine function that never waits; no event loop takes part.

    Args:
        call: The function, of one argument.
    """
    loop = own_code(_async_loop)

    def run(times: int) -> None:
        try:
            loop(call, islice(cycle((1,)), times)).send(None)
        except StopIteration:
            return

    return _timed(run)


def _timed(run: "Callable[[int], object]") -> "Side":
    def side(times: int) -> float:
        began = perf_counter()
        run(times)
        default_engine.drain()
        return perf_counter() - began

    return side


def _loop(call: "Callable[[Any], Any]", arguments: "Iterable[Any]") -> None:
    for argument in arguments:
        call(argument)


def _loop_without(call: "Callable[[], Any]", times: "Iterable[Any]") -> None:
    for _ in times:
        call()


async def _async_loop(
    call: "Callable[[Any], Coroutine[Any, Any, Any]]", arguments: "Iterable[Any]"
) -> None:
    for argument in arguments:
        await call(argument)


def own_code(function: "Callable[..., T]") -> "Callable[..., T]":
    """Copy a loop with its code: the interpreter specialises code for what it calls.

    Args:
        function: A plain function without defaults and free variables.
    """
    code = function.__code__.replace()
    return types.FunctionType(code, function.__globals__, function.__name__)
