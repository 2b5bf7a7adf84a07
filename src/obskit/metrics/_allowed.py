"""Label values from a declared set: whatever else comes becomes ``other``."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any

from obskit._guard import guard
from obskit.errors import DeclarationError
from obskit.metrics._family import LABEL_LENGTH, label_text

MAX_ALLOWED = 1000
"""Values that one label may be declared to have."""

OTHER = "other"
"""The text of every value that was not declared, unless another one is chosen."""


@dataclass(frozen=True, slots=True, init=False)
class AllowedValues:
    """The values that a label may have, as texts.

    Two with the same texts in the same order, and the same ``other``, are equal.

    Args:
        values: An Enum class, whose members' values are meant, or texts, Enum members, whole
            numbers and booleans. A set's are sorted.
        other: The text of any other value; it may be one of the values.

    Attributes:
        texts: The allowed texts, each once, in the order given.
        other: The same.

    Raises:
        DeclarationError: If there are none, too many, the same one twice, or one that is no label
            value.
    """

    texts: tuple[str, ...]
    other: str
    _known: dict[str, str] = field(repr=False, compare=False)

    def __init__(self, values: "type[Enum] | Iterable[object]", other: str = OTHER) -> None:
        texts = tuple(map(_declared_text, _members(values)))
        _check_texts(texts)
        object.__setattr__(self, "texts", texts)
        object.__setattr__(self, "other", _checked_text(other))
        object.__setattr__(self, "_known", {text: text for text in texts})

    def text(self, value: object) -> str:
        """The allowed text of a value, or ``other``; never raises an ``Exception``.

        Args:
            value: Anything: a text, an Enum member (its value is meant), or what has such a text.
        """
        try:
            text = value if type(value) is str else plain_text(value)
            return self._known.get(text, self.other)
        except Exception as error:
            guard.report("metrics.label", error)
            return self.other


AllowedLabels = Mapping[str, "AllowedValues | type[Enum] | Iterable[object]"]
"""Allowed values by label name, as users write them."""


def bounded_labels(
    allowed: AllowedLabels | None, owner: str
) -> tuple[tuple[str, AllowedValues], ...]:
    """Allowed values by label name, checked.

    Args:
        allowed: What the user has given.
        owner: What the labels belong to, for the error: ``counter 'orders'``.

    Raises:
        DeclarationError: If values cannot be allowed values, or it is no mapping.
    """
    if not isinstance(allowed or {}, Mapping):
        raise DeclarationError(
            f"{owner}: allowed= takes label names and their values, such as "
            f"{{'channel': ('web', 'app')}}, not {allowed!r}"
        )
    bounds: list[tuple[str, AllowedValues]] = []
    for label, values in (allowed or {}).items():
        try:
            bounds.append((label, _bounds(values)))
        except DeclarationError as error:
            raise DeclarationError(f"{owner}: label {label!r}: {error}") from None
    return tuple(bounds)


def plain_text(value: object) -> str:
    """A label value as a text: of an Enum member, its value's.

    Args:
        value: Anything.
    """
    return str(value.value if isinstance(value, Enum) else value)


def _bounds(values: Any) -> AllowedValues:
    return values if isinstance(values, AllowedValues) else AllowedValues(values)


def _members(values: Any) -> list[object]:
    """The values as a list that is not much longer than allowed."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise DeclarationError(
            "allowed values are an Enum class or a sequence of texts, such as ('web', 'app'), "
            f"not {values!r}"
        )
    if isinstance(values, AbstractSet):
        values = sorted(values, key=_declared_text)
    return list(islice(values, MAX_ALLOWED + 1))


def _declared_text(value: object) -> str:
    if not isinstance(value, Enum | str | int):
        raise DeclarationError(
            f"allowed values are texts, Enum members, whole numbers and booleans, not {value!r}"
        )
    return _checked_text(plain_text(value))


def _checked_text(text: Any) -> str:
    if not isinstance(text, str) or label_text(text) != text:
        raise DeclarationError(
            f"{text!r:.80} cannot be a label value: a text of at most {LABEL_LENGTH} characters, "
            "without NUL and lone surrogates"
        )
    return text


def _check_texts(texts: tuple[str, ...]) -> None:
    if not texts:
        raise DeclarationError("no allowed values: give at least one")
    if len(texts) > MAX_ALLOWED:
        raise DeclarationError(
            f"more than {MAX_ALLOWED} allowed values: a label has few; make it an attribute"
        )
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise DeclarationError(f"each allowed value once, not {', '.join(twice)}")
