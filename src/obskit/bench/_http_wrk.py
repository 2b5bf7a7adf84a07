"""Requests over loopback: servers that differ in nothing but telemetry, under the load of wrk."""

import re
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import TYPE_CHECKING
from urllib.request import urlopen

from obskit.bench._http_peers import TRACED_STACK, needs_of
from obskit.bench._http_server import ROUTES, SET_UPS
from obskit.bench._http_traffic import APPLICATION, BODY, HEADERS, path_to_last
from obskit.bench._rows import Case, Cost

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from obskit.bench._rows import Effort

CONNECTIONS = 16

PATIENCE = 20.0
"""Seconds that a server has for its first answer, and for its end."""

_RATE = re.compile(r"^Requests/sec:\s*([\d.]+)$", re.MULTILINE)

_FAULT = re.compile(r"^\s*(Non-2xx or 3xx responses: .*|Socket errors: .*)$", re.MULTILINE)


def _loopback(effort: "Effort") -> "Iterator[Case]":
    with ExitStack() as held:
        urls = {name: held.enter_context(_server(name)) for name in SET_UPS}
        for url in urls.values():
            expect_answer(url)
        rounds = [
            {name: _rate(url, effort.wrk_seconds) for name, url in urls.items()}
            for _ in range(effort.wrk_rounds)
        ]
    rates = {name: median(each[name] for each in rounds) for name in SET_UPS}
    yield Case(what="requests of the bare application", ours=rates["bare"], unit="/s")
    for work, suffix in (("metrics, id, JSON line", ""), ("and a recorded span", ", span")):
        mine, theirs = f"obskit{suffix}", f"stack{suffix}"
        yield Case(what=f"requests, {work}", ours=rates[mine], baseline=rates[theirs], unit="/s")
        yield Case(
            what=f"added to a request, {work}",
            ours=median(1 / each[mine] - 1 / each["bare"] for each in rounds),
            baseline=median(1 / each[theirs] - 1 / each["bare"] for each in rounds),
        )


@contextmanager
def _server(name: str) -> "Generator[str]":
    """Run a server while a block runs, and return the address of what it serves."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        port, descriptor = listening.getsockname()[1], listening.fileno()
        command = [sys.executable, "-m", "obskit.bench._http_server", name, str(descriptor)]
        process = subprocess.Popen(  # noqa: S603 - our own
            command, pass_fds=[descriptor], stderr=subprocess.DEVNULL
        )
    try:
        yield f"http://127.0.0.1:{port}{path_to_last(ROUTES)}"
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def expect_answer(url: str) -> None:
    """Wait for a server's first answer.

    Args:
        url: What is asked for.

    Raises:
        ValueError: If it is another than it ought to be.
    """
    with urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - on loopback
        if answer.read() != BODY:
            raise ValueError(f"{url} gives another answer")


def _rate(url: str, seconds: int) -> float:
    """Return the requests that a server answers in a second."""
    wrk = shutil.which("wrk") or "wrk"
    headers = [f"--header={name.decode()}: {value.decode()}" for name, value in HEADERS[1:]]
    load = ["--threads=1", f"--connections={CONNECTIONS}", f"--duration={seconds}s"]
    told = subprocess.check_output([wrk, *load, *headers, url], text=True)  # noqa: S603 - on loopback
    return rate_in(told)


def rate_in(told: str) -> float:
    """Return the requests in a second that wrk has counted.

    Args:
        told: What it has printed.

    Raises:
        ValueError: If some have failed.
    """
    fault = _FAULT.search(told)
    if fault is not None:
        raise ValueError(f"wrk: {fault[1]}")
    rate = _RATE.search(told)
    if rate is None:
        raise ValueError(f"wrk told no rate: {told}")
    return float(rate[1])


WRK_COSTS = (
    Cost(
        name="asgi.wrk",
        work=f"GET over loopback, {CONNECTIONS} connections of wrk; uvicorn, one process",
        baseline="starlette_exporter, asgi-correlation-id, structlog access line (and"
        " opentelemetry-instrumentation-asgi)",
        unit="s",
        cases=_loopback,
        needs=(
            APPLICATION,
            "uvicorn:Server",
            "httptools:HttpRequestParser",
            *needs_of(TRACED_STACK),
        ),
        programs=("wrk",),
    ),
)
