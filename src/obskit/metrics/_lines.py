"""The texts that a scrape's lines are made of: labels, numbers and exemplars."""

import math
from typing import TYPE_CHECKING

from prometheus_client.openmetrics.exposition import escape_label_name
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from prometheus_client.samples import Exemplar

GAP = "\n"
"""Stands in a label text where a line puts a label of its own; label values have it escaped."""

_WHOLE = {float(number): f"{number}.0" for number in range(1, 1024)}
"""Small counts are most of what a page shows. Zero is not among them: it has two texts."""

_LARGE = 1e6
"""Numbers from here on are written with an exponent, as Go does."""


def number_texts(numbers: "Iterable[float]") -> list[str]:
    """Numbers as Prometheus shows them.

    Args:
        numbers: Anything that `float` takes.
    """
    return [
        _WHOLE.get(number) or (repr(number) if -math.inf < number < _LARGE else _large_text(number))
        for number in map(float, numbers)
    ]


def _large_text(number: float) -> str:
    """The text of a large number, an infinity or no number; moments are most of them."""
    text = repr(number)
    if text[10:11] != ".":  # not ten digits: no moment between the years 2001 and 2286
        return _number_text(number)
    return f"{text[0]}.{text[1:10]}{text[11:]}".rstrip("0.") + "e+09"


def _number_text(number: float) -> str:
    return floatToGoString(number)  # type: ignore[no-untyped-call,no-any-return] # theirs has no types


def label_writer(names: "Sequence[str]", own: str = "") -> "Callable[[Sequence[str]], str]":
    """A function that makes a label text, such as ``{channel="web"} ``, of label values.

    Args:
        names: The label names of a series, of letters, digits and underscores only.
        own: The label that lines of the series have besides, if any: its place is left a `GAP`.
    """
    order = sorted(range(len(names)), key=names.__getitem__)
    template = _label_template(sorted(names), own)

    def write(values: "Sequence[str]") -> str:
        every = "".join(values)
        if '"' in every or "\\" in every or "\n" in every:
            values = [_escaped(value) for value in values]
        return template % tuple([values[place] for place in order])

    return write


def _label_template(names: "Sequence[str]", own: str) -> str:
    before = ",".join([f'{name}="%s"' for name in names if name < own])
    after = ",".join([f'{name}="%s"' for name in names if name >= own])
    gap = (GAP if own else "") if not (before and after) else f",{GAP}"
    return f"{{{before}{gap}{after}}} " if names else f"{gap} "


def braced(labels: "Mapping[str, str]") -> str:
    """A label text of labels with any names, which are escaped as the text format does.

    Args:
        labels: Names and values.
    """
    pairs = [f'{escape_label_name(name)}="{_escaped(labels[name])}"' for name in sorted(labels)]
    return f"{{{','.join(pairs)}}} " if pairs else " "


def own_label_text(names: "Collection[str]", own: str, value: str) -> str:
    """What a line puts into the `GAP` of a label text.

    Args:
        names: The series' label names.
        own: The name of the line's own label.
        value: Its value, which needs no escaping.
    """
    text = f'{own}="{value}"'
    if any(name > own for name in names):
        return f"{text},"
    return f",{text}" if names else f"{{{text}}}"


def exemplar_text(exemplar: "Exemplar") -> str:
    """An exemplar as the end of an OpenMetrics line.

    Args:
        exemplar: The example.
    """
    labels = sorted(exemplar.labels.items())
    text = ",".join([f'{name}="{_escaped(value)}"' for name, value in labels])
    time = "" if exemplar.timestamp is None else f" {exemplar.timestamp}"
    return f" # {{{text}}} {_number_text(exemplar.value)}{time}"


def filled(texts: "Sequence[str]", own: str) -> "Sequence[str]":
    """Label texts with a line's own label in their gaps.

    Args:
        texts: What one function of `label_writer` made.
        own: What `own_label_text` made; empty for a line that has none.
    """
    has_gaps = texts and GAP in texts[0]
    return [text.replace(GAP, own) for text in texts] if has_gaps else texts


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
