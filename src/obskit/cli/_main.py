"""Arguments, and one clear line for whatever goes wrong."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from obskit._version import __version__
from obskit.errors import MissingExtraError, ObskitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Commands = argparse._SubParsersAction["_Parser"]

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
    try:
        return _COMMANDS[parsed.command](parsed)
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
    _add_demo(commands)
    _add_bench(commands)
    return parser


def _add_demo(commands: "Commands") -> None:
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


def _add_bench(commands: "Commands") -> None:
    bench = commands.add_parser(
        "bench",
        help="measure what obskit costs, next to what one would use instead",
        description="Measure what obskit costs, next to what one would use instead. Less than "
        "three minutes; a machine that does nothing else gives the steadiest numbers.",
    )
    bench.add_argument("--json", type=Path, metavar="FILE", help="also write a JSON document")
    bench.add_argument(
        "--quick", action="store_true", help="measure less, in less than half a minute"
    )
    bench.add_argument(
        "--rows", default="*", metavar="PATTERN", help="only rows of such names: 'metrics.*'"
    )
    bench.add_argument("--list", action="store_true", help="list the rows, and measure nothing")


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give 0 to {HIGHEST_PORT}")
    return port


def _demo(parsed: argparse.Namespace) -> int:
    if parsed.port is not None and not parsed.serve:
        _parser().error("--port goes with --serve: the demo itself takes a free port")
    try:
        from obskit.cli._demo import run  # noqa: PLC0415 - needs the extra
        from obskit.cli._server import serve  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        raise MissingExtraError("the demo", "demo") from error
    return serve(parsed.port or 0) if parsed.serve else run(as_json=parsed.json)


def _bench(parsed: argparse.Namespace) -> int:
    from obskit.cli._bench import bench  # noqa: PLC0415 - slow to import

    try:
        return bench(parsed.rows, quick=parsed.quick, only_list=parsed.list, json_file=parsed.json)
    except LookupError as error:
        _parser().error(str(error))


_COMMANDS: "dict[str, Callable[[argparse.Namespace], int]]" = {"bench": _bench, "demo": _demo}
