"""What was measured, and where: a document, and the cells of its tables."""

import json
import os
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obskit._version import __version__
from obskit.bench._measure import RowResult
from obskit.bench._rows import Case, Effort, Row
from obskit.bench._run import CostResult, LeftOut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obskit.bench._rows import Cost
    from obskit.bench._run import Result

LIBRARIES = ("prometheus-client", "opentelemetry-sdk", "structlog")

PEERS = (
    "starlette",
    "fastapi",
    "starlette-exporter",
    "prometheus-fastapi-instrumentator",
    "asgi-correlation-id",
    "opentelemetry-instrumentation-asgi",
    "orjson",
    "uvicorn",
)
"""Where they are installed."""

ROW_HEADINGS = ("Row", "Work", "bare", "baseline +", "obskit +", "ratio", "goal", "")
COST_HEADINGS = ("Cost", "Case", "baseline", "obskit", "goal", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and when it was measured."""

    processor: str
    cores: int
    system: str
    python: str
    versions: dict[str, str]
    """Of obskit and of what it is compared with."""

    date: str
    """In UTC."""

    @classmethod
    def here(cls) -> "Machine":
        """Describe this machine, now."""
        return cls(
            processor=_processor(),
            cores=os.cpu_count() or 1,
            system=f"{platform.system()} {platform.machine()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            versions={"obskit": __version__, **dict(_versions())},
            date=datetime.now(UTC).date().isoformat(),
        )

    def lines(self) -> "Iterator[str]":
        """Describe it for people."""
        yield f"{self.processor}, {self.cores} cores, {self.system}, {self.date}"
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        yield f"{self.python}, {versions}"


def _versions() -> "Iterator[tuple[str, str]]":
    for name in LIBRARIES:
        yield name, version(name)
    for name in PEERS:
        with suppress(PackageNotFoundError):
            yield name, version(name)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:  # only Linux has it
        pass
    return platform.processor() or platform.machine()


@dataclass(slots=True, kw_only=True)
class Report:
    """All results of one run."""

    machine: Machine
    effort: Effort

    rows: list[RowResult] = field(default_factory=list)
    costs: list[CostResult] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def add(self, result: "Result") -> None:
        """Take in a result.

        Args:
            result: What `run` has yielded.
        """
        if isinstance(result, RowResult):
            self.rows.append(result)
        elif isinstance(result, CostResult):
            self.costs.append(result)
        else:
            self.left_out.append(result)

    def to_json(self) -> str:
        """Return the document; times are in seconds."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def lines(self) -> "Iterator[str]":
        """Tell where, when and how long it was measured, for people."""
        yield from self.machine.lines()
        yield (
            f"{self.effort.name} run: at most {self.effort.rounds} rounds; pages of "
            f"{self.effort.series:,} series"
        )

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Read a document.

        Args:
            text: What `to_json` has returned.
        """
        document: dict[str, Any] = json.loads(text)
        return cls(
            machine=Machine(**document["machine"]),
            effort=_effort(**document["effort"]),
            rows=[RowResult(**row) for row in document["rows"]],
            costs=[_cost(**cost) for cost in document["costs"]],
            left_out=[LeftOut(**entry) for entry in document["left_out"]],
        )


def _effort(memory_series: list[int], **fields: Any) -> Effort:
    return Effort(memory_series=tuple(memory_series), **fields)


def _cost(cases: "list[dict[str, Any]]", **fields: Any) -> CostResult:
    return CostResult(cases=tuple(Case(**case) for case in cases), **fields)


def row_cells(result: RowResult) -> tuple[str, ...]:
    """Return a row of the first table, under `ROW_HEADINGS`."""
    return (
        result.name,
        result.work,
        quantity(result.bare) if result.bare else "",
        "" if result.baseline is None else quantity(result.baseline),
        quantity(result.ours),
        "" if result.ratio is None else f"{result.ratio:.3f}",
        goal_text(result),
        _verdict(result.met),
    )


def cost_cells(result: CostResult) -> "Iterator[tuple[str, ...]]":
    """Return the rows of the second table, under `COST_HEADINGS`."""
    for case in result.cases:
        unit, limit = case.unit or result.unit, None if case.unit else result.limit
        yield (
            result.name,
            case.what,
            "" if case.baseline is None else quantity(case.baseline, unit),
            quantity(case.ours, unit),
            "" if limit is None else goal_text(result),
            "" if limit is None else _verdict(case.ours <= limit),
        )


def goal_text(entry: "Row | RowResult | Cost | CostResult") -> str:
    """Return a goal for people: of the ratio, or of the time that is added."""
    if entry.limit is not None:
        unit = "s" if isinstance(entry, Row | RowResult) else entry.unit
        return f"≤ {quantity(entry.limit, unit)}"
    goal = entry.goal if isinstance(entry, Row | RowResult) else None
    return "" if goal is None else f"≤ {goal:g}"


def _verdict(met: bool | None) -> str:
    return "" if met is None else "met" if met else "missed"


def quantity(value: float, unit: str = "s") -> str:
    """Return a number with a unit that suits its size.

    Args:
        value: Seconds, bytes, how often in a second, or how many.
        unit: ``s``, ``B``, ``/s`` or ``1``.
    """
    if unit != "s":
        return f"{value:,.0f} {unit}".removesuffix(" 1").replace(" /", "/")
    for size, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(value) >= size:
            return f"{value / size:.3g} {name}"
    return f"{value * 1e9:.3g} ns"
