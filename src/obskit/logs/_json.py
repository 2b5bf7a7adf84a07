"""One log entry as one line of strict JSON, whatever the values are."""

import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAXIMUM_DEPTH = 8
"""Levels of nesting that are shown; deeper values appear as their type."""

MAXIMUM_ITEMS = 1_000
"""Items inside of one field that are shown, those of all its levels together."""

MAXIMUM_TEXT = 16_384
"""Characters of one text that are shown."""

UNPRINTABLE = "<unprintable>"

_EXACT: "dict[type, Callable[[Any], Any]]" = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
}
"""What makes a plain text or number of a subclass's, such as an enumeration's or NumPy's."""

_PLAIN: frozenset[type] = frozenset({str, int, float, bool, type(None)})
"""Types whose values need no look inside."""

_LINE_SEPARATORS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)
"""Characters that JSON may hold bare but that some readers take for the end of a line."""


def render_json(entry: "Mapping[str, Any]") -> bytes:
    """Render an entry as one line of UTF-8 encoded JSON, newline included.

    Values that JSON does not know become text, numbers that are not finite become null, cycles
    and excess are cut: the result is always one valid line.

    Args:
        entry: Field names and values of any kind.
    """
    line = b""
    if _PLAIN.issuperset(map(type, entry.values())):
        try:  # noqa: SIM105 - suppress() costs more than all of this
            line = _encode_plain(entry)
        except (TypeError, ValueError):  # such as an integer that few readers can read
            pass
    if not 0 < len(line) <= MAXIMUM_TEXT:  # where the whole line is short, no text is too long
        line = _encode(plain_entry(entry))
    if not line.isascii():
        for character, escaped in _LINE_SEPARATORS:
            line = line.replace(character, escaped)
    return line + b"\n"


def plain_entry(entry: "Mapping[Any, Any]") -> dict[str, Any]:
    """Return an entry with texts for names and JSON's own types for values.

    Args:
        entry: Field names and values of any kind.
    """
    return {_key(name): plain_value(value) for name, value in entry.items()}


def plain_value(value: Any, depth: int = 0, room: "Iterator[int] | None" = None) -> Any:
    """Return a value as JSON's own types, bounded in depth, items and length.

    Args:
        value: Anything.
        depth: How many containers it is inside of.
        room: Has one element left for each item that may still be shown.
    """
    kind = type(value)
    if kind is str:
        return value if len(value) <= MAXIMUM_TEXT else _cut(value)
    if kind is bool or value is None:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**63 else text_of(value)
    if kind is float:
        return value if math.isfinite(value) else None
    return _plain_object(value, depth, iter(range(MAXIMUM_ITEMS)) if room is None else room)


def text_of(value: Any) -> str:
    """Return ``str(value)``, or a placeholder when that raises."""
    try:
        return _cut(str(value))
    except Exception:
        return UNPRINTABLE


def _plain_object(value: Any, depth: int, room: "Iterator[int]") -> Any:
    kind = type(value)
    for base, exact in _EXACT.items():
        if issubclass(kind, base):
            return plain_value(exact(value))
    return _plain_container(value, depth, room) if depth < MAXIMUM_DEPTH else f"<{kind.__name__}>"


def _plain_container(value: Any, depth: int, room: "Iterator[int]") -> Any:
    try:
        if isinstance(value, dict):
            pairs = zip(list(value.items()), room, strict=False)
            return {_key(key): plain_value(item, depth + 1, room) for (key, item), _ in pairs}
        if isinstance(value, list | tuple | set | frozenset):
            items = zip(list(value), room, strict=False)
            return [plain_value(item, depth + 1, room) for item, _ in items]
    except Exception:
        return UNPRINTABLE
    return text_of(value)


def _key(key: Any) -> str:
    return _cut(str.__str__(key)) if issubclass(type(key), str) else text_of(key)


def _cut(text: str) -> str:
    return text if len(text) <= MAXIMUM_TEXT else text[:MAXIMUM_TEXT] + "…"


def _encode_standard(plain: "Mapping[str, Any]") -> bytes:
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def _no_encoder(plain: "Mapping[str, Any]") -> bytes:
    raise TypeError(plain)


def _encoders() -> "tuple[Callable[[Mapping[str, Any]], bytes], ...]":
    """Return what encodes plain entries, and only those, and what encodes what is made plain.

    That is orjson where the extra ``fast`` is installed, which is strict about integers if asked
    to be; the standard encoder is not, and its users have time.
    """
    try:
        import orjson  # noqa: PLC0415 - optional
    except ImportError:
        return _no_encoder, _encode_standard
    return partial(orjson.dumps, option=orjson.OPT_STRICT_INTEGER), orjson.dumps


def _encode(plain: dict[str, Any]) -> bytes:
    try:
        return _encode_fast(plain)
    except (TypeError, ValueError):  # orjson refuses lone surrogates
        return _encode_standard(plain)


_encode_plain, _encode_fast = _encoders()
