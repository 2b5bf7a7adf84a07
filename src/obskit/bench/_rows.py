"""What is measured, as data: each row compares two ways to do one work."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Side = Callable[[int], float]
    """Does the work so many times, and returns the seconds that it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long and how much is measured."""

    name: str
    """What the report calls it."""

    rounds: int
    """Rounds of each row, at most: in each, every side is measured once."""

    least_rounds: int
    """Rounds of each row, however long they take."""

    row_seconds: float
    """Seconds after which a row that has its least rounds ends."""

    round_seconds: float
    """Seconds that one side is busy in one round, at least."""

    series: int
    """Lines of the pages that are rendered."""

    memory_series: tuple[int, ...]
    """Series whose memory is weighed."""

    thread_calls: int
    """Calls that the threads of one case share out."""

    tail_seconds: float
    """Seconds of calls, one by one timed."""

    workers: int
    """Dead workers that a scrape meets."""

    requests: int
    """Hostile requests."""

    wrk_rounds: int
    """Rounds of load over loopback."""

    wrk_seconds: int
    """Whole seconds that one server is under load in one round."""


FULL = Effort(
    name="full",
    rounds=25,
    least_rounds=5,
    row_seconds=6.0,
    round_seconds=0.02,
    series=100_000,
    memory_series=(10_000, 100_000),
    thread_calls=64_000,
    tail_seconds=2.0,
    workers=5_000,
    requests=1_000_000,
    wrk_rounds=3,
    wrk_seconds=5,
)

QUICK = Effort(
    name="quick",
    rounds=5,
    least_rounds=3,
    row_seconds=1.0,
    round_seconds=0.02,
    series=10_000,
    memory_series=(1_000, 10_000),
    thread_calls=16_000,
    tail_seconds=0.5,
    workers=500,
    requests=50_000,
    wrk_rounds=2,
    wrk_seconds=2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The same work, done in several ways in one process."""

    ours: "Side"
    """With obskit."""

    baseline: "Side | None" = None
    """With what one would use instead; None where the goal is absolute."""

    bare: "Side | None" = None
    """Without any; None where the work is nothing but telemetry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison: what the work costs with obskit, and with something else."""

    name: str
    """Short, unique; patterns choose rows by it."""

    work: str
    """What is done, for people."""

    baseline: str
    """What it is compared with, for people."""

    sides: "Callable[[Effort], AbstractContextManager[Sides]]"
    """Sets up both; its end leaves nothing behind."""

    goal: float | None = None
    """The ratio of what is added to the bare call, ours ÷ baseline, at most."""

    limit: float | None = None
    """Seconds that are added to the bare call, at most."""

    needs: tuple[str, ...] = ()
    """What has to be there, as ``package.module:attribute``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One number of a `Cost`, beside that of the usual way where there is one."""

    what: str
    """The circumstances, for people."""

    ours: float
    """In the unit of the cost."""

    baseline: float | None = None
    """The same for what one would use instead."""

    unit: str = ""
    """Of both, where it is another than the cost's, whose limit then does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Numbers that no single ratio tells: what a cost depends on, or what it must not."""

    name: str
    """Short, unique; patterns choose costs by it."""

    work: str
    """What is done, for people."""

    baseline: str
    """What it is compared with, for people; empty for nothing."""

    unit: str
    """As `quantity` knows it."""

    cases: "Callable[[Effort], Iterator[Case]]"
    """Measures."""

    limit: float | None = None
    """The most that any case of obskit's may be."""

    needs: tuple[str, ...] = ()
    """What has to be there, as ``package.module:attribute``."""

    programs: tuple[str, ...] = ()
    """What has to be there to be run."""
