"""Write the reference pages that follow from the code; mkdocs runs this at every build."""  # noqa: INP001 - a script beside the pages

import asyncio
import io
from contextlib import redirect_stdout, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mkdocs_gen_files

import obskit
from obskit.asgi import ObservabilityMiddleware
from obskit.bench import (
    COST_HEADINGS,
    ROW_HEADINGS,
    Report,
    cost_cells,
    goal_text,
    quantity,
    row_cells,
)
from obskit.cli import main
from obskit.instruments import DEFAULT_HTTP_NAMES, DEFAULT_WEBSOCKET_NAMES
from obskit.logs._pipeline import RESERVED
from obskit.metrics import InternalMetrics
from obskit.operation import DEFAULT_NAMES
from obskit.settings import describe_settings
from obskit.testing import observing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from obskit.bench import RowResult
    from obskit.metrics import MetricSpec

FIXED_FIELDS = {
    "timestamp": "When the line was written: UTC, RFC 3339 with microseconds.",
    "level": "`debug`, `info`, `warning`, `error` or `critical`.",
    "event": "What happened: the message.",
    "logger": "Who says so.",
    "service": "The setting `service`.",
    "environment": "The setting `environment`; left out while it is empty.",
    "version": "The setting `version`; left out while it is empty.",
    "correlation_id": "The id of the unit of work; left out outside of any.",
    "trace_id": "The current trace, 32 hexadecimal digits; left out without a span.",
    "span_id": "The current span, 16 hexadecimal digits; left out without a span.",
}

SITES = {
    "operation.arg": "An `arg` that cannot be read in a call.",
    "operation.instrument_object": "A wrong name in a module that was imported later.",
    "metrics.declare": "A name that is taken by a metric of another shape.",
    "metrics.fold": "A metric of yours was given what is no number.",
    "logs.write": "Standard output is closed, full or broken.",
    "workers.*": "In `workers_dir`: a full disk, a file that is not obskit's, or two declarations"
    " of one name.",
}
"""Sites of `obskit_internal_errors_total` whose cause is outside of obskit."""

WHY_GOALS_ARE_MISSED: dict[str, str] = {
    "operation.call": (
        "on the line, now above and now below it. Of about 0.57 µs, 0.11 go into setting and"
        " resetting the context variable, 0.08 into two readings of the clock, 0.07 into passing"
        " arguments on, 0.05 each into the operation itself and into the set of what is in flight,"
        " 0.06 into the buffer and the fold; the rest is branches and attributes."
    ),
    "operation.coroutine": (
        "a decorated coroutine function is a coroutine that awaits another one, while the code"
        " written by hand stands inside of the only one. Making and awaiting the second takes"
        " about 0.1 µs, with nothing in it."
    ),
    "operation.labelled": "on the line, now above and now below it.",
    "tracing.off": (
        "the no-op span that this is compared with records nothing at all; the decorated call"
        " counts, times and tracks, and takes about 0.57 µs for that. Tracing itself adds nothing."
    ),
    "tracing.unset": "the same.",
    "tracing.recorded": (
        "four fifths of the SDK's `start_as_current_span` are its `start_span` and `Span.end`,"
        " which obskit calls as well. What obskit saves by attaching the span without a context"
        " manager, it spends on metrics, the exemplar and the operation. Less would take spans that"
        " are not the SDK's."
    ),
    "asgi.request.20": (
        "of about 20 µs, 9 go into the request itself: its context and id, watching two messages,"
        " the id's header, the set of what is in flight, the route, one entry for four metrics."
        " The line takes the other half; a line of structlog's alone takes as much. With more"
        " routes the ratio is far below, since the cost stays and that of the others grows."
    ),
    "asgi.request_span.20": (
        "the SDK's own `start_span` with the ten attributes that the conventions ask for, the two"
        " that are known at the end, and `Span.end` take about half of what a request with a span"
        " adds. With more routes the ratio is far below, as above."
    ),
    "metrics.counter": "on the line, now above and now below it.",
    "exposition.counters": "on the line: what is left is writing the numbers as texts.",
}
"""For rows of the benchmark whose goal is not reached: where their time goes."""

EXPLANATION = Path(__file__).parent / "explanation"


def table(head: tuple[str, ...], rows: "Iterable[tuple[str, ...]]") -> str:
    """Write a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def code(text: str) -> str:
    """Write text as code in a table's cell."""
    return f"`{text}`" if text else ""


def settings_page() -> "Iterator[str]":
    """Every setting: from the fields of `Settings`."""
    yield "# Settings\n"
    yield (
        "Every setting of `obskit.configure`. Where values come from, and which wins, is told in "
        "[Configure](../how-to/configuration.md).\n"
    )
    for setting in describe_settings():
        variables = ", ".join(map(code, setting.variables)) or "none: a keyword only"
        yield f"## `{setting.name}`\n"
        yield f"{setting.text}\n"
        yield table(
            ("Type", "Default", "Environment"),
            [(code(setting.type), code(setting.default), variables)],
        )


def metrics_page() -> "Iterator[str]":
    """Every family that obskit declares by itself: from their specifications."""
    yield "# Metrics\n"
    yield (
        "The families that obskit declares by itself, under their default names. The setting "
        "`namespace` puts a prefix in front of those of operations and HTTP requests.\n"
    )
    names = DEFAULT_NAMES
    yield "## Operations\n"
    yield families((names.total_spec(), names.duration_spec(), names.in_progress_spec()))
    yield (
        "The counter and the histogram also carry the labels that the operation declares. "
        "Other names: [Choose metric names](../how-to/metric-names.md).\n"
    )
    yield "## HTTP requests\n"
    yield families(DEFAULT_HTTP_NAMES.specs())
    yield "Other names, labels and buckets: [HTTP metrics](../how-to/http-metrics.md).\n"
    yield "## WebSocket connections\n"
    yield families(DEFAULT_WEBSOCKET_NAMES.specs())
    yield "More of them: [Observe WebSockets](../how-to/websockets.md).\n"
    yield "## obskit itself\n"
    yield table(
        ("Name", "Type", "Help"),
        [
            (code(metric.name + "_total"), metric.type, metric.documentation)
            for metric in InternalMetrics().collect()
        ],
    )
    yield (
        "Their labels are `site`, `reason` and `family`. `obskit_internal_errors_total` counts "
        "what obskit had to do without, through a fault of its own or because of what it was "
        "given. Alert when it grows, and read the site first: it names the place, and the log "
        "line beside it says what happened and, where that is known, what to do. These sites "
        "depend on your code or its surroundings:\n"
    )
    yield table(("Site", "Cause"), ((code(site), cause) for site, cause in SITES.items()))


def families(specs: "Iterable[MetricSpec]") -> str:
    """Write families as a table, and the buckets of histograms."""
    return table(
        ("Name", "Type", "Labels", "Help", "Buckets"),
        [
            (
                code(spec.name + "_total" * (spec.kind == "counter")),
                spec.kind,
                ", ".join(map(code, spec.labels)),
                spec.help,
                ", ".join(f"{bound:g}" for bound in spec.buckets),
            )
            for spec in specs
        ],
    )


def log_fields_page() -> "Iterator[str]":
    """The fixed fields, and those of obskit's own lines: as real lines have them."""
    yield "# Log fields\n"
    yield "## On every line\n"
    yield table(("Field", "Meaning"), [(code(name), FIXED_FIELDS[name]) for name in RESERVED])
    yield (
        "Their meaning is fixed: a field of the same name that you give becomes `name_`. Then "
        "come the bound fields and the fields of the line itself, and last `exception`, the "
        "traceback, where the line is about one.\n"
    )
    yield "## On obskit's own lines\n"
    rows = [
        (
            code(line["event"]),
            code(line["level"]),
            ", ".join(code(name) for name in line if name not in RESERVED),
        )
        for line in sample_lines()
    ]
    yield table(("Event", "Level", "Fields"), rows)
    yield (
        "An operation's lines also carry its labels and attributes, and their logger is the "
        "module that declares it. `http request` and `websocket connection` come from the logger "
        "`obskit.access`. They are at level `error` when that has failed, and have `error_type` "
        "and `exception` where the error has reached the middleware: some frameworks answer 500 "
        "themselves and keep it. `time_to_headers_ms` is there where that is measured. "
        "`http background work failed` tells of errors after the answer. Changes of "
        "health checks come from `obskit.health` with the fields `check`, `status`, `previous`, "
        "`code` and `error_type`. Faults of obskit's own come from `obskit.internal`.\n"
    )


def sample_lines() -> "list[dict[str, Any]]":
    """Provoke each of obskit's own lines."""
    with observing() as observed:
        with suppress(ZeroDivisionError), obskit.observe("work"):
            raise ZeroDivisionError
        with obskit.observe("work", slow=0.0):
            pass
        asyncio.run(_serve_one())
        return observed.logs.all()


async def _serve_one() -> None:
    """Answer one request."""

    async def application(*connection: "Any") -> None:
        send = connection[-1]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def send(message: "Any") -> None:
        """Take no notice of an answer."""

    await ObservabilityMiddleware(application)(
        {"type": "http", "method": "GET", "path": "/"},
        None,  # type: ignore[arg-type] # the application receives nothing
        send,
    )


def command_line_page() -> "Iterator[str]":
    """The commands, as they describe themselves."""
    yield "# Command line\n"
    for arguments in (["--help"], ["demo", "--help"], ["bench", "--help"]):
        text = io.StringIO()
        with redirect_stdout(text), suppress(SystemExit):
            main(arguments)
        yield f"## `obskit {' '.join(arguments[:-1])}`".replace(" `", "`") + "\n"
        yield f"```text\n{text.getvalue()}```\n"
    yield (
        "The exit code is 0 when it worked, 1 when it did not, 2 when the arguments are wrong. "
        "What the demo shows: [Run the demo](../how-to/demo.md).\n"
    )


def performance_page() -> str:
    """The page of measured costs: its text, and the results of the last run."""
    report = Report.from_json((EXPLANATION / "performance.json").read_text(encoding="utf-8"))
    plain = [result for result in report.rows if not result.name.startswith("asgi.")]
    rows = [(code(name), *cells) for name, *cells in map(row_cells, plain)]
    costs = [(code(name), *rest) for cost in report.costs for name, *rest in cost_cells(cost)]
    text = (EXPLANATION / "performance.md").read_text(encoding="utf-8")
    for place, content in {
        "machine": "\n".join(f"- {line}" for line in report.lines()),
        "rows": table(ROW_HEADINGS, rows) + "\n" + baselines(plain),
        "http": peers_table(report),
        "costs": table(COST_HEADINGS, costs) + "\n" + costs_meant(report),
        "misses": misses(report),
    }.items():
        text = text.replace(f"<!-- {place} -->", content)
    return text


def baselines(rows: "Iterable[RowResult]") -> str:
    """Tell what each row is compared with."""
    lines = [f"- `{row.name}`: {row.against}" for row in rows]
    return "What each is compared with:\n\n" + "\n".join(lines) + "\n"


def peers_table(report: Report) -> str:
    """Tell what is added to a request: a line for each peer, a column for each number of routes."""
    results: dict[str, dict[str, RowResult]] = {}
    for result in report.rows:
        if result.name.startswith("asgi."):
            name, _, routes = result.name.rpartition(".")
            results.setdefault(name, {})[f"{int(routes):,} routes"] = result
    columns = list(dict.fromkeys(chain.from_iterable(results.values())))
    lines = [
        (code(name), first.against, first.work.partition(": ")[2], goal_text(first), *cells)
        for name, by_routes in results.items()
        for first in [next(iter(by_routes.values()))]
        for cells in [[_compared(by_routes.get(column)) for column in columns]]
    ]
    return table(("Row", "Compared with", "obskit does", "goal", *columns), lines)


def _compared(result: "RowResult | None") -> str:
    """Tell what a peer adds, what obskit adds, and the ratio."""
    if result is None or result.baseline is None or result.ratio is None:
        return ""
    added = f"{quantity(result.baseline)}; {quantity(result.ours)}; "
    return added + f"{result.ratio:.3f}" + {None: "", True: " met", False: " missed"}[result.met]


def costs_meant(report: Report) -> str:
    """Tell what the further costs are those of."""
    return "\n".join(
        f"- `{cost.name}`: {cost.work}" + f"; baseline: {cost.against}" * bool(cost.against)
        for cost in report.costs
    )


def misses(report: Report) -> str:
    """Tell which goals were missed and why, and what was not measured."""
    missed = [result for result in (*report.rows, *report.costs) if result.met is False]
    lines = [
        f"- `{result.name}` ({goal_text(result)}): "
        + WHY_GOALS_ARE_MISSED.get(result.name, "not explained yet.")
        for result in missed
    ]
    lines += [f"- `{entry.name}` was not measured: {entry.reason}." for entry in report.left_out]
    return "\n".join(lines) + "\n" if lines else "None: every goal was reached.\n"


PAGES: "dict[str, Callable[[], Iterator[str]]]" = {
    "settings": settings_page,
    "metrics": metrics_page,
    "log-fields": log_fields_page,
    "command-line": command_line_page,
}

for page, write in PAGES.items():
    with mkdocs_gen_files.open(f"reference/{page}.md", "w") as file:
        file.write("\n".join(write()))

with mkdocs_gen_files.open("explanation/performance.md", "w") as file:
    file.write(performance_page())
