"""Arguments, and one clear line for whatever goes wrong."""

import argparse
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from obskit._version import __version__
from obskit.errors import MissingExtraError, ObskitError

if TYPE_CHECKING:
    from collections.abc import Sequence

HIGHEST_PORT = 65_535

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C has ended: 128 and the number of SIGINT."""


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the command's name; the process's own unless given.

    Returns:
        The exit code: 0 when it worked, 1 when it did not, 130 after Ctrl-C; wrong arguments exit
        with 2.
    """
    parsed = _parser().parse_args(arguments)
    if parsed.port is not None and not parsed.serve:
        _parser().error("--port goes with --serve: the demo itself takes a free port")
    try:
        if parsed.serve:
            return _serve(parsed.port or 0)
        return _demo(as_json=parsed.json)
    except BrokenPipeError:  # a reader such as head has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ObskitError, OSError) as error:
        print(f"obskit {parsed.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="obskit", description="Instrumentation for Python services.")
    parser.add_argument("--version", action="version", version=f"obskit {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo",
        help="run a small order service, send it traffic and show what obskit recorded",
        description="Run a small order service, send it traffic and show what obskit recorded.",
    )
    output = demo.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON document instead")
    output.add_argument(
        "--serve", action="store_true", help="keep serving until Ctrl-C, and log to standard output"
    )
    demo.add_argument("--port", type=_port, help="with --serve: the port (default: a free one)")
    return parser


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give 0 to {HIGHEST_PORT}")
    return port


def _demo(*, as_json: bool) -> int:
    try:
        from obskit.cli._demo import run  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        raise MissingExtraError("the demo", "demo") from error
    return run(as_json=as_json)


def _serve(port: int) -> int:
    try:
        from obskit.cli._server import serve  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        raise MissingExtraError("the demo", "demo") from error
    return serve(port)
