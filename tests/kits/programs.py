"""Programs in processes of their own: what they do to themselves, the test suite survives."""

import os
import subprocess
import sys
import textwrap


def run(
    program: str, *arguments: str, timeout: float = 60, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program in a process of its own, without obskit's settings but these.

    Args:
        program: Its text; warnings are errors.
        arguments: Its command line.
        timeout: Seconds after which it is ended, and the test fails.
        environment: Environment variables besides the ones there are.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OBSKIT_", "OTEL_"))
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**kept, **environment},
        check=False,
    )


def run_to_its_end(program: str, *arguments: str, timeout: float = 30) -> str:
    """Run a program that has to end well, and to say nothing about it; return what it printed.

    Args:
        program: Its text.
        arguments: Its command line.
        timeout: Seconds after which it is ended, and the test fails.
    """
    done = run(program, *arguments, timeout=timeout)
    assert (done.returncode, done.stderr) == (0, ""), f"{done.returncode}: {done.stderr[-3000:]}"
    return done.stdout
