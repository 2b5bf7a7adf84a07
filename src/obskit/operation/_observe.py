"""``observe``: describe a unit of work once; metrics, logs and spans follow from it."""

import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, overload

from obskit.errors import DeclarationError, LabelError
from obskit.operation._arguments import described, refuse_arguments
from obskit.operation._current import NO_OPERATION, current
from obskit.operation._names import DEFAULT_NAMES, MetricNames
from obskit.operation._spec import OperationSpec
from obskit.operation._starter import BlockStarter, CallStarter
from obskit.operation._wrap import wrap

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from obskit.operation._operation import Operation
    from obskit.operation._outcome import Outcome

_PARAMETERS = ("labels", "attributes", "outcome", "slow", "log_events", "names")

_UNNAMED = "unnamed"
"""Stands for the name that a decorated function will give."""

F = TypeVar("F", bound="Callable[..., Any] | classmethod[Any, ..., Any] | staticmethod[..., Any]")


class Observation:
    """What ``observe(...)`` gives: a decorator, and a context manager, sync or async.

    Args:
        spec: The declaration, without the values of labels and attributes.
        labels: Label names and values, or `arg` places.
        attributes: Attribute names and values, or `arg` places.
        named: Whether the declaration has its name already; a decorated function gives it one.
    """

    def __init__(
        self,
        spec: OperationSpec,
        labels: Mapping[str, Any],
        attributes: Mapping[str, Any],
        *,
        named: bool,
    ) -> None:
        self._spec = spec
        self._labels = labels
        self._attributes = attributes
        self._named = named
        self._blocks: BlockStarter | None = None
        self._open: list[Operation] = []

    def __call__(self, function: F) -> F:
        """Decorate a function, method, classmethod, staticmethod or callable object.

        Args:
            function: What to decorate.

        Raises:
            DeclarationError: If it cannot be decorated, or does not fit the declaration.
        """
        decorated: F = wrap(function, self._starter_for)
        return decorated

    def __enter__(self) -> "Operation":
        if not self._named:
            raise DeclarationError("observe() as a context manager needs a name: observe('name')")
        if self._blocks is None:
            refuse_arguments(self._labels)
            refuse_arguments(self._attributes)
            self._blocks = _block_starter(self._spec)
        operation = self._blocks.start(self._labels, dict(self._attributes))
        self._open.append(operation)
        operation.enter()
        return operation

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        operation = self._innermost()
        self._open.remove(operation)
        try:
            if self._blocks is not None:
                self._blocks.finish(operation, error=error)
        finally:
            operation.leave()

    async def __aenter__(self) -> "Operation":
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        self.__exit__(kind, error, trace)

    def _innermost(self) -> "Operation":
        """Return the operation of the block that ends; blocks of several tasks may overlap."""
        if len(self._open) == 1:
            return self._open[0]
        here = current()
        for operation in self._open:
            if operation is here:
                return operation
        return NO_OPERATION if NO_OPERATION in self._open else self._open[-1]

    def _starter_for(self, function: "Callable[..., Any]") -> CallStarter:
        named = described(function)
        module = getattr(named, "__module__", None) or "builtins"
        spec = replace(
            self._spec,
            name=self._spec.name if self._named else f"{module}.{named.__qualname__}",
            logger=module,
        )
        return CallStarter(spec, self._labels, self._attributes, function)


@lru_cache(maxsize=1_000)
def _block_starter(spec: OperationSpec) -> BlockStarter:
    """Return the starter of a context manager's declaration: the same one every time."""
    return BlockStarter(spec)


@lru_cache(maxsize=1_000, typed=True)
def _checked_spec(**declared: Any) -> OperationSpec:
    """Return a checked declaration: a context manager is declared anew each time it is entered."""
    return OperationSpec(**declared)


@overload
def observe(
    name: str | None = None,
    /,
    *,
    labels: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    outcome: "Callable[[Any, BaseException | None], Outcome | None] | None" = None,
    slow: float | None = None,
    log_events: bool = False,
    names: MetricNames = DEFAULT_NAMES,
    **label_values: Any,
) -> Observation: ...


@overload
def observe(function: F, /) -> F: ...


def observe(
    target: Any = None,
    /,
    *,
    labels: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    outcome: "Callable[[Any, BaseException | None], Outcome | None] | None" = None,
    slow: float | None = None,
    log_events: bool = False,
    names: MetricNames = DEFAULT_NAMES,
    **label_values: Any,
) -> Any:
    """Make a unit of work an operation: counted, timed, logged when it fails, traced.

    As ``@observe``, ``@observe("name", ...)``, ``with observe("name", ...) as operation:`` or
    ``async with``.

    Args:
        target: The operation's name, fixed and low in cardinality; a decorated function's default
            is its module and qualified name. As a bare decorator: the function.
        labels: Label names, and values that are few: they reach metrics, spans and logs. A value
            may be ``arg("order.kind")``, taken from the call.
        attributes: Names and values of any kind: they reach spans and logs, never metrics. A value
            may be ``arg("order.id")``.
        outcome: A function of (result, error) that returns ``ok``, ``error``, ``cancelled`` or
            ``closed``, or None for the default.
        slow: Seconds from which on the operation is logged as slow.
        log_events: Whether events are log lines, too.
        names: Other metric names, label names and outcome words than the default ones.
        **label_values: Further labels.

    Returns:
        The decorated function, or an `Observation`.

    Raises:
        DeclarationError: If a part of the declaration is not usable.
    """
    if label_values:
        _check_spelling(tuple(label_values))
    own_labels = {**_mapping("labels", labels), **label_values}
    for name, value in own_labels.items():
        if isinstance(value, str):
            continue
        if isinstance(value, Mapping | Sequence | AbstractSet):
            raise LabelError(f"observe: label {name}={value!r}: give one value, not several")
    own_attributes = _mapping("attributes", attributes)
    named = isinstance(target, str)
    spec = _spec(
        name=target if named else _UNNAMED,
        logger=sys._getframe(1).f_globals.get("__name__", "__main__"),
        labels=tuple(own_labels),
        outcome=outcome,
        slow=slow,
        log_events=log_events,
        names=names,
    )
    observation = Observation(spec, own_labels, own_attributes, named=named)
    return observation if named or target is None else observation(target)


def _spec(**declared: Any) -> OperationSpec:
    try:
        return _checked_spec(**declared)
    except TypeError:
        OperationSpec(**declared)  # tells what is wrong, unless it is only that
        raise DeclarationError(
            f"operation {declared['name']!r}: outcome= and log_events= have to be hashable"
        ) from None


@lru_cache(maxsize=1_000)
def _check_spelling(labels: tuple[str, ...]) -> None:
    """Refuse keywords that would be labels, but look like a parameter that is misspelt."""
    from difflib import get_close_matches  # noqa: PLC0415 - needed by labels as keywords only

    for label in labels:
        for parameter in get_close_matches(label, _PARAMETERS, n=1, cutoff=0.75):
            raise LabelError(
                f"observe: unknown keyword {label}=: did you mean {parameter}=?"
                f" (a label of that name goes into labels={{{label!r}: ...}})"
            )


def _mapping(parameter: str, given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise DeclarationError(f"observe: {parameter}={given!r}: give a mapping of names to values")
    return dict(given)
