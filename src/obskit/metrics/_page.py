"""A family's part of a scrape, made of cached texts: the bytes of prometheus_client, sooner."""

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import exposition
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics_exposition

from obskit.metrics._cells import SteadyCell
from obskit.metrics._family import CELLS, Family
from obskit.metrics._lines import exemplar_text, filled, number_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from obskit.metrics._cells import Mark
    from obskit.metrics._spec import MetricSpec

END = b"# EOF\n"
"""How an OpenMetrics page ends; the older text format has no end mark."""

_KEEPING = ("underscores", "allow-utf-8")
"""The escapings that leave alone the names that a `MetricSpec` may have."""


class PageFormat(NamedTuple):
    """A format that `page` writes.

    Attributes:
        openmetrics: Whether it is OpenMetrics, not the older text format.
    """

    openmetrics: bool

    @classmethod
    def of(cls, encoder: "Callable[..., bytes]") -> "PageFormat | None":
        """The format that an encoder of prometheus_client writes; None if it is not known here.

        Args:
            encoder: A function that makes a page of a collector, or a partial of one.
        """
        function = getattr(encoder, "func", encoder)
        options = dict(getattr(encoder, "keywords", {}))
        if options.pop("escaping", "underscores") not in _KEEPING:
            return None
        if function is exposition.generate_latest and not options:
            return cls(openmetrics=False)
        if function is openmetrics_exposition.generate_latest and options == {"version": "1.0.0"}:
            return cls(openmetrics=True)
        return None

    def writes(self, family: Family) -> bool:
        """Whether `page` can be asked for a family: OpenMetrics replaces colons in names.

        Args:
            family: Any.
        """
        steady = issubclass(CELLS[family.spec.kind], SteadyCell)
        return steady and not (self.openmetrics and ":" in family.spec.name)

    def page(
        self,
        family: Family,
        names: "AbstractSet[str]",
        pause: "Callable[[], object]" = int,
    ) -> list[bytes]:
        """A family as its part of a page.

        Args:
            family: One that the format `writes`.
            names: Names of the samples to show; empty for all.
            pause: Called now and then, for others to run.

        Returns:
            The part in pieces, without an end mark; none if names are given and there is no such
            sample.
        """
        family.engine.drain()
        created = "" if self.openmetrics else f"{family.spec.name}_created"
        pieces, apart = [], []
        for columns in self._columns(family):
            shown = [column for column in columns if not names or column.name in names]
            together = [column.lines for column in shown if column.name != created]
            pieces.append(_text(together))
            if len(together) < len(shown):
                apart.append(_text([column.lines for column in shown if column.name == created]))
            pause()
        if apart:
            apart.insert(0, _created_header(family.spec))
        elif names and not any(pieces):
            return []
        return [_header(family.spec, self.openmetrics), *pieces, *apart]

    def _columns(self, family: Family) -> "Iterator[list[_Column]]":
        for names, cells in family.groups():
            kind = type(cells[0])
            shown, table = kind.table(cells)
            columns = _columns(family.shape(names, cells[0]), shown, table)
            if self.openmetrics:
                _mark(columns, kind.marks(shown))
            yield columns


class _Column(NamedTuple):
    """The same line of many series.

    Attributes:
        name: The sample's name.
        lines: One per series.
    """

    name: str
    lines: list[str]


def _columns(
    shape: "Iterable[tuple[str, str]]",
    cells: "Sequence[SteadyCell]",
    table: "Iterable[Sequence[float]]",
) -> list[_Column]:
    texts = [cell.label_text for cell in cells]
    return [
        _Column(name, _lines(name, filled(texts, own), number_texts(numbers)))
        for (name, own), numbers in zip(shape, table, strict=False)
    ]


def _lines(name: str, texts: "Sequence[str]", numbers: "Sequence[str]") -> list[str]:
    return [f"{name}{text}{number}\n" for text, number in zip(texts, numbers, strict=True)]


def _mark(columns: "Sequence[_Column]", marks: "Iterable[Mark]") -> None:
    """Put exemplars to the lines that have one."""
    for place, line, exemplar in marks:
        lines = columns[line].lines
        lines[place] = f"{lines[place][:-1]}{exemplar_text(exemplar)}\n"


def _text(columns: "Sequence[list[str]]") -> bytes:
    """The columns' lines, series by series."""
    one = len(columns) == 1
    return "".join(columns[0] if one else chain.from_iterable(zip(*columns, strict=True))).encode()


def _header(spec: "MetricSpec", openmetrics: bool) -> bytes:
    return _bare(spec.kind, spec.name, spec.help, spec.unit, openmetrics)


def _created_header(spec: "MetricSpec") -> bytes:
    return _bare("gauge", f"{spec.name}_created", spec.help, "", False)


@lru_cache(maxsize=4096)
def _bare(kind: str, name: str, text: str, unit: str, openmetrics: bool) -> bytes:
    module = openmetrics_exposition if openmetrics else exposition
    page: bytes = module.generate_latest(_Bare(Metric(name, text, kind, unit)))
    return page.removesuffix(END)


class _Bare:
    """A collector of one metric."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> list[Metric]:
        return [self._metric]
