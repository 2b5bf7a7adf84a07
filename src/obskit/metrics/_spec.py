"""A metric family as data: what it is called, what it counts, which labels it carries."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

from obskit.errors import DeclarationError, InvalidNameError, LabelError

if TYPE_CHECKING:
    from collections.abc import Container

    from obskit.metrics._allowed import AllowedValues

Kind = Literal["counter", "gauge", "histogram", "summary", "info", "stateset"]

MultiprocessMode = Literal[
    "all",
    "liveall",
    "min",
    "livemin",
    "max",
    "livemax",
    "sum",
    "livesum",
    "mostrecent",
    "livemostrecent",
]

DEFAULT_BUCKETS: tuple[float, ...] = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, math.inf),
)
"""Upper bounds in seconds, the same as prometheus_client's: milliseconds to seconds."""

SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "counter": ("", "_total", "_created"),
    "gauge": ("",),
    "histogram": ("", "_bucket", "_sum", "_count", "_created"),
    "summary": ("", "_sum", "_count", "_created"),
    "info": ("", "_info"),
    "stateset": ("",),
}
"""What a registry reserves for a family: its name followed by each of these."""

RESERVED_LABELS: dict[Kind, tuple[str, ...]] = {"histogram": ("le",), "summary": ("quantile",)}
"""Label names that samples of a kind carry by themselves; a stateset's is the family's name."""

UNITLESS: tuple[Kind, ...] = ("info", "stateset")
"""Kinds whose names may not end in a unit."""

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


class WrongTypeError(DeclarationError, TypeError):
    """A part of a declaration has a type for which prometheus_client raises a ``TypeError``."""


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric family, checked and normalised when it is made.

    Names follow the Prometheus rules that every server and tool understands, not the wider
    UTF-8 ones: https://prometheus.io/docs/concepts/data_model/.

    Attributes:
        kind: ``counter``, ``gauge``, ``histogram``, ``summary``, ``info`` or ``stateset``.
        name: The family's name; a counter's ``_total`` is cut off and a missing unit added, as
            prometheus_client does. Samples are named from it.
        help: What it measures, for people.
        labels: Label names, in the order in which values are given.
        unit: A suffix such as ``seconds`` or ``bytes``; empty for none.
        buckets: A histogram's upper bounds, ascending, ``+Inf`` added; empty for other kinds.
        multiprocess_mode: How the values of several processes make one gauge.
        states: A stateset's states, the first one being the initial one; empty for other kinds.
        allowed: Names of labels whose values are bounded, each with its allowed values.

    Raises:
        InvalidNameError: If the metric's name or a label's breaks the rules.
        LabelError: If a label name is given twice, or one string instead of several names.
        DeclarationError: If anything else is wrong.
    """

    kind: Kind
    name: str
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = DEFAULT_BUCKETS
    multiprocess_mode: MultiprocessMode = "all"
    states: tuple[str, ...] = ()
    allowed: "tuple[tuple[str, AllowedValues], ...]" = ()

    def __post_init__(self) -> None:
        if self.kind not in SUFFIXES:
            raise DeclarationError(
                f"metric {self.name!r}: kind is one of {', '.join(SUFFIXES)}, not {self.kind!r}"
            )
        name = _normalised(self.kind, self.name, self.unit)
        _check_metric_name(name)
        if not isinstance(self.help, str):
            raise DeclarationError(f"metric {name!r}: help is a text, not {self.help!r}")
        if self.multiprocess_mode not in get_args(MultiprocessMode):
            raise DeclarationError(
                f"gauge {name!r}: invalid multiprocess mode {self.multiprocess_mode!r}; it is one "
                f"of {', '.join(get_args(MultiprocessMode))}"
            )
        buckets = _checked_buckets(name, self.buckets) if self.kind == "histogram" else ()
        states = _checked_states(name, self.states) if self.kind == "stateset" else ()
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "labels", self.check_labels(self.labels))
        object.__setattr__(self, "buckets", buckets)
        object.__setattr__(self, "states", states)
        object.__setattr__(self, "allowed", self._in_order(self.allowed))

    def __str__(self) -> str:
        """The shape, for people: ``histogram latency_seconds{route} with buckets 0.1, +Inf``."""
        text = f"{self.kind} {self.name}{{{','.join(self.labels)}}}"
        if self.unit:
            text += f" in {self.unit}"
        if self.buckets:
            text += f" with buckets {', '.join(map(str, self.buckets))}"
        if self.multiprocess_mode != "all":
            text += f" merged by {self.multiprocess_mode}"
        if self.states:
            text += f" with states {', '.join(self.states)}"
        for label, values in self.allowed:
            text += f" where {label} is {values}"
        return text

    def same_shape(self, other: "MetricSpec") -> bool:
        """Whether both could be one family: only the help text may differ."""
        return str(self) == str(other)

    def check_labels(self, names: "Iterable[str]") -> tuple[str, ...]:
        """Label names for series of this family, checked by `check_label_names`.

        Args:
            names: The names, in order.
        """
        reserved = (self.name,) if self.kind == "stateset" else RESERVED_LABELS.get(self.kind, ())
        return check_label_names(names, f"{self.kind} {self.name!r}", reserved=reserved)

    def _in_order(
        self, allowed: "tuple[tuple[str, AllowedValues], ...]"
    ) -> "tuple[tuple[str, AllowedValues], ...]":
        unknown = [label for label, _ in allowed if label not in self.labels]
        if unknown:
            raise LabelError(
                f"{self.kind} {self.name!r}: allowed values for {', '.join(unknown)}, but its "
                f"labels are {', '.join(self.labels) or 'none'}"
            )
        return tuple(sorted(allowed, key=lambda one: self.labels.index(one[0])))


def check_label_names(
    names: "Iterable[str]", owner: str, *, reserved: "Container[str]" = ()
) -> tuple[str, ...]:
    """Label names as a tuple, if they are good ones.

    Args:
        names: The names, in order.
        owner: What they belong to, for the error: ``metric 'orders'``.
        reserved: Further names that the owner has a use of its own for.

    Raises:
        InvalidNameError: If a name breaks the Prometheus rules or is reserved.
        LabelError: If a name is given twice, or one string instead of several names.
    """
    if isinstance(names, str):
        raise LabelError(f"{owner}: labels are a sequence of names; write [{names!r}]")
    if not isinstance(names, Iterable):
        raise WrongTypeError(f"{owner}: labels are a sequence of names, () for none, not {names!r}")
    labels = tuple(names)
    for label in labels:
        _check_label_name(label, owner)
        if label in reserved:
            raise InvalidNameError(f"{owner}: the label {label!r} is reserved; choose another name")
    if len(set(labels)) < len(labels):
        raise LabelError(f"{owner}: each label name once, not {', '.join(labels)}")
    return labels


def qualified(name: str, namespace: str = "", subsystem: str = "") -> str:
    """Join the parts of a metric's name with underscores.

    Args:
        name: The name proper; stays empty when it is empty, so that the error says so.
        namespace: First part, usually the application.
        subsystem: Second part.
    """
    parts: dict[str, Any] = {"namespace": namespace, "subsystem": subsystem, "name": name}
    for part, text in parts.items():
        if not isinstance(text, str | None):
            raise WrongTypeError(f"metric {name!r}: {part}= is a text, not {text!r}")
    return "_".join(filter(None, parts.values())) if name else ""


def _normalised(kind: Kind, name: Any, unit: Any) -> str:
    if not isinstance(name, str) or not name:
        raise InvalidNameError(f"a {kind} needs a name, not {name!r}")
    if not isinstance(unit, str | None):
        raise WrongTypeError(f"{kind} {name!r}: unit= is a text such as 'seconds', not {unit!r}")
    if unit and kind in UNITLESS:
        raise DeclarationError(f"{kind} {name!r}: no unit= for a metric without a number")
    stem = name.removesuffix("_total") if kind == "counter" else name
    return stem if not unit or stem.endswith("_" + unit) else f"{stem}_{unit}"


def _check_metric_name(name: str) -> None:
    if not _METRIC_NAME.fullmatch(name):
        raise InvalidNameError(
            f"metric name {name!r}: letters, digits, '_' and ':' only, no digit first; "
            f"write {_corrected(name, '[^a-zA-Z0-9_:]')!r}"
        )


def _check_label_name(label: Any, owner: str) -> None:
    if isinstance(label, str) and _LABEL_NAME.fullmatch(label):
        return
    corrected = _corrected(str(label).lstrip("_"), "[^a-zA-Z0-9_]")
    raise InvalidNameError(
        f"{owner}: label name {label!r}: letters, digits and '_' only, no digit and no "
        f"'__' first; write {corrected!r}"
    )


def _corrected(name: str, bad: str) -> str:
    text = re.sub(bad, "_", name) or "_"
    return "_" + text if text[0].isdigit() else text


def _checked_buckets(metric: str, given: "Iterable[float | str]") -> tuple[float, ...]:
    try:
        bounds = [float(bound) for bound in given]
    except TypeError as error:
        raise WrongTypeError(f"histogram {metric!r}: buckets are numbers: {error}") from None
    except ValueError as error:
        raise DeclarationError(f"histogram {metric!r}: buckets are numbers: {error}") from None
    if not all(lower < upper for lower, upper in pairwise([-math.inf, *bounds])):
        raise DeclarationError(
            f"histogram {metric!r}: buckets not in sorted order, each once: {bounds}"
        )
    if bounds and bounds[-1] != math.inf:
        bounds.append(math.inf)
    if len(bounds) < 2:  # noqa: PLR2004 - one finite bound and +Inf
        raise DeclarationError(f"histogram {metric!r}: at least one finite bucket is needed")
    return tuple(bounds)


def _checked_states(metric: str, given: "Iterable[str]") -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise WrongTypeError(f"stateset {metric!r}: states are a sequence of texts, not {given!r}")
    states = tuple(given)
    if not states:
        raise DeclarationError(f"stateset {metric!r}: no states; give states=['starting', ...]")
    for state in states:
        if not isinstance(state, str):
            raise WrongTypeError(f"stateset {metric!r}: states are texts, not {state!r}")
    if len(set(states)) < len(states):
        raise DeclarationError(f"stateset {metric!r}: each state once, not {', '.join(states)}")
    return tuple(map(str.__str__, states))  # an Enum's own text need not be its value
