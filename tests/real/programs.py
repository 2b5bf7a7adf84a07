"""Programs as processes of their own: started, awaited, stopped by their process id."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

EXAMPLES = Path(__file__).parents[2] / "examples"


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(what: str, holds: "Callable[[], object]", timeout: float = 20.0) -> None:
    """Wait for a condition; fail when it does not come to hold.

    Args:
        what: The condition, for people.
        holds: Whether it holds; a refused connection or an ``AssertionError`` means not yet.
        timeout: Seconds.
    """
    last: object = None
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if last := holds():
                return
        except (httpx.TransportError, AssertionError) as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {timeout} s; at last: {last!r}")


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without settings of obskit's, and with these."""
    foreign = {
        name: text for name, text in os.environ.items() if not name.startswith(("OBSKIT_", "OTEL_"))
    }
    return {**foreign, **variables}


def run_example(name: str, **variables: str) -> str:
    """Run an example to its end and return what it has printed.

    Args:
        name: The example's folder.
        **variables: Environment variables.
    """
    ended = subprocess.run(
        [sys.executable, "app.py"],
        cwd=EXAMPLES / name,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@contextmanager
def running(
    command: "list[str]", log: Path, cwd: Path | None = None, **variables: str
) -> "Generator[subprocess.Popen[bytes]]":
    """Keep a program running while the block does; then end it as a service manager would.

    Args:
        command: The program and its arguments.
        log: Takes what it prints.
        cwd: Where it runs.
        **variables: Environment variables.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment(**variables), stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process in good order, or else by force."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
