"""Choose what to measure, and measure it."""

import pkgutil
import shutil
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from obskit._guard import guard
from obskit.bench._growth import GROWTH_COSTS
from obskit.bench._http_costs import HTTP_COSTS
from obskit.bench._http_rows import HTTP_ROWS
from obskit.bench._http_wrk import WRK_COSTS
from obskit.bench._load import LOAD_COSTS
from obskit.bench._measure import RowResult, measure
from obskit.bench._metrics import METRIC_ROWS
from obskit.bench._operations import OPERATION_ROWS
from obskit.bench._rows import Case, Cost, Effort, Row
from obskit.bench._workers import WORKER_COSTS
from obskit.errors import DISTRIBUTION
from obskit.metrics import default_engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROWS: tuple[Row, ...] = (*OPERATION_ROWS, *METRIC_ROWS, *HTTP_ROWS)
"""Every comparison, in the order of the report."""

COSTS: tuple[Cost, ...] = (
    *LOAD_COSTS,
    *GROWTH_COSTS,
    *WORKER_COSTS,
    *HTTP_COSTS,
    *WRK_COSTS,
)
"""Every further measurement, in the order of the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostResult:
    """What one `Cost` came to."""

    name: str
    work: str
    against: str
    """What it was compared with; empty for nothing."""

    unit: str
    limit: float | None
    cases: tuple[Case, ...]

    @property
    def met(self) -> bool | None:
        """Whether every case is within the limit; None without one."""
        if self.limit is None:
            return None
        return all(case.ours <= self.limit for case in self.cases if not case.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that was not measured."""

    name: str
    reason: str
    """Why, for people."""


Result = RowResult | CostResult | LeftOut
"""What a measurement comes to."""


def select(pattern: str = "*") -> "list[Row | Cost]":
    """Return what a pattern chooses.

    Args:
        pattern: A name, or a shell-style pattern such as ``metrics.*``.
    """
    entries: tuple[Row | Cost, ...] = (*ROWS, *COSTS)
    return [entry for entry in entries if fnmatchcase(entry.name, pattern)]


def run(entries: "Sequence[Row | Cost]", effort: Effort) -> "Iterator[Result]":
    """Measure, one by one.

    What needs something that is not there is left out. So is what did not do all of its work:
    where obskit has reported a fault or dropped an observation, the time would be that of
    something else.

    Args:
        entries: What to measure.
        effort: How long.
    """
    for entry in entries:
        missing = _missing(entry)
        if missing:
            yield LeftOut(name=entry.name, reason=missing)
            continue
        dropped = _dropped()
        try:
            with guard.recording() as faults:
                result = _result(entry, effort)
        except Exception as error:  # the other rows are worth having
            told = " ".join(f"failed: {type(error).__name__}: {error}".split())
            yield LeftOut(name=entry.name, reason=told)
            continue
        reason = _doubt(faults, _dropped() - dropped)
        yield LeftOut(name=entry.name, reason=reason) if reason else result


def _dropped() -> int:
    return sum(default_engine.dropped_observations.values())


def _doubt(faults: list[tuple[str, Exception]], dropped: int) -> str:
    """Return why a result is not one, for people; empty if it is."""
    if faults:
        site, error = faults[0]
        return f"obskit had an internal error in {site}: {type(error).__name__}: {error}"
    return f"obskit dropped {dropped:,} observations" if dropped else ""


def _missing(entry: "Row | Cost") -> str:
    """Return what is not there and how to have it, for people; empty if all is."""
    packages = [need for need in entry.needs if not _is_there(need)]
    if packages:
        return f"{', '.join(packages)} is not there: pip install '{DISTRIBUTION}[bench]'"
    programs = entry.programs if isinstance(entry, Cost) else ()
    missing = [program for program in programs if shutil.which(program) is None]
    return f"{missing[0]} is not there: apt install {missing[0]}" if missing else ""


def _is_there(need: str) -> bool:
    try:
        pkgutil.resolve_name(need)
    except (ImportError, AttributeError):
        return False
    return True


def _result(entry: Row | Cost, effort: Effort) -> RowResult | CostResult:
    if isinstance(entry, Row):
        return measure(entry, effort)
    return CostResult(
        name=entry.name,
        work=entry.work,
        against=entry.baseline,
        unit=entry.unit,
        limit=entry.limit,
        cases=tuple(entry.cases(effort)),
    )
