"""A metric family: its series, how many there may be, and what a registry collects of them."""

import logging
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from obskit._guard import guard
from obskit.errors import LabelError
from obskit.metrics._cells import (
    Cell,
    CounterCell,
    GaugeCell,
    HistogramCell,
    SteadyCell,
)
from obskit.metrics._engine import Engine, default_engine
from obskit.metrics._lines import GAP, braced, label_writer, own_label_text
from obskit.metrics._recent import RecentGaugeCell
from obskit.metrics._states import EnumCell, InfoCell, SummaryCell

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from obskit.metrics._spec import Kind, MetricSpec

MAX_SERIES = 2000
"""Series per family, and per group of a family, unless told otherwise."""

MAX_GROUPS = 2000
"""Groups that one family counts by themselves."""

GROUP = 2048
"""Lines that are shown at once: other threads run in between, and little memory is needed."""

OVERFLOW = "_overflow"
"""The label value of the series that takes what a full family, or group, has no room for."""

LABEL_LENGTH = 256
"""Characters of a label value made by `label_text`, at most."""

CELLS: "dict[Kind, type[Cell]]" = {
    "counter": CounterCell,
    "gauge": GaugeCell,
    "histogram": HistogramCell,
    "summary": SummaryCell,
    "info": InfoCell,
    "stateset": EnumCell,
}

OWN_LABEL: "dict[Kind, str]" = {"histogram": "le"}
"""The label that some lines of a kind have besides the series' labels."""

_Values = tuple[str, ...]

_label_writer = lru_cache(maxsize=4096)(label_writer)


class Family:
    """The series of one `MetricSpec`: a collector for any prometheus_client registry.

    A family may hold series with other label names besides its own, which Prometheus permits:
    see ``names`` in `cell`.

    Args:
        spec: What it is.
        max_series: Series it may have (each group of them, where `cell` is told one);
            observations of further ones go to one overflow series per set of label names, and
            are counted in ``obskit_dropped_series_total``.
        engine: Where its observations go.

    Attributes:
        spec: The same.
        engine: The same.
    """

    def __init__(
        self, spec: "MetricSpec", *, max_series: int = MAX_SERIES, engine: Engine | None = None
    ) -> None:
        self.spec = spec
        self.engine: Engine = engine or default_engine
        self._max_series = max_series
        self._series: dict[_Values, dict[_Values, Cell]] = {spec.labels: {}}
        self._change = object()
        self._lists: dict[_Values, tuple[object, list[Any]]] = {}
        self._overflow: set[tuple[_Values, _Values]] = set()
        self._groups: dict[tuple[_Values, Hashable], set[_Values]] = {}
        self._warned: set[Hashable] = set()

    def __repr__(self) -> str:
        return f"<Family {self.spec}>"

    def cell(
        self,
        values: _Values,
        names: _Values | None = None,
        *,
        group: "Hashable | None" = None,
        kept: int = 0,
    ) -> Any:
        """The series with these label values, made if there is none.

        Args:
            values: One text per label name.
            names: Label names of the series; the family's own unless given.
            group: What the series counts to, such as an operation's name: each group has
                ``max_series`` of its own per set of label names, up to `MAX_GROUPS` groups.
            kept: How many leading values an overflow series of the group keeps: those that are
                few by themselves.

        Returns:
            A cell of the family's kind: a `CounterCell`, a `GaugeCell` or a `HistogramCell`.

        Raises:
            LabelError: If there are not as many values as names, or a name is given twice.
            InvalidNameError: If a name is not one that Prometheus accepts.
        """
        names = self.spec.labels if names is None else names
        try:
            return self._series[names][values]
        except KeyError:
            return self._new_cell(values, names, group, kept)

    def series(self) -> "Iterator[tuple[dict[str, str], Cell]]":
        """Every series with its labels, overflow among them; safe while others add and remove."""
        for names, cells in self._series.copy().items():
            for values, cell in cells.copy().items():
                yield dict(zip(names, values, strict=True)), cell

    def groups(self) -> "Iterator[tuple[_Values, list[Any]]]":
        """The series, about `GROUP` lines at once, by label names.

        Safe while others add and remove.
        """
        for names in self._series.copy():
            cells = self._listed(names)
            size = max(GROUP // len(cells[0].shape()), 1) if cells else 1
            for start in range(0, len(cells), size):
                yield names, cells[start : start + size]

    def shape(self, names: _Values, cell: SteadyCell) -> list[tuple[str, str]]:
        """What the lines of series with these label names have in common.

        Args:
            names: The label names.
            cell: Any of the series.

        Returns:
            Per line the sample's name, and what fills the gap of its label text.
        """
        return [
            (
                self.spec.name + suffix,
                "".join([own_label_text(names, label, value) for label, value in own.items()]),
            )
            for suffix, own in cell.shape()
        ]

    def lines(self) -> "Iterator[tuple[tuple[str, ...], Cell]]":
        """Every series with the beginnings of its lines, in the order of its ``numbers()``.

        Everything recorded so far is in the numbers.

        A beginning is what the text format has before the number: ``orders_total{channel="web"} ``.
        There may be fewer numbers: those of a function that fails are missing.
        """
        self.engine.drain()
        is_steady = issubclass(CELLS[self.spec.kind], SteadyCell)
        return self._steady_lines() if is_steady else self._various_lines()

    def remove(self, values: _Values) -> None:
        """Forget the series with these values of the family's own labels, if there is one.

        Args:
            values: One text per label name.
        """
        self._forget(self.spec.labels, values)

    def remove_by_labels(self, labels: "Mapping[str, str]") -> None:
        """Forget every series that has all these labels.

        Args:
            labels: Names and values; none forgets nothing.
        """
        wanted = labels.items()
        if not wanted:
            return
        for names, cells in self._series.copy().items():
            for values in cells.copy():
                if wanted <= dict(zip(names, values, strict=True)).items():
                    self._forget(names, values)

    def clear(self) -> None:
        """Forget every series; one without labels stays."""
        for names, cells in self._series.copy().items():
            if names:
                cells.clear()
        self._changed()
        self._overflow.clear()
        self._groups.clear()

    def describe(self) -> "Iterable[Metric]":
        """The family without its samples, as registries ask for it."""
        return [self._metric()]

    def collect(self) -> "Iterable[Metric]":
        """The family with its samples, everything recorded so far included."""
        self.engine.drain()
        metric = self._metric()
        for labels, cell in self.series():
            metric.samples += self._samples(labels, cell)
        return [metric]

    def collect_cell(self, cell: Cell) -> "Iterable[Metric]":
        """The family with the samples of one series, without its labels.

        Args:
            cell: The series.
        """
        self.engine.drain()
        metric = self._metric()
        metric.samples += self._samples({}, cell)
        return [metric]

    def _steady_lines(self) -> "Iterator[tuple[tuple[str, ...], Cell]]":
        for names, cells in self.groups():
            shape = self.shape(names, cells[0])
            for cell in cells:
                text = cell.label_text
                yield tuple([name + text.replace(GAP, own) for name, own in shape]), cell

    def _listed(self, names: _Values) -> list[Any]:
        """The series as a list, kept until one comes or goes.

        To make a long list takes milliseconds, in which no other thread runs, and so it does when
        the garbage collector looks at a new one.
        """
        change = self._change
        kept = self._lists.get(names)
        if kept is None or kept[0] is not change:
            kept = self._lists[names] = change, list(self._series[names].values())
        return kept[1]

    def _changed(self) -> None:
        """Note that a series has come or gone; a list that is being made meanwhile is not kept."""
        self._change = object()
        self._lists.clear()

    def _various_lines(self) -> "Iterator[tuple[tuple[str, ...], Cell]]":
        for labels, cell in self.series():
            samples = self._samples(labels, cell)
            yield tuple([sample.name + braced(sample.labels) for sample in samples]), cell

    def _metric(self) -> Metric:
        return Metric(self.spec.name, self.spec.help, self.spec.kind, self.spec.unit)

    def _samples(self, labels: dict[str, str], cell: Cell) -> "Iterator[Sample]":
        for suffix, further, value, exemplar in cell.samples():
            name = self.spec.name + suffix
            yield Sample(name, {**labels, **further}, value, None, exemplar)

    def _new_cell(
        self, values: _Values, names: _Values, group: "Hashable | None", kept: int
    ) -> Cell:
        if len(values) != len(names):
            raise LabelError(
                f"metric {self.spec.name!r}: incorrect label count: {len(names)} expected "
                f"({', '.join(names)}), {len(values)} given"
            )
        clean = tuple(map(_encodable, values))
        if clean != values:
            return self.cell(clean, names, group=group, kept=kept)  # type: ignore[no-any-return] # cell() is Any for callers
        if names not in self._series:
            self._series.setdefault(self.spec.check_labels(names), {})
        if not self._has_room(names, values, group):
            values = self._overflow_values(names, values, group, kept)
        kept_cell = self._series[names].setdefault(values, self._make_cell(names, values))
        self._changed()
        return kept_cell

    def _has_room(self, names: _Values, values: _Values, group: "Hashable | None") -> bool:
        """Tell whether one more series is within the limit; then it counts."""
        if group is None:
            series = sum(map(len, self._series.copy().values()))
            return not names or series - len(self._overflow) < self._max_series
        if len(self._groups) >= MAX_GROUPS and (names, group) not in self._groups:
            return False
        members = self._groups.setdefault((names, group), set())
        if len(members) >= self._max_series:
            return False
        members.add(values)
        return True

    def _overflow_values(
        self, names: _Values, values: _Values, group: "Hashable | None", kept: int
    ) -> _Values:
        """Return the label values that a refused series is counted under, and count the refusal."""
        self.engine.refuse_series(self.spec.name)
        if (names, group) not in self._groups:
            group, kept = None, 0
        if group not in self._warned:
            self._warned.add(group)
            self._warn(group)
        values = (*values[:kept], *[OVERFLOW] * (len(names) - kept))
        self._overflow.add((names, values))
        return values

    def _forget(self, names: _Values, values: _Values) -> None:
        self._series[names].pop(values, None)
        self._changed()
        self._overflow.discard((names, values))
        for (group_names, _), members in self._groups.copy().items():
            if group_names == names:
                members.discard(values)

    def _make_cell(self, names: _Values, values: _Values) -> Cell:
        is_recent = self.spec.multiprocess_mode in ("mostrecent", "livemostrecent")
        kind = RecentGaugeCell if is_recent else CELLS[self.spec.kind]
        cell = kind(self.spec, self.engine)
        cell.label_text = _label_writer(names, OWN_LABEL.get(self.spec.kind, ""))(values)
        return cell

    def _warn(self, group: "Hashable | None") -> None:
        try:
            logging.getLogger("obskit.metrics").warning(
                "metric %s has %d series%s, its limit: further ones are counted together under %s",
                self.spec.name,
                self._max_series,
                "" if group is None else f" of {group}",
                OVERFLOW,
            )
        except Exception as error:
            guard.report("metrics.series", error)


def label_text(value: object) -> str:
    """A label value from anything, bounded and printable; never raises an ``Exception``.

    Args:
        value: Anything; of an Enum member its value, as with `AllowedValues`. One whose
            ``__str__`` fails becomes ``<unprintable>``.

    Returns:
        At most `LABEL_LENGTH` characters, ending in an ellipsis if there were more.
    """
    try:
        text = str(value.value if isinstance(value, Enum) else value)
    except Exception as error:
        guard.report("metrics.label", error)
        return "<unprintable>"
    if len(text) > LABEL_LENGTH:
        text = text[: LABEL_LENGTH - 1] + "…"
    return _encodable(text).replace("\0", "\N{REPLACEMENT CHARACTER}")


def _encodable(text: str) -> str:
    """The text without lone surrogates, which UTF-8 has no bytes for."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
