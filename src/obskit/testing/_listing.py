"""What was emitted instead, below the message of a failed assertion."""

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAXIMUM_LINES = 40


def listing(what: str, items: "Iterable[object]") -> str:
    """Return the end of a message: each item on a line of its own, the last ones if there are many.

    Args:
        what: What the items are, for people: ``log lines``.
        items: Anything with a text.
    """
    lines = [f"  {item}" for item in items]
    if not lines:
        return f"\n{what}: none"
    hidden = len(lines) - MAXIMUM_LINES
    shown = [f"  … {hidden} earlier ones", *lines[hidden:]] if hidden > 0 else lines
    return "\n".join([f"\n{what}:", *shown])


def suggestion(given: str, known: "Iterable[str]") -> str:
    """Return a question that names what was probably meant, or nothing.

    Args:
        given: A name that does not exist.
        known: Names that do.
    """
    close = get_close_matches(given, list(known), n=1)
    return f": did you mean {close[0]!r}?" if close else ""
