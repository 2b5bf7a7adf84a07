"""Places that hold callables: an attribute of a class, of a module or of an object."""

import importlib
import sys
from functools import cached_property, partialmethod
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from obskit.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTORS = (classmethod, staticmethod, property, partialmethod, cached_property)
"""What a class holds that is not callable itself, but makes something callable of what is in it."""

MISSING: Any = object()
"""Stands for an attribute that is not there, or is but inherited."""


class Place:
    """One attribute of a class, of a module or of an object.

    Args:
        owner: What holds it.
        name: Its name.
    """

    __slots__ = ("name", "owner")

    def __init__(self, owner: Any, name: str) -> None:
        self.owner = owner
        self.name = name

    @property
    def key(self) -> tuple[int, str]:
        """What identifies it while its owner lives."""
        return id(self.owner), self.name

    @property
    def title(self) -> str:
        """Its name for people, which is also the default name of its operation."""
        return f"{owner_title(self.owner)}.{self.name}"

    def own(self) -> Any:
        """Return what the owner itself holds there, or `MISSING`."""
        return getattr(self.owner, "__dict__", {}).get(self.name, MISSING)

    def member(self, own: Any) -> Any:
        """Return what is there, also when it is inherited: of a class, the unbound descriptor.

        Args:
            own: What the owner itself holds, or `MISSING`.

        Raises:
            DeclarationError: If nothing is there, or nothing that can be replaced.
        """
        if not isinstance(self.owner, type):
            self._check_object()
        found = self._inherited() if own is MISSING else own
        if isinstance(found, type):
            raise self.refusal("is a class: name a method of it")
        if not callable(found) and not isinstance(found, _DESCRIPTORS):
            raise self.refusal(f"is of type {type(found).__qualname__}, not a method or function")
        if isinstance(self.owner, type) and self.name == "__new__":
            raise self.refusal("cannot be given back unchanged: instrument __init__")
        return found

    def put(self, member: Any) -> None:
        """Replace what is there.

        Raises:
            DeclarationError: If the owner does not let itself be changed.
        """
        if not isinstance(self.owner, type):
            vars(self.owner)[self.name] = member
            return
        try:
            setattr(self.owner, self.name, member)
        except (TypeError, AttributeError) as error:
            raise self.refusal(
                "cannot be replaced, since its class is not open to changes: instrument a"
                f" subclass, or the function that makes the objects ({error})"
            ) from error

    def give_back(self, member: Any) -> None:
        """Let the owner hold again what it held.

        Args:
            member: The same that `own` returned.
        """
        if member is not MISSING:
            self.put(member)
        elif isinstance(self.owner, type):
            delattr(self.owner, self.name)
        else:
            del vars(self.owner)[self.name]

    def refusal(self, reason: str) -> DeclarationError:
        """Return the error that this place cannot be used, to raise."""
        return DeclarationError(f"instrument_object: {self.title} {reason}")

    def _inherited(self) -> Any:
        if isinstance(self.owner, type):
            found = in_class(self.owner, self.name)
        else:
            found = getattr(self.owner, self.name, MISSING)
        if found is MISSING:
            raise DeclarationError(
                f"instrument_object: {owner_title(self.owner)} has no {self.name!r}"
                + suggestion(self.name, dir(self.owner))
            )
        return found

    def _check_object(self) -> None:
        """Refuse objects that have no place for an attribute of their own."""
        if not hasattr(self.owner, "__dict__"):
            raise self.refusal("cannot be replaced on one object: instrument its class")
        if hasattr(type(in_class(type(self.owner), self.name)), "__set__"):
            raise self.refusal("is not looked up on the object: instrument its class")


class Goal(NamedTuple):
    """Where a place is to be found: a path of attributes from an object or a module."""

    root: Any
    """The object, or the name of a module."""

    path: str
    """Names, joined by dots."""

    @property
    def is_text(self) -> bool:
        """Tell whether it is in a module that is given by its name."""
        return isinstance(self.root, str)

    def place(self) -> Place | None:
        """Return the place; None if it is in a module that is not imported yet.

        Raises:
            DeclarationError: If there is no such place.
        """
        root = imported(self.root) if self.is_text else self.root
        if root is None:
            return None
        *steps, name = self.path.split(".")
        for step in steps:
            if not hasattr(root, step):
                raise DeclarationError(
                    f"instrument_object: {owner_title(root)} has no {step!r}"
                    + suggestion(step, dir(root))
                )
            root = getattr(root, step)
        return Place(root, name)


def goals(target: Any, methods: "Sequence[str]") -> list[Goal]:
    """Return what a target and the names of methods mean.

    Args:
        target: An object, class or module, the name of a module, or ``"module:Class.method"``.
        methods: Names, or paths with dots.

    Raises:
        DeclarationError: If they mean nothing.
    """
    if target is None:
        raise DeclarationError(
            "instrument_object: None has nothing to instrument: give an object, a class, a module"
            " or its name"
        )
    for method in methods:
        _check_paths(method, [method])
    if not isinstance(target, str):
        if not methods:
            raise DeclarationError(
                f"instrument_object: name a method of {owner_title(target)}, at least one"
            )
        return [Goal(target, method) for method in methods]
    module, _, prefix = target.partition(":")
    _check_paths(target, [module, prefix] if prefix else [module])
    if not prefix and not methods:
        raise DeclarationError(
            f"instrument_object({target!r}): name what to instrument in it:"
            " 'module:function' or 'module:Class.method'"
        )
    paths = [f"{prefix}.{method}" if prefix else method for method in methods] or [prefix]
    return [Goal(module, path) for path in paths]


def _check_paths(given: Any, paths: "Sequence[Any]") -> None:
    if not all(isinstance(path, str) and _is_path(path) for path in paths):
        raise DeclarationError(
            f"instrument_object: {given!r}: give 'module:Class.method', or names of methods"
        )


def _is_path(text: str) -> bool:
    return all(name.isidentifier() for name in text.split("."))


def imported(name: str) -> ModuleType | None:
    """Return a module that is imported; while another thread is importing it, wait.

    Args:
        name: The module's full name.
    """
    if sys.modules.get(name) is None:
        return None
    return importlib.import_module(name)


def in_class(cls: type, name: str) -> Any:
    """Return what a class or one of its bases holds under a name, unbound, or `MISSING`.

    Args:
        cls: The class.
        name: The attribute's name.
    """
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), MISSING)


def owner_title(owner: Any) -> str:
    """Return the name of a module or class, or of the class of an object, for people.

    Args:
        owner: What holds an attribute.
    """
    if isinstance(owner, ModuleType):
        return owner.__name__
    cls = owner if isinstance(owner, type) else type(owner)
    return f"{cls.__module__}.{cls.__qualname__}"


def suggestion(name: str, known: "Sequence[str]") -> str:
    """Return what a name that is wrong may have meant, as the end of a sentence.

    Args:
        name: The wrong name.
        known: The names that there are.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - needed by mistakes only

    close = get_close_matches(name, known, n=1)
    return f": did you mean {close[0]!r}?" if close else ""


def operation_name(template: str | None, default: str, method: str) -> str:
    """Return the name of one method's operation.

    Args:
        template: The name as it was declared; ``{method}`` in it stands for the method's name.
        default: The name for none.
        method: The method's name.

    Raises:
        DeclarationError: If the template is not a text.
    """
    if template is None:
        return default
    if not isinstance(template, str):
        raise DeclarationError(f"name={template!r}: give a text; '{{method}}' in it is the method")
    return template.replace("{method}", method)
