"""What was emitted instead, below the message of a failed assertion."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAXIMUM_LINES = 40


def listing(what: str, items: "Iterable[object]") -> str:
    """Return the end of a message: each item on a line of its own, the last ones if there are many.

    Args:
        what: What the items are, for people.
        items: Anything with a text.
    """
    lines = [f"  {item}" for item in items]
    if not lines:
        return f"\nno {what} were emitted"
    hidden = len(lines) - MAXIMUM_LINES
    shown = [f"  … {hidden} earlier ones", *lines[hidden:]] if hidden > 0 else lines
    return "\n".join([f"\n{what} that were emitted:", *shown])
