"""The command line, run as a user runs it: in a process of its own."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import httpx
import pytest

from obskit.cli import main

if TYPE_CHECKING:
    from collections.abc import Generator

COMMAND = [sys.executable, "-m", "obskit"]
SECONDS = 30


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The demo's JSON document, from one run."""
    completed = run("demo", "--json")
    assert (completed.returncode, completed.stderr) == (0, "")
    parsed: dict[str, Any] = json.loads(completed.stdout)
    return parsed


def values(document: dict[str, Any], name: str) -> dict[tuple[str, ...], float]:
    """Return a metric's values by its label values."""
    return {
        tuple(sample["labels"].values()): sample["value"]
        for sample in document["metrics"]
        if sample["name"] == name
    }


def test_the_document_tells_what_every_client_saw(document: dict[str, Any]) -> None:
    seen = {call["what"]: (call["request"], call["status"]) for call in document["traffic"]}
    assert seen == {
        "an order": ("POST /orders", 201),
        "another order, no id": ("POST /orders", 201),
        "a look at it": ("GET /orders/2", 200),
        "a slow call": ("GET /report", 200),
        "a declined card": ("POST /orders", 500),
        "a path that is not there": ("GET /wp-login.php", 404),
        "a bad id, which is replaced": ("GET /orders/1", 200),
        "a client that hangs up": ("GET /export", None),
    }


def test_ids_are_kept_made_and_replaced(document: dict[str, Any]) -> None:
    ids = {call["what"]: call["correlation_id"] for call in document["traffic"]}
    assert ids["an order"] == "demo-first-order"
    assert len(ids["another order, no id"]) == 32
    assert len(ids["a bad id, which is replaced"]) == 32


def test_the_metrics_count_that_very_traffic(document: dict[str, Any]) -> None:
    assert values(document, "http_requests_total") == {
        ("POST", "/orders", "201"): 2,
        ("POST", "/orders", "500"): 1,
        ("GET", "/orders/{order_id}", "200"): 2,
        ("GET", "/report", "200"): 1,
        ("GET", "/export", "499"): 1,
        ("GET", "unmatched", "404"): 1,
    }
    charges = {
        (sample["labels"]["outcome"], sample["labels"]["error_type"]): sample["value"]
        for sample in document["metrics"]
        if sample["name"] == "operations_total" and sample["labels"]["operation"] == "charge_card"
    }
    assert charges == {("ok", ""): 2, ("error", "CardDeclinedError"): 1}
    assert values(document, "demo_orders_total") == {("web",): 2}


def test_one_request_is_joined_by_its_ids(document: dict[str, Any]) -> None:
    request = document["request"]
    lines = request["log_lines"]
    assert [line["event"] for line in lines] == [
        "order received",
        "operation failed",
        "http request",
    ]
    assert {line["correlation_id"] for line in lines} == {request["correlation_id"]}
    assert len({line["trace_id"] for line in lines}) == 1
    (root,) = request["spans"]
    assert root["name"] == "POST /orders"
    assert [child["name"] for child in root["children"]] == ["price_order", "charge_card"]
    assert root["children"][1]["attributes"]["error.type"] == "CardDeclinedError"
    assert root["duration_ms"] >= root["children"][1]["duration_ms"] > 0


def test_health_is_degraded_by_the_missing_mailer(document: dict[str, Any]) -> None:
    assert document["health"]["status"] == "degraded"
    assert document["health"]["checks"]["mailer"]["code"] == "refused"
    assert document["health"]["checks"]["database"]["status"] == "healthy"


def test_a_pipe_gets_plain_text_with_every_part() -> None:
    completed = run("demo")
    assert (completed.returncode, completed.stderr) == (0, "")
    assert "\x1b" not in completed.stdout
    for part in ("1. What clients did", "http_requests_total", "operation failed", "charge_card"):
        assert part in completed.stdout
    assert completed.stdout.startswith("obskit: describe a unit of work once")
    assert "python -m obskit demo --serve" in completed.stdout


def test_a_terminal_gets_colours() -> None:
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "140"}
    with subprocess.Popen([*COMMAND, "demo"], stdout=child, env=environment) as process:
        os.close(child)
        output = read_terminal(parent)
        assert process.wait(SECONDS) == 0
    os.close(parent)
    assert "\x1b[1;36m" in output
    assert "POST /orders" in output


def read_terminal(descriptor: int) -> str:
    """Read until the other side closes."""
    output = b""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 1)[0]:
            continue
        try:
            piece = os.read(descriptor, 65_536)
        except OSError:  # Linux says EIO when the last writer has gone
            break
        if not piece:
            break
        output += piece
    return output.decode()


LISTENING_TO_CTRL_C = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from obskit.cli import main
sys.exit(main(["demo"]))
"""


def test_ctrl_c_ends_the_demo_without_a_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LISTENING_TO_CTRL_C],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        children = Path(f"/proc/{process.pid}/task")
        deadline = time.monotonic() + SECONDS
        while len(list(children.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)  # until the server has its thread
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors) == (130, "")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    with subprocess.Popen(
        [*COMMAND, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(SECONDS) == 1


@contextmanager
def serving() -> "Generator[tuple[subprocess.Popen[str], str]]":
    process = subprocess.Popen(
        [*COMMAND, "demo", "--serve"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, next_line(process.stdout, event="serving until Ctrl-C")["url"]
    finally:
        process.kill()
        process.communicate()


def next_line(stream: IO[str], **fields: str) -> dict[str, Any]:
    """Return the next log line that has these fields."""
    for text in stream:
        line: dict[str, Any] = json.loads(text)
        if fields.items() <= line.items():
            return line
    raise AssertionError(f"no line with {fields}")


def test_serve_answers_everything_until_ctrl_c_and_ends_cleanly() -> None:
    with serving() as (process, url), httpx.Client(base_url=url, timeout=SECONDS) as client:
        order = {"id": 1, "items": ["tea"]}
        assert client.post("/orders", json=order).status_code == 201
        for path in ("/livez", "/readyz", "/version", "/health"):
            assert client.get(path).status_code == 200
        assert 'http_requests_total{method="POST"' in client.get("/metrics").text
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=SECONDS)
        assert (process.returncode, errors) == (0, "")
    lines = [json.loads(line) for line in output.splitlines()]
    assert {"obskit.access"} <= {line["logger"] for line in lines}


def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        completed = run("demo", "--serve", "--port", str(port))
    assert completed.returncode == 1
    assert completed.stdout == ""
    assert completed.stderr == (
        f"obskit demo: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    )


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "httpx", "rich"])
def test_a_missing_extra_is_named_with_its_remedy(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [name for name in sys.modules if name.startswith("obskit.cli._")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "rich":
        monkeypatch.setitem(sys.modules, "rich.box", None)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == (
        "obskit demo: the demo needs the extra 'demo': pip install 'obskit-instrumentation[demo]'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--port", "80"], "--port goes with --serve"),
        (["demo", "--serve", "--port", "99999"], "'99999' is not a port"),
        (["demo", "--serve", "--port", "x"], "'x' is not a port"),
        (["demo", "--json", "--serve"], "not allowed with argument"),
        (["dmeo"], "invalid choice"),
        ([], "required"),
    ],
)
def test_a_bad_argument_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert line.startswith("obskit")


def test_version_is_the_library_s(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out.startswith("obskit 0.")
