"""``obskit bench``: measure costs, print them as they come, keep them as a document."""

from typing import TYPE_CHECKING

from obskit.bench import FULL, QUICK, Machine, Report, listing, run, select, tell

if TYPE_CHECKING:
    from pathlib import Path


def bench(pattern: str, *, quick: bool, only_list: bool, json_file: "Path | None") -> int:
    """Measure, or list what can be measured.

    Args:
        pattern: Which rows.
        quick: Measure less, and less exactly.
        only_list: List the rows instead.
        json_file: Where the document goes, if anywhere.

    Returns:
        The exit code; goals that are missed are no failure.

    Raises:
        LookupError: If there is no such row.
        OSError: If the file cannot be written; it is tried before anything is measured.
    """
    entries = select(pattern)
    if not entries:
        raise LookupError(f"no row is called {pattern!r} (see obskit bench --list)")
    if only_list:
        print(*listing(entries), sep="\n")
        return 0
    if json_file is not None:
        json_file.open("a", encoding="utf-8").close()
    effort = QUICK if quick else FULL
    report = Report(machine=Machine.here(), effort=effort)
    for text in tell(report, entries, run(entries, effort)):
        print(text, flush=True)
    if json_file is not None:
        json_file.write_text(report.to_json(), encoding="utf-8")
    return 0
