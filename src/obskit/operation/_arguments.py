"""Values taken from the arguments of a decorated call."""

import functools
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.errors import DeclarationError
from obskit.metrics import OTHER, AllowedValues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from enum import Enum

    Arguments = tuple[Any, ...]
    Keywords = Mapping[str, Any]
    Reader = Callable[[Arguments, Keywords], Any]


@dataclass(frozen=True, slots=True)
class Argument:
    """A place in the arguments of a call; `arg` makes it."""

    path: str
    """A parameter's name, then attributes or keys, joined by dots."""

    allowed: AllowedValues | None = None
    """The values that it may have as a label; None for any."""


def arg(
    path: str, *, one_of: "type[Enum] | Iterable[object] | None" = None, other: str = OTHER
) -> Any:
    """Take a label or attribute from the call's arguments.

    Each part after the first is looked up as a mapping key, then as an attribute.

    Args:
        path: ``"order.id"`` means the parameter ``order`` and its ``id``.
        one_of: The values that a label may have: an Enum class, or texts, Enum members, numbers.
        other: What any other value becomes.

    Raises:
        DeclarationError: If the path is empty or has an empty part, if the values are no bounded
            set of label values, or if ``other`` is given without them.
    """
    if not all(part.isidentifier() for part in str(path).split(".")):
        raise DeclarationError(f"arg({path!r}): give a parameter's name, or 'parameter.attribute'")
    if one_of is None and other != OTHER:
        raise DeclarationError(
            f"arg({path!r}): other={other!r} goes with one_of=, the known values"
        )
    return Argument(str(path), None if one_of is None else AllowedValues(one_of, other))


def reader(function: "Callable[..., Any]", argument: Argument) -> "Reader":
    """Return a function that reads one `Argument` from the arguments of a call.

    A value that is missing, or cannot be read, is None and counted as our fault.

    Args:
        function: The function whose calls are read.
        argument: What to read.

    Raises:
        DeclarationError: If the function has no such parameter.
    """
    name, *steps = argument.path.split(".")
    parameters = _parameters(function, argument)
    if name not in parameters:
        known = ", ".join(parameters) or "none"
        raise DeclarationError(
            f"arg({argument.path!r}): {described(function).__qualname__}() has no parameter"
            f" {name!r}; it has: {known}"
        )
    read = _whole_reader(parameters, parameters[name])
    if not steps:
        return read

    def read_steps(arguments: "Arguments", keywords: "Keywords") -> Any:
        try:
            value = read(arguments, keywords)
            for step in steps:
                value = _step_into(value, step)
        except Exception as error:
            guard.report("operation.arg", error)
            return None
        return value

    return read_steps


def _whole_reader(
    parameters: Mapping[str, inspect.Parameter], parameter: inspect.Parameter
) -> "Reader":
    """Return a function that gives what a call has for a parameter."""
    name, default = parameter.name, parameter.default
    position = list(parameters).index(name)
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return lambda arguments, _: arguments[position:]
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return lambda _, keywords: {key: keywords[key] for key in keywords if key not in parameters}
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        position = sys.maxsize

    def read(arguments: "Arguments", keywords: "Keywords") -> Any:
        if len(arguments) > position:
            return arguments[position]
        if name in keywords:
            return keywords[name]
        if default is not inspect.Parameter.empty:
            return default
        guard.report("operation.arg", TypeError(f"no argument {name!r}"))
        return None

    return read


def described(function: "Callable[..., Any]") -> Any:
    """Return what gives a callable its name: a partial's function, a callable object's class.

    Args:
        function: Any callable.
    """
    while isinstance(function, functools.partial):
        function = function.func
    return function if hasattr(function, "__qualname__") else type(function)


def _parameters(
    function: "Callable[..., Any]", argument: Argument
) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise DeclarationError(
            f"arg({argument.path!r}): {described(function).__qualname__}() does not tell its"
            " parameters: decorate a Python function that calls it"
        ) from None


def _step_into(value: Any, step: str) -> Any:
    if isinstance(value, Mapping) and step in value:
        return value[step]
    return getattr(value, step)


class CallValues:
    """Makes the attributes of a call from what was declared.

    Args:
        declared: Names, and values or `Argument` places.
        function: The function whose arguments are read.

    Raises:
        DeclarationError: If an `Argument` names no parameter of the function.
    """

    def __init__(self, declared: Mapping[str, Any], function: "Callable[..., Any]") -> None:
        self._fixed = {
            name: value for name, value in declared.items() if not isinstance(value, Argument)
        }
        self._readers = {
            name: reader(function, value)
            for name, value in declared.items()
            if isinstance(value, Argument)
        }

    def of(self, arguments: "Arguments", keywords: "Keywords") -> dict[str, Any]:
        """Return names and values for one call, in a new dict.

        Args:
            arguments: Positional arguments of the call.
            keywords: Keyword arguments of the call.
        """
        values = dict(self._fixed)
        for name, read in self._readers.items():
            values[name] = read(arguments, keywords)
        return values


def refuse_arguments(declared: Mapping[str, Any]) -> None:
    """Check that no value is to be taken from a call where there is none.

    Args:
        declared: Names, and values or `Argument` places.

    Raises:
        DeclarationError: If there is an `Argument`.
    """
    for value in declared.values():
        if isinstance(value, Argument):
            raise DeclarationError(
                f"arg({value.path!r}) needs a decorated function: here, give the value itself"
            )
