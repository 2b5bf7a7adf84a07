"""Patches: layers put on attributes of code that is not yours, and taken off again."""

import logging
import os
import threading
from functools import cached_property, partialmethod
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from obskit.errors import DuplicateError
from obskit.operation._observe import observe
from obskit.operation._places import MISSING, Place
from obskit.operation._wrap import OBSERVED

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger("obskit.operation")


class Patches:
    """The patch that was made last at each place, while anything holds it.

    Attributes:
        lock: Held while a place changes, never while something is imported.
    """

    lock: threading.RLock

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[int, str], Patch] = WeakValueDictionary()
        self.renew()

    def renew(self) -> None:
        """Make the lock anew: in a forked child, who held it may not be there."""
        self.lock = threading.RLock()

    def at(self, place: Place) -> "Patch | None":
        """Return the patch at a place, if there is one."""
        known = self._known.get(place.key)
        return known if known is not None and known.place.owner is place.owner else None

    def add(self, patch: "Patch") -> None:
        """Know a patch from now on."""
        self._known[patch.place.key] = patch


class Patch:
    """One place with a layer of ours on it.

    Attributes:
        place: Where it is.
        live: Whether calls are operations; the layer asks at each call.

    Args:
        place: Where it is.
        declared: The operation's name and the keywords of `observe`.
    """

    def __init__(self, place: Place, declared: "Mapping[str, Any]") -> None:
        self.live: bool = True
        self.place: Place = place
        self._declared = declared
        self._previous: Any = MISSING
        self._installed: Any = MISSING

    def install(self) -> bool:
        """Put the layer there, unless the place is an operation already.

        Returns:
            Whether something changed.

        Raises:
            DeclarationError: If the place cannot be patched, or the declaration does not fit.
            DuplicateError: If it is an operation by another declaration.
        """
        while True:
            with patches.lock:
                previous, known = self.place.own(), patches.at(self.place)
            if known is not None and known.is_there(previous):
                known.check_same(self._declared)
                return False
            member = self.place.member(previous)
            if is_observed(member):
                return False
            installed = self._layered(member)
            with patches.lock:
                if self.place.own() is previous:
                    self._put(previous, installed)
                    return True

    def uninstall(self) -> bool:
        """Give the place back what it held.

        Returns:
            Whether nothing of ours is left there: it is, if someone has patched on top of it.
        """
        with patches.lock:
            self.live = False
            current = self.place.own()
            if current is self._installed:
                self.place.give_back(self._previous)
                return True
        left = self._is_inside(current)
        if left:
            logger.info(
                "%s was patched by others after obskit: its layer stays and lets calls pass",
                self.place.title,
            )
        return not left

    def is_there(self, current: Any) -> bool:
        """Tell whether it makes operations of what a place holds now.

        Args:
            current: What the place's owner itself holds.
        """
        return self.live and self._is_inside(current)

    def check_same(self, declared: "Mapping[str, Any]") -> None:
        """Check that another declaration for the place says the same.

        Raises:
            DuplicateError: If it does not.
        """
        if self._declared != declared:
            raise DuplicateError(
                f"instrument_object: {self.place.title} is instrumented already, as"
                f" {self._declared['name']!r} or with other options: uninstrument it first"
            )

    def _layered(self, member: Any) -> Any:
        from obskit.operation._layer import layered  # noqa: PLC0415 - wrapt is slow to import

        options = dict(self._declared)
        return layered(member, observe(options.pop("name"), **options), self)

    def _is_inside(self, current: Any) -> bool:
        from obskit.operation._layer import has_layer  # noqa: PLC0415 - wrapt is slow to import

        return has_layer(current, self)

    def _put(self, previous: Any, installed: Any) -> None:
        known = patches.at(self.place)
        self.place.put(installed)
        if known is not None:
            known.live = False  # it is under something that hides it: count once
        self._previous, self._installed = previous, installed
        patches.add(self)


def is_observed(member: Any) -> bool:
    """Tell whether `observe` has decorated a member of a class, or an attribute.

    Args:
        member: What is there.
    """
    if isinstance(member, property):
        member = member.fget or member.fset or member.fdel
    elif isinstance(member, cached_property | partialmethod):
        member = member.func
    return bool(getattr(getattr(member, "__func__", member), OBSERVED, False))


patches = Patches()
"""The process's own, as the places are."""

os.register_at_fork(after_in_child=patches.renew)
