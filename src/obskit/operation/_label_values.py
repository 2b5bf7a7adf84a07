"""The label values of an operation: fixed ones, and ones taken from each call."""

import itertools
from typing import TYPE_CHECKING, Any

from obskit.metrics import label_text
from obskit.operation._arguments import Argument, reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Texts = tuple[str, ...]
    TextReader = Callable[[tuple[Any, ...], Mapping[str, Any]], str]
    TextsReader = Callable[[tuple[Any, ...], Mapping[str, Any]], Texts]

MAXIMUM_ENUMERATED = 1_000
"""Combinations of label values that are shown as 0 before they occur; none if there are more."""

TEXTS_REMEMBERED = 1_000
"""Values of one label whose text is known; beyond them it is made each time."""


class LabelValues:
    """Makes the label values of a call, in the order in which the labels were declared.

    Args:
        declared: Label names, and values or `Argument` places.
        function: The function whose arguments are read.

    Attributes:
        fixed: The values, where none of them is taken from a call; otherwise None.
        of: Returns the values of one call from its positional and keyword arguments.

    Raises:
        DeclarationError: If an `Argument` names no parameter of the function.
    """

    def __init__(self, declared: "Mapping[str, Any]", function: "Callable[..., Any]") -> None:
        self._declared = tuple(declared.values())
        self.fixed: Texts | None = None
        if not any(isinstance(value, Argument) for value in self._declared):
            self.fixed = fixed_texts(self._declared)
        self.of: TextsReader = _texts_reader(
            [_text_reader(value, function) for value in self._declared]
        )

    def enumerated(self) -> "Iterator[Texts]":
        """Return all combinations, if they are few and known before any call."""
        columns: list[Texts] = []
        combinations = 1
        for value in self._declared:
            if not isinstance(value, Argument):
                columns.append(fixed_texts((value,)))
            elif value.allowed is not None:
                columns.append(value.allowed.texts)
            else:
                return iter(())
            combinations *= len(columns[-1])
        return itertools.product(*columns) if combinations <= MAXIMUM_ENUMERATED else iter(())


def fixed_texts(values: "tuple[Any, ...]") -> "Texts":
    """Return label values as texts."""
    return tuple([label_text(value) for value in values])


def _texts_reader(readers: "list[TextReader]") -> "TextsReader":
    if len(readers) == 1:  # the usual case, and the hot path
        (read,) = readers
        return lambda arguments, keywords: (read(arguments, keywords),)
    return lambda arguments, keywords: tuple([read(arguments, keywords) for read in readers])


def _text_reader(value: Any, function: "Callable[..., Any]") -> "TextReader":
    if not isinstance(value, Argument):
        fixed = label_text(value)
        return lambda _arguments, _keywords: fixed
    read = reader(function, value)
    text_of: Callable[[object], str] = label_text if value.allowed is None else value.allowed.text
    known: dict[str, str] = {}

    def read_text(arguments: tuple[Any, ...], keywords: "Mapping[str, Any]") -> str:
        given = read(arguments, keywords)
        if type(given) is not str:  # 1, True and 1.0 are one key, but three texts
            return text_of(given)
        text = known.get(given)
        if text is None:
            text = text_of(given)
            if len(known) < TEXTS_REMEMBERED and len(given) <= len(text):
                known[given] = text
        return text

    return read_text
