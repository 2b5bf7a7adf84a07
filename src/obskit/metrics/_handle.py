"""A handle onto a family, or onto one series of it: what every instrument shares."""

from itertools import product
from math import prod
from operator import call
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

from prometheus_client import REGISTRY, CollectorRegistry

from obskit.errors import DeclarationError, LabelError
from obskit.metrics._allowed import AllowedLabels, bounded_labels, plain_text
from obskit.metrics._cells import Cell
from obskit.metrics._declare import declare
from obskit.metrics._family import MAX_SERIES, Family
from obskit.metrics._spec import Kind, MetricSpec, qualified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.metrics_core import Metric

CellT = TypeVar("CellT", bound=Cell)


class Instrument(Generic[CellT]):
    """What all instruments have in common: a handle onto a family, or onto one series of it.

    Declaring the same metric twice gives two handles onto one family.

    Attributes:
        family: The family.
    """

    _kind: ClassVar[Kind]

    family: Family
    _to_texts: "tuple[Callable[[object], str], ...]"
    _values: tuple[str, ...]
    _cell: CellT
    _pending: list[Any]

    def __init__(  # noqa: PLR0917 - prometheus_client's parameters
        self,
        name: str,
        documentation: str,
        labelnames: "Iterable[str]" = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        _labelvalues: None = None,
        *,
        max_series: int = MAX_SERIES,
        allowed: AllowedLabels | None = None,
    ) -> None:
        self._declare(
            *(name, documentation, labelnames, namespace, subsystem, unit),
            *(registry, _labelvalues, max_series, allowed),
        )

    def _declare(  # noqa: PLR0917 - the same
        self,
        name: str,
        documentation: str,
        labelnames: "Iterable[str]",
        namespace: str,
        subsystem: str,
        unit: str,
        registry: CollectorRegistry | None,
        labelvalues: object,
        max_series: int,
        allowed: AllowedLabels | None,
        **shape: Any,
    ) -> None:
        """Make the family, or find it; ``shape`` is what the spec of some kinds has besides."""
        full_name = qualified(name, namespace, subsystem)
        bounds = bounded_labels(allowed, f"{self._kind} {full_name!r}")
        labels = cast("tuple[str, ...]", labelnames)  # the spec makes a tuple of any iterable
        spec = MetricSpec(
            self._kind, full_name, documentation, labels, unit, allowed=bounds, **shape
        )
        _check_place(spec, registry, labelvalues, max_series)
        initial = _initial_series(spec, max_series)
        if registry is None:
            family = Family(spec, max_series=max_series)
        else:
            family = declare(registry, spec, max_series=max_series)
        self._to_texts = _text_makers(spec)
        if spec.labels:
            missing: Any = _MissingLabels(family.spec)
            self._bind(family, (), missing, missing)
        else:
            self._bind(family, (), family.cell(()), family.engine.pending)
        for values in initial:
            family.cell(values)

    def _bind(
        self, family: Family, values: tuple[str, ...], cell: CellT, pending: list[Any]
    ) -> Self:
        self.family = family
        self._values = values
        self._cell = cell
        self._pending = pending
        return self

    def __eq__(self, other: object) -> bool:
        """Handles onto one family are equal to each other and to it; a registry finds it so."""
        return self._identity is (other._identity if isinstance(other, Instrument) else other)

    def __hash__(self) -> int:
        return hash(self._identity)

    def __str__(self) -> str:
        return f"{self.family.spec.kind}:{self.family.spec.name}"

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self.family.spec.name})"

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Self:
        """The handle onto the series with these label values: keep it, it is the fast one.

        Args:
            *labelvalues: One value per label name, in order, made texts; values that are not
                allowed become ``other``.
            **labelkwargs: Or one value per label name, by name.

        Raises:
            LabelError: If they do not match the labels declared.
        """
        values = self._texts(self._label_values(labelvalues, labelkwargs))
        cell = self.family.cell(values)
        handle = cell.handle
        if type(handle) is not type(self):
            handle = type(self).__new__(type(self))._bind(self.family, values, cell, cell.pending)
            cell.handle = handle
        return handle

    def remove(self, *labelvalues: object) -> None:
        """Forget the series with these label values.

        Args:
            *labelvalues: One value per label name, in order.

        Raises:
            LabelError: If they do not match the labels declared.
        """
        values = zip(self.family.spec.labels, self._label_values(labelvalues, {}), strict=True)
        self.family.remove(tuple([self._exact_text(*pair) for pair in values]))

    def remove_by_labels(self, labels: "Mapping[str, object]") -> None:
        """Forget every series that has all these labels.

        Args:
            labels: Label names and values; none forgets nothing.

        Raises:
            LabelError: If a name was not declared.
            TypeError: If it is not a mapping.
        """
        self._check_labelled()
        if not isinstance(labels, dict):
            raise TypeError("labels must be a dict of {label_name: label_value}")
        unknown = [name for name in labels if name not in self.family.spec.labels]
        if unknown:
            raise LabelError(f"{self}: unknown label names {unknown}; known: {self._label_names}")
        texts = {name: self._exact_text(name, value) for name, value in labels.items()}
        self.family.remove_by_labels(texts)

    def clear(self) -> None:
        """Forget every series, unless the metric has no labels."""
        self.family.clear()

    def describe(self) -> "Iterable[Metric]":
        """The family without samples, as registries ask for it."""
        return self.family.describe()

    def collect(self) -> "Iterable[Metric]":
        """The family with its samples; of a bound handle, that series alone without labels."""
        if self._values:
            return self.family.collect_cell(self._cell)
        return self.family.collect()

    @property
    def _identity(self) -> object:
        return self._cell if self._values else self.family

    @property
    def _label_names(self) -> str:
        return ", ".join(self.family.spec.labels)

    def _check_labelled(self) -> None:
        if not self.family.spec.labels:
            raise LabelError(f"no label names were set when declaring {self}")

    def _check_bound(self) -> None:
        if self.family.spec.labels and not self._values:
            raise _missing_labels(self.family.spec)

    def _label_values(
        self, values: tuple[object, ...], named: dict[str, object]
    ) -> tuple[object, ...]:
        """Values in the order of the label names, which they fit."""
        names = self.family.spec.labels
        if self._values or not names or (values and named):
            self._explain_labels()
        if named:
            if named.keys() != set(names):
                raise LabelError(
                    f"{self}: incorrect label names {', '.join(named)}; declared: "
                    f"{self._label_names}"
                )
            values = tuple([named[name] for name in names])
        if len(values) != len(names):
            raise LabelError(
                f"{self}: incorrect label count: {len(values)} given, declared: {self._label_names}"
            )
        return values

    def _texts(self, values: tuple[object, ...]) -> tuple[str, ...]:
        if not self._to_texts:
            return tuple([str(value) for value in values])
        apply: Any = call  # pyright cannot match its parameters with map's
        return tuple(map(apply, self._to_texts, values))

    def _exact_text(self, name: str, value: object) -> str:
        """The text that a series has for a value; one that is not allowed has no series."""
        return plain_text(value) if name in dict(self.family.spec.allowed) else str(value)

    def _explain_labels(self) -> None:
        self._check_labelled()
        if self._values:
            raise LabelError(
                f"{self} already has labels set ({self._label_names} = "
                f"{', '.join(self._values)}); cannot chain calls to .labels()"
            )
        raise LabelError(f"{self}: give label values by position or by name, not both")


def _text_makers(spec: MetricSpec) -> "tuple[Callable[[object], str], ...]":
    """Per label what makes a text of a value; nothing where no label is bounded."""
    if not spec.allowed:
        return ()
    makers = {label: values.text for label, values in spec.allowed}
    return tuple([makers.get(label, str) for label in spec.labels])


def _initial_series(spec: MetricSpec, max_series: int) -> "Iterable[tuple[str, ...]]":
    """The label values that a family shows from the start: all of them, where all are known."""
    if not spec.labels or len(spec.allowed) < len(spec.labels) or spec.kind == "info":
        return ()
    texts = [values.texts for _, values in spec.allowed]
    series = prod(map(len, texts))
    if series > max_series:
        raise DeclarationError(
            f"{spec.kind} {spec.name!r}: {series} combinations of allowed values are more than "
            f"max_series={max_series}: allow fewer, leave a label out, or raise max_series"
        )
    return product(*texts)


def _check_place(
    spec: MetricSpec, registry: object, labelvalues: object, max_series: object
) -> None:
    if labelvalues:
        raise DeclarationError(
            f"{spec.kind} {spec.name!r}: _labelvalues= is not for use: call "
            f".labels({', '.join(spec.labels)})"
        )
    if registry is not None and not isinstance(registry, CollectorRegistry):
        raise DeclarationError(
            f"{spec.kind} {spec.name!r}: registry= takes a CollectorRegistry, or None for nowhere, "
            f"not {registry!r}"
        )
    if not isinstance(max_series, int) or isinstance(max_series, bool) or max_series < 0:
        raise DeclarationError(
            f"{spec.kind} {spec.name!r}: max_series= takes a whole number from 0 on, "
            f"not {max_series!r}"
        )


class _MissingLabels:
    """Stands where a bound handle has its series: whatever is done with it says what is missing."""

    def __init__(self, spec: MetricSpec) -> None:
        object.__setattr__(self, "_spec", spec)

    def __getattr__(self, name: str) -> Any:
        raise _missing_labels(object.__getattribute__(self, "_spec"))

    def __setattr__(self, name: str, value: object) -> None:
        raise _missing_labels(object.__getattribute__(self, "_spec"))

    def __len__(self) -> int:
        raise _missing_labels(object.__getattribute__(self, "_spec"))


def _missing_labels(spec: MetricSpec) -> LabelError:
    return LabelError(
        f"{spec.kind} metric {spec.name!r} is missing label values: call "
        f".labels({', '.join(spec.labels)}) first"
    )
