"""The demo's document for people: colours and tables on a terminal, plain text in a pipe."""

import json
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

if TYPE_CHECKING:
    from rich.console import RenderableType

    from obskit.cli._demo import Document

PIPE_WIDTH = 132
"""Columns of plain text."""

_INTRODUCTION = """\
obskit: describe a unit of work once; metrics, log lines and spans follow from it.
This small order service has been run for you. All that it says to obskit is of this kind:

    instrument(app, health=health)                    # the requests, /metrics and /health

    @obskit.observe("charge_card", labels={"provider": "stripe"})
    async def charge_card(order, cents): ...          # counted, timed, logged when it fails, traced
"""

_LINE_FIELDS = ("level", "event", "logger", "trace_id")
"""Fields shown in columns of their own, or the same on every line of the request."""

_HIDDEN_FIELDS = {
    "timestamp",
    "service",
    "version",
    "environment",
    "correlation_id",
    "span_id",
    "exception",
    *_LINE_FIELDS,
}


def show(document: "Document") -> None:
    """Print the document on standard output.

    Args:
        document: What the demo recorded.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH, color_system=None)
    request = document["request"]
    followed = f"joined by their correlation id {request['correlation_id']!r}"
    last = json.dumps(request["log_lines"][-1])
    sections: list[tuple[str, RenderableType]] = [
        ("What clients did to a small order service", _traffic(console, document["traffic"])),
        ("The metrics that moved, as /metrics shows them", _metrics(console, document["metrics"])),
        (f"The log lines of one request, {followed}", _lines(console, request["log_lines"])),
        ("The last of them, as it was written", Text(last)),
        ("The spans of the same request", _spans(request["spans"])),
        (f"What /health answers: {document['health']['status']}", _health(document["health"])),
        ("How to go on", Text("\n".join(document["next"]))),
    ]
    console.print(Text(_INTRODUCTION))
    for number, (title, body) in enumerate(sections, start=1):
        console.print(Text(f"{number}. {title}", style="bold cyan"))
        console.print(body)
        console.print()


def _table(console: Console, *headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    return table


def _traffic(console: Console, traffic: "list[Document]") -> Table:
    table = _table(console, "what", "request", "status", "X-Request-ID of the answer")
    for call in traffic:
        status = str(call["status"] or "hung up")
        table.add_row(
            call["what"],
            call["request"],
            Text(status, style=_status_style(status)),
            call["correlation_id"],
        )
    return table


def _metrics(console: Console, metrics: "list[Document]") -> Table:
    table = _table(console, "name", "labels", "value")
    for sample in metrics:
        table.add_row(
            sample["name"], Text(_pairs(sample["labels"])), Text(f"{sample['value']:.6g}")
        )
    return table


def _lines(console: Console, lines: "list[Document]") -> Table:
    table = _table(console, "level", "event", "logger", "fields")
    for line in lines:
        level = line["level"]
        fields = {name: value for name, value in line.items() if name not in _HIDDEN_FIELDS}
        table.add_row(
            Text(level, style="red" if level == "error" else "green"),
            line["event"],
            line["logger"],
            Text(_pairs(fields)),
        )
    return table


def _spans(spans: "list[Document]") -> Tree:
    root = Tree("trace", hide_root=True)
    for span in spans:
        _grow(root, span)
    return root


def _grow(tree: Tree, span: "Document") -> None:
    failed = span["status"] == "ERROR"
    label = Text(f"{span['name']}  {span['duration_ms']} ms", style="red" if failed else "")
    if failed:
        label.append(f"  {span['attributes'].get('error.type', 'ERROR')}")
    branch = tree.add(label)
    for child in span["children"]:
        _grow(branch, child)


def _health(health: "Document") -> Text:
    return Text(
        "\n".join(f"{name}: {_pairs(check)}" for name, check in sorted(health["checks"].items()))
    )


def _pairs(values: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items() if value not in ("", None))


def _status_style(status: str) -> str:
    return "green" if status.startswith("2") else "yellow" if status.startswith("4") else "red"
