"""Info and Enum: what something is, and which state it is in."""

from typing import TYPE_CHECKING, ClassVar

from prometheus_client import REGISTRY, CollectorRegistry

from obskit.errors import LabelError
from obskit.metrics._family import MAX_SERIES, _encodable
from obskit.metrics._handle import Instrument
from obskit.metrics._spec import check_label_names
from obskit.metrics._states import EnumCell, InfoCell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from obskit.metrics._allowed import AllowedLabels
    from obskit.metrics._spec import Kind


class Info(Instrument[InfoCell]):
    """Says what something is, in names and texts: a version, a build.

    Args:
        name: The metric's name; ``_info`` is added.
        documentation: What it describes, for people.
        labelnames: Names of its labels.
        namespace: First part of the full name.
        subsystem: Second part of the full name.
        unit: Empty: it has no number.
        registry: Where it is shown; None for nowhere.
        max_series: Series it may have; further ones are counted together.
        allowed: Allowed values by label name: an Enum class, texts, or `AllowedValues`. Other
            values become ``other``.

    Raises:
        DeclarationError: If the declaration is wrong or the name is taken by another shape.
    """

    _kind: "ClassVar[Kind]" = "info"

    def info(self, val: "Mapping[str, str]") -> None:
        """Say it, in place of what was said before.

        Args:
            val: Names and texts; other values than texts are made texts.

        Raises:
            ValueError: If a name is no label name or one of the metric's labels, or a value None.
        """
        self._check_bound()
        names = check_label_names(val.keys(), str(self))
        overlapping = [name for name in names if name in self.family.spec.labels]
        if overlapping:
            raise LabelError(f"{self}: {', '.join(overlapping)} overlaps with its labels")
        if None in val.values():
            raise LabelError(f"{self}: a value cannot be None; leave its name out")
        self._cell.facts = {name: _encodable(str(val[name])) for name in names}


class Enum(Instrument[EnumCell]):
    """Says which of a few states something is in; the first one to begin with.

    Args:
        name: The metric's name.
        documentation: What has these states, for people.
        labelnames: Names of its labels.
        namespace: First part of the full name.
        subsystem: Second part of the full name.
        unit: Empty: it has no number.
        registry: Where it is shown; None for nowhere.
        states: The states, as texts.
        max_series: Series it may have; further ones are counted together.
        allowed: Allowed values by label name: an Enum class, texts, or `AllowedValues`. Other
            values become ``other``.

    Raises:
        DeclarationError: If the declaration is wrong or the name is taken by another shape.
    """

    _kind: "ClassVar[Kind]" = "stateset"

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
        states: "Sequence[str] | None" = None,
        *,
        max_series: int = MAX_SERIES,
        allowed: "AllowedLabels | None" = None,
    ) -> None:
        self._declare(
            *(name, documentation, labelnames, namespace, subsystem, unit),
            *(registry, _labelvalues, max_series, allowed),
            states=() if states is None else states,
        )

    def state(self, state: str) -> None:
        """Enter a state, and leave the one before.

        Args:
            state: One of those declared.

        Raises:
            ValueError: If it is none of them, or labels are missing.
        """
        states = self.family.spec.states
        if state not in states:
            raise ValueError(f"{self} has no state {state!r}; its states are {', '.join(states)}")
        self._cell.current = states.index(state)
