"""Results as plain text, line by line as they come."""

from typing import TYPE_CHECKING

from obskit.bench._measure import RowResult
from obskit.bench._report import (
    COST_HEADINGS,
    ROW_HEADINGS,
    Report,
    cost_cells,
    goal_text,
    row_cells,
)
from obskit.bench._run import CostResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from obskit.bench._rows import Cost, Row
    from obskit.bench._run import Result

_NUMBER_WIDTH = 10


def tell(
    report: Report, entries: "Sequence[Row | Cost]", results: "Iterable[Result]"
) -> "Iterator[str]":
    """Take in results as they come, and tell each of them in lines of plain text.

    Args:
        report: Takes them in.
        entries: What is measured.
        results: What `run` yields for it.
    """
    yield "obskit bench: costs, measured in turn with those of other libraries"
    yield from report.lines()
    beginnings = _widths(ROW_HEADINGS[:2], [(entry.name, entry.work) for entry in entries])
    columns = [*beginnings, *[_NUMBER_WIDTH] * len(ROW_HEADINGS[2:])]
    for result in results:
        report.add(result)
        if isinstance(result, RowResult):
            if len(report.rows) == 1:
                yield from ("", _line(ROW_HEADINGS, columns))
            yield _line(row_cells(result), columns)
        elif isinstance(result, CostResult):
            yield from ("", f"{result.name}: {result.work}")
            yield from _table(COST_HEADINGS[1:], [cells[1:] for cells in cost_cells(result)])
    yield from _footnotes(report)


def listing(entries: "Sequence[Row | Cost]") -> "Iterator[str]":
    """Describe in lines of plain text what can be measured.

    Args:
        entries: What there is.
    """
    rows = [(entry.name, goal_text(entry), entry.work, entry.baseline) for entry in entries]
    return _table(("Name", "Goal", "Work", "Compared with"), rows)


def _footnotes(report: Report) -> "Iterator[str]":
    yield ""
    yield "+: what is added to the bare call; ratio: obskit's ÷ the baseline's, median of rounds."
    yield "What each is compared with: obskit bench --list"
    for entry in report.left_out:
        yield f"left out: {entry.name}: {entry.reason}"


def _table(headings: "Sequence[str]", rows: "Sequence[Sequence[str]]") -> "Iterator[str]":
    columns = _widths(headings, rows)
    for cells in (headings, *rows):
        yield _line(cells, columns)


def _widths(headings: "Sequence[str]", rows: "Iterable[Sequence[str]]") -> list[int]:
    return [max(map(len, column)) for column in zip(headings, *rows, strict=True)]


def _line(cells: "Iterable[str]", columns: "Iterable[int]") -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, columns, strict=True)).rstrip()
