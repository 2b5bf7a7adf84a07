"""Lines whose fields have the same names each time: rendered once, then only filled in."""

import re
from typing import TYPE_CHECKING, Any

from obskit.logs._json import render_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLACE = "obskit place {}"
_PLACES = re.compile(rb'"obskit place (\d+)"')
"""What stands for values in the line that is cut up."""

_LONGEST = 4_096
"""Characters of a text that is filled in as it is; a longer one may have to be cut."""


class LineTemplate:
    """A line of JSON with gaps, made by cutting up one that has been rendered as any other.

    Args:
        entry: Names of all fields in their order, and the values of those that never change.
        gaps: Names of fields whose values are filled in.
    """

    def __init__(self, entry: "Mapping[str, Any]", gaps: "Sequence[str]") -> None:
        marked = {name: _PLACE.format(place) for place, name in enumerate(gaps)}
        line = render_json({**entry, **marked}).decode().replace("%", "%%")
        found = [int(place) for place in _PLACES.findall(line.encode())]
        if found != list(range(len(gaps))):
            raise ValueError(f"a line with the fields {', '.join(entry)} cannot be a template")
        self._line = _PLACES.sub(b"%s", line.encode()).decode()

    def fill_in(self, values: "tuple[Any, ...]") -> bytes:
        """Return a line.

        Args:
            values: One per gap, in order: numbers, and texts as `json_text` makes them.
        """
        return (self._line % values).encode("utf-8", "backslashreplace")


def json_text(text: str) -> str | None:
    """Return a text as JSON, or None where it takes more than quotes around it.

    Args:
        text: Any text.
    """
    is_plain = text.isascii() and text.isprintable() and len(text) <= _LONGEST
    return f'"{text}"' if is_plain and '"' not in text and "\\" not in text else None
