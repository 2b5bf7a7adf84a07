"""Values taken from the arguments of a decorated call."""

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Argument:
    """A place in the arguments of a call; `arg` makes it."""

    path: str
    """A parameter's name, then attributes or keys, joined by dots."""


def arg(path: str) -> Any:
    """Take a label or attribute from the call's arguments.

    Each part after the first is looked up as a mapping key, then as an attribute.

    Args:
        path: ``"order.id"`` means the parameter ``order`` and its ``id``.

    Raises:
        DeclarationError: If the path is empty or has an empty part.
    """
    if not all(part.isidentifier() for part in str(path).split(".")):
        raise DeclarationError(f"arg({path!r}): give a parameter's name, or 'parameter.attribute'")
    return Argument(str(path))


class ArgumentReader:
    """Reads one `Argument` from the arguments of calls of one function.

    Args:
        function: The function whose calls are read.
        argument: What to read.

    Raises:
        DeclarationError: If the function has no such parameter.
    """

    def __init__(self, function: "Callable[..., Any]", argument: Argument) -> None:
        self._name, *self._steps = argument.path.split(".")
        self._parameters = _parameters(function, argument)
        if self._name not in self._parameters:
            known = ", ".join(self._parameters) or "none"
            raise DeclarationError(
                f"arg({argument.path!r}): {described(function).__qualname__}() has no parameter"
                f" {self._name!r}; it has: {known}"
            )
        parameter = self._parameters[self._name]
        self._default = parameter.default
        self._kind = parameter.kind
        self._position = _position(self._parameters, parameter)

    def read(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Return the value in one call; a missing one is None and counted as our fault.

        Args:
            arguments: Positional arguments of the call.
            keywords: Keyword arguments of the call.
        """
        try:
            value = self._argument(arguments, keywords)
            for step in self._steps:
                value = _step_into(value, step)
        except Exception as error:
            guard.report("operation.arg", error)
            return None
        return value

    def _argument(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        if self._kind is inspect.Parameter.VAR_POSITIONAL:
            return arguments[self._position :]
        if self._kind is inspect.Parameter.VAR_KEYWORD:
            return {name: keywords[name] for name in keywords if name not in self._parameters}
        if self._name in keywords:
            return keywords[self._name]
        if 0 <= self._position < len(arguments):
            return arguments[self._position]
        if self._default is inspect.Parameter.empty:
            raise TypeError(f"no argument {self._name!r}")
        return self._default


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


def _position(parameters: Mapping[str, inspect.Parameter], wanted: inspect.Parameter) -> int:
    """Return a parameter's place among the positional ones, or -1."""
    if wanted.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        return -1
    return list(parameters).index(wanted.name)


def _step_into(value: Any, step: str) -> Any:
    if isinstance(value, Mapping) and step in value:
        return value[step]
    return getattr(value, step)


class CallValues:
    """Makes the labels or attributes of a call from what was declared.

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
            name: ArgumentReader(function, value)
            for name, value in declared.items()
            if isinstance(value, Argument)
        }

    def of(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> dict[str, Any]:
        """Return names and values for one call, in a new dict.

        Args:
            arguments: Positional arguments of the call.
            keywords: Keyword arguments of the call.
        """
        values = dict(self._fixed)
        for name, reader in self._readers.items():
            values[name] = reader.read(arguments, keywords)
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
