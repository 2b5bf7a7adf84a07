"""The cost of a scrape that meets what many dead workers have left."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

from obskit.asgi import metrics_app
from obskit.bench._operations import configured, decorated_call
from obskit.bench._rows import Case, Cost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obskit.bench._rows import Effort

WORKER = """
import sys
import obskit
obskit.configure(workers_dir=sys.argv[1], logging="off", tracing="off")
obskit.observe("bench.work")(lambda: None)()
"""
"""A worker's whole life: one call, and what it leaves at its exit."""

SCRAPES = 2


def _dead_workers(effort: "Effort") -> "Iterator[Case]":
    with TemporaryDirectory() as name:
        directory = Path(name)
        _leave_behind(directory, effort.workers)
        with configured(workers_dir=name):
            decorated_call()(1)
            for scrape in range(1, SCRAPES + 1):
                began = perf_counter()
                page = asyncio.run(_scrape())
                yield Case(
                    what=f"{effort.workers:,} dead, scrape {scrape}", ours=perf_counter() - began
                )
                check_page(page, effort.workers + 1)


def _leave_behind(directory: Path, workers: int) -> None:
    """Have one worker live and die, and multiply what it has left."""
    command = [sys.executable, "-c", WORKER, str(directory)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own
    (left,) = directory.glob("*.snapshot")
    for number in range(1, workers):
        shutil.copy(left, directory / re.sub(r"\d{4,}", f"{number:04}", left.name))


async def _scrape() -> bytes:
    """Ask the endpoint for a page, as a server would."""
    body: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        body.append(message.get("body", b""))

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/metrics", "headers": []}
    await metrics_app()({**scope, "query_string": b""}, receive, send)
    return b"".join(body)


def check_page(page: bytes, calls: int) -> None:
    """Refuse a page that does not have every worker's call.

    Args:
        page: What a scrape has given.
        calls: How many calls it has to show.

    Raises:
        ValueError: If it shows another number.
    """
    match = re.search(rb'operations_total\{[^}]*operation="bench\.work"[^}]*\} (\S+)', page)
    if match is None or float(match[1]) != calls:
        raise ValueError(f"the page does not show {calls:,} calls")


WORKER_COSTS = (
    Cost(
        name="cost.workers",
        work="scrape of a directory that workers have left, all at once, after one call each",
        baseline="",
        unit="s",
        limit=1.0,
        cases=_dead_workers,
    ),
)
