"""Measure what obskit costs, next to what one would use instead: ``obskit bench``.

Ratios are medians of interleaved rounds, both sides in one process, over the bare call.
"""

from obskit.bench._measure import RowResult, measure
from obskit.bench._report import (
    COST_HEADINGS,
    ROW_HEADINGS,
    Machine,
    Report,
    cost_cells,
    goal_text,
    quantity,
    row_cells,
)
from obskit.bench._rows import FULL, QUICK, Case, Cost, Effort, Row, Sides
from obskit.bench._run import COSTS, ROWS, CostResult, LeftOut, Result, run, select
from obskit.bench._text import listing, tell

__all__ = [
    "COSTS",
    "COST_HEADINGS",
    "FULL",
    "QUICK",
    "ROWS",
    "ROW_HEADINGS",
    "Case",
    "Cost",
    "CostResult",
    "Effort",
    "LeftOut",
    "Machine",
    "Report",
    "Result",
    "Row",
    "RowResult",
    "Sides",
    "cost_cells",
    "goal_text",
    "listing",
    "measure",
    "quantity",
    "row_cells",
    "run",
    "select",
    "tell",
]
