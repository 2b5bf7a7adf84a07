"""``obskit demo``: run the service, send traffic, show what was recorded."""

import json
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obskit
from obskit.cli._server import running
from obskit.cli._show import show
from obskit.cli._traffic import FAILING_ID, get_json, send_traffic
from obskit.testing import observing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.testing import Observed

SETTLE_SECONDS = 5.0
"""How long the service may take to notice that a client has gone."""

Document = dict[str, Any]


def run(*, as_json: bool) -> int:
    """Run the demo.

    Args:
        as_json: Print a JSON document rather than text.

    Returns:
        The exit code.

    Raises:
        OSError: If the service cannot start.
    """
    document = record()
    if as_json:
        json.dump(document, sys.stdout, indent=2)
        print()
    else:
        show(document)
    return 0


def record() -> Document:
    """Run the service under traffic and return what obskit recorded, as plain data."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the client is not part of the story
    with (
        observing() as observed,
        obskit.configure(
            service="demo-orders", version=obskit.__version__, environment="demo", log_level="info"
        ),
        running() as base,
    ):
        answers = send_traffic(base)
        _settle(observed)
        return {
            "traffic": [
                {
                    "what": answer.what,
                    "request": answer.request,
                    "status": answer.status,
                    "correlation_id": answer.correlation_id,
                }
                for answer in answers
            ],
            "metrics": _metrics(observed),
            "request": {
                "correlation_id": FAILING_ID,
                "log_lines": observed.logs.all(correlation_id=FAILING_ID),
                "spans": _spans(observed),
            },
            "health": get_json(base, "/health"),
            "next": _next_steps(),
        }


def _next_steps() -> list[str]:
    """Return how to go on, with the command as it was called."""
    called = Path(sys.argv[0])
    command = str(called) if called.name == "obskit" else "python -m obskit"
    return [
        f"{command} demo --serve --port 8000   keep it running; try /metrics and /health",
        f"{command} demo --json                the same as one JSON document",
        "examples/                             a worker, a FastAPI service, a bare ASGI app",
        "docs/tutorials/first-service.md       build one yourself",
    ]


def _settle(observed: "Observed") -> None:
    """Wait until no request is in flight: a client that hangs up is noticed a moment later."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while observed.in_flight() and time.monotonic() < deadline:
        time.sleep(0.01)


def _metrics(observed: "Observed") -> list[Document]:
    """Return the counters and sums that moved; buckets, counts and sizes would only be long."""
    return [
        {"name": name, "labels": dict(sorted(labels)), "value": value}
        for name, labels, value in observed.metrics.moved()
        if name.startswith(("demo_", "http_requests", "http_request_duration", "operation"))
        and name.endswith(("_total", "_sum"))
    ]


def _spans(observed: "Observed") -> list[Document]:
    """Return the span tree of the request that the demo follows."""
    spans = observed.spans.all()
    wanted = observed.logs.one(correlation_id=FAILING_ID, event="http request")["trace_id"]
    return _children(None, [span for span in spans if _trace_id(span) == wanted])


def _trace_id(span: "ReadableSpan") -> str:
    return f"{span.context.trace_id:032x}" if span.context else ""


def _children(parent: int | None, spans: "list[ReadableSpan]") -> list[Document]:
    return [
        {
            "name": span.name,
            "duration_ms": round(((span.end_time or 0) - (span.start_time or 0)) / 1e6, 3),
            "status": span.status.status_code.name,
            "attributes": dict(span.attributes or {}),
            "children": _children(span.context.span_id, spans),
        }
        for span in spans
        if span.context and (span.parent.span_id if span.parent else None) == parent
    ]
