"""What the workers tell each other: families of numbers, merged line by line, as text with a sum.

A snapshot's text is made of the lines of an exposition. Merging is then a matter of dictionaries,
and every kind of metric but a gauge merges by adding up its lines, histograms included.
"""

import json
import operator
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from obskit.errors import ObskitError
from obskit.metrics import OVERFLOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK = 500
"""Lines that are made in one go; in between, a writer in the background lets others run."""

MAX_LINES = 100_000
"""Lines of one family that outlive their workers."""

MAX_PROCESSES = 1_000
"""Lines of one gauge that shows every process by itself, and outlives them."""

_MAGIC = "obskit-workers-1"
_LIVE = "live"
_LABEL = re.compile(r'(\w+)="(?:[^"\\]|\\.)*"')

Number = Any
"""A float; in a family merged by ``mostrecent``, a pair of when it was set and the float."""


class Shape(NamedTuple):
    """What families must have in common to be merged.

    Attributes:
        name: The family's name.
        kind: Its type, as prometheus_client's `Metric` names it.
        unit: Its unit; empty for none.
        mode: How its lines merge: ``sum``, or a multi-process mode of a gauge.
        bounds: A histogram's upper bounds.
    """

    name: str
    kind: str
    unit: str = ""
    mode: str = "sum"
    bounds: tuple[float, ...] = ()

    @property
    def rule(self) -> str:
        """How lines merge, whether or not the workers have to live."""
        return self.mode.removeprefix(_LIVE)

    @property
    def live(self) -> bool:
        """Whether only the numbers of living workers count."""
        return self.mode.startswith(_LIVE)


@dataclass(slots=True)
class Numbers:
    """A family's help text and its numbers, by the beginnings of their lines."""

    help: str
    lines: dict[str, Number] = field(default_factory=dict[str, Number])


Snapshot = dict[Shape, Numbers]
"""Families of numbers: one worker's, or what several workers' come to."""


class UnreadableSnapshotError(ObskitError, ValueError):
    """A file that is no snapshot, or not a whole one."""


def _later(current: Number, further: Number) -> Number:
    return further if further[0] > current[0] else current


_RULES: "dict[str, Callable[[Number, Number], Number]]" = {
    "sum": operator.add,
    "min": min,
    "max": max,
    "mostrecent": _later,
    "all": lambda _, further: further,
}


def merge(whole: Snapshot, part: Snapshot, *, alive: bool) -> None:
    """Merge a worker's snapshot into those of others.

    Args:
        whole: Changed.
        part: Left as it is.
        alive: Whether the worker lives; gauges of the ``live`` modes count only then.
    """
    for shape, numbers in part.items():
        if shape.live and not alive:
            continue
        known = whole.get(shape)
        if known is None:
            whole[shape] = Numbers(numbers.help, numbers.lines.copy())
            continue
        combine, lines = _RULES[shape.rule], known.lines
        for line, number in numbers.lines.items():
            lines[line] = combine(lines[line], number) if line in lines else number


def bound(snapshot: Snapshot) -> None:
    """Keep what dead workers have left within limits: further series become one, the overflow.

    Args:
        snapshot: Changed.
    """
    for shape, numbers in snapshot.items():
        lines = list(numbers.lines.items())
        if shape.rule != "sum":
            kept = MAX_PROCESSES if shape.rule == "all" else MAX_LINES
            numbers.lines = dict(lines[-kept:])
            continue
        kept = MAX_LINES - MAX_LINES % (len(shape.bounds) + 2)
        numbers.lines = dict(lines[:kept])
        for line, number in lines[kept:]:
            other = _LABEL.sub(_overflow, line)
            numbers.lines[other] = numbers.lines.get(other, 0.0) + number


def encode(snapshot: Snapshot, pause: "Callable[[], object]" = int) -> bytes:
    """A snapshot as the content of a file.

    Args:
        snapshot: Any.
        pause: Called now and then, for others to run.
    """
    body = "".join(_texts(snapshot, pause)).encode()
    return f"{_MAGIC} {len(body)} {zlib.crc32(body):08x}\n".encode() + body


def decode(content: bytes) -> Snapshot:
    """The snapshot in a file's content.

    Args:
        content: What `encode` made, or anything.

    Raises:
        UnreadableSnapshotError: If it is anything else, or a part of it.
    """
    head, _, body = content.partition(b"\n")
    if head != f"{_MAGIC} {len(body)} {zlib.crc32(body):08x}".encode():
        raise UnreadableSnapshotError("wrong beginning, length or checksum")
    try:
        return dict(map(_family, body.decode().split("\n#")[1:]))
    except Exception as error:
        raise UnreadableSnapshotError(f"malformed family: {type(error).__name__}") from error


def _overflow(label: "re.Match[str]") -> str:
    return label[0] if label[1] == "le" else f'{label[1]}="{OVERFLOW}"'


def _texts(snapshot: Snapshot, pause: "Callable[[], object]") -> "Iterator[str]":
    for shape, numbers in snapshot.items():
        yield f"\n#{json.dumps([*shape, numbers.help])}"
        lines = list(numbers.lines.items())
        for start in range(0, len(lines), CHUNK):
            chunk = lines[start : start + CHUNK]
            if shape.rule == "mostrecent":
                chunk = [(line, f"{value!r}@{time!r}") for line, (time, value) in chunk]
                yield "".join([f"\n{line}{number}" for line, number in chunk])
            else:
                yield "".join([f"\n{line}{number!r}" for line, number in chunk])
            pause()


def _family(text: str) -> tuple[Shape, Numbers]:
    head, *lines = text.split("\n")
    name, kind, unit, mode, bounds, text_of_help = json.loads(head)
    shape = Shape(name, kind, unit, mode, tuple(bounds))
    parse = _dated if shape.rule == "mostrecent" else float
    _RULES[shape.rule]
    pairs = [line.rpartition(" ") for line in lines]
    return shape, Numbers(text_of_help, {f"{line} ": parse(text) for line, _, text in pairs})


def _dated(text: str) -> tuple[float, float]:
    value, _, time = text.partition("@")
    return float(time), float(value)
