"""``observe_methods``: a class's methods in bulk."""

import functools
from collections.abc import Callable, Collection
from types import FunctionType
from typing import Any, TypeVar, overload

from obskit.errors import DeclarationError
from obskit.operation._observe import observe
from obskit.operation._patch import is_observed
from obskit.operation._places import MISSING, in_class, operation_name, owner_title, suggestion

C = TypeVar("C", bound=type)

_OBSERVABLE = (FunctionType, classmethod, staticmethod, property)


@overload
def observe_methods(
    cls: C,
    /,
    *,
    include: Collection[str] | None = None,
    exclude: Collection[str] = (),
    name: str | None = None,
    **options: Any,
) -> C: ...


@overload
def observe_methods(
    *,
    include: Collection[str] | None = None,
    exclude: Collection[str] = (),
    name: str | None = None,
    **options: Any,
) -> Callable[[C], C]: ...


def observe_methods(
    cls: Any = None,
    /,
    *,
    include: Collection[str] | None = None,
    exclude: Collection[str] = (),
    name: str | None = None,
    **options: Any,
) -> Any:
    """Make operations of a class's methods: as ``@observe_methods``, with options, or as a call.

    The methods are functions of every kind, classmethods, staticmethods and properties that the
    class itself defines and that are public. Nested classes, inherited methods and those that are
    operations already stay as they are.

    Args:
        cls: The class.
        include: The names to observe, instead of all public ones: these may begin with ``_``.
        exclude: Names to leave out.
        name: The operations' name; ``{method}`` in it stands for the method's name. Default: the
            class's module and qualified name, and the method's name.
        **options: The keywords of `observe`, for each of the methods.

    Returns:
        The same class, or a decorator.

    Raises:
        DeclarationError: If a name is not one of the class, or a method does not fit.
    """
    if cls is None:
        return functools.partial(
            observe_methods, include=include, exclude=exclude, name=name, **options
        )
    if not isinstance(cls, type):
        raise DeclarationError(f"observe_methods: {cls!r} is not a class")
    chosen = {method: _member(cls, method) for method in _chosen(cls, include, exclude)}
    observed = {
        method: observe(_name(cls, name, method), **options)(member)
        for method, member in chosen.items()
        if not is_observed(member)
    }
    for method, member in observed.items():
        _put(cls, method, member)
    return cls


def _chosen(cls: type, include: Any, exclude: Any) -> list[str]:
    for parameter, names in (("include", include), ("exclude", exclude)):
        _check_names(cls, parameter, names)
    if include is None:
        include = [
            method
            for method, member in vars(cls).items()
            if not method.startswith("_") and issubclass(type(member), _OBSERVABLE)
        ]
    return [method for method in include if method not in exclude]


def _check_names(cls: type, parameter: str, names: Any) -> None:
    if names is None:
        return
    if isinstance(names, str) or not isinstance(names, Collection):
        raise DeclarationError(
            f"observe_methods: {parameter}={names!r}: give several names, ({names!r},) for one"
        )
    for name in names:
        if not isinstance(name, str) or in_class(cls, name) is MISSING:
            raise DeclarationError(
                f"observe_methods: {parameter}=: {owner_title(cls)} has no {name!r}"
                + suggestion(str(name), dir(cls))
            )


def _member(cls: type, method: str) -> Any:
    """Return what the class holds, unbound, after a check that it can be decorated."""
    member = vars(cls).get(method, MISSING)
    title = f"observe_methods: {owner_title(cls)}.{method}"
    if member is MISSING:
        raise DeclarationError(f"{title} is inherited: observe it in the class that defines it")
    if not issubclass(type(member), _OBSERVABLE):
        raise DeclarationError(
            f"{title} is of type {type(member).__qualname__}, not a method or property: decorate"
            " the function inside it"
        )
    return member


def _name(cls: type, template: str | None, method: str) -> str:
    return operation_name(template, f"{owner_title(cls)}.{method}", method)


def _put(cls: type, method: str, member: Any) -> None:
    try:
        setattr(cls, method, member)
    except (TypeError, AttributeError) as error:
        raise DeclarationError(
            f"observe_methods: {owner_title(cls)} cannot be changed: {error}"
        ) from error
