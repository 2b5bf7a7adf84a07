"""Lines as their readers see them, programs with a stdout of their own, and logging given back."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

import obskit

Line = dict[str, Any]


def refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def parsed(output: str) -> list[Line]:
    """Parse output that must be one strict JSON object to a line, and nothing else."""
    texts = output.split("\n")
    assert texts.pop() == "", "the last line has no end"
    lines = [json.loads(text, parse_constant=refuse) for text in texts]
    assert len(output.splitlines()) == len(lines), "a reader sees more lines than were written"
    return lines


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[Line]]:
    """What has been written to standard output since the last call."""
    return lambda: parsed(capsys.readouterr().out)


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program; its stdout is a pipe unless it is given another."""

    def program(source: str, **given: Any) -> subprocess.CompletedProcess[str]:
        given.setdefault("stdout", subprocess.PIPE)
        arguments = [sys.executable, "-W", "error", "-c", source]
        environment = {**os.environ, **given.pop("env", {})}
        return subprocess.run(
            arguments,
            check=False,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=environment,
            **given,
        )

    return program


@pytest.fixture(autouse=True)
def _logging_given_back() -> Iterator[None]:
    """Find out when a test leaves the host's logging other than it was."""
    handlers, level = list(logging.root.handlers), logging.root.level
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = handlers, level


@pytest.fixture
def alone() -> Callable[[], logging.Handler | None]:
    """Take every handler but obskit's off the root logger, pytest's among them."""

    def take_off() -> logging.Handler | None:
        ours = [one for one in logging.root.handlers if type(one).__module__.startswith("obskit.")]
        logging.root.handlers[:] = ours
        return ours[0] if ours else None

    return take_off


@pytest.fixture
def own() -> None:
    obskit.configure(service="shop", environment="test", version="1.2", logging="own")
