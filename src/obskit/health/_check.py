"""The declaration of a check."""

import inspect
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obskit.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
READY = "ready"
PROBES = frozenset({READY})
"""The probes that can be asked for by name; the health probe runs every check."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question about one dependency.

    Attributes:
        name: Names it in bodies and logs: letters, digits, ``.``, ``_`` and ``-``.
        function: Takes nothing; may return an awaitable.
        timeout: Seconds that one run may take.
        critical: Whether the process cannot serve without it.
        probes: The probes besides the health probe that run it.

    Raises:
        DeclarationError: If one of them is not what it should be.
    """

    name: str
    function: "Callable[[], object]"
    timeout: float
    critical: bool
    probes: frozenset[str]

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise DeclarationError(
                f"invalid check name {self.name!r}: use 1 to 128 letters, digits, '.', '_' or '-'"
            )
        if not callable(self.function):
            raise DeclarationError(
                f"check {self.name!r} is a {type(self.function).__name__}: give the function, "
                "not what it returns"
            )
        if unknown := self.probes - PROBES:
            raise DeclarationError(
                f"check {self.name!r} cannot answer {', '.join(sorted(map(repr, unknown)))}: use "
                f"{sorted(PROBES)}; liveness never asks dependencies, which restarts cannot mend"
            )
        validate_timeout(f"check {self.name!r}", self.timeout)

    @property
    def on_loop(self) -> bool:
        """Whether calling it gives a coroutine at once, so that it needs no thread."""
        call = type(self.function).__call__
        return any(map(inspect.iscoroutinefunction, (self.function, call)))


def validate_timeout(owner: str, timeout: object) -> None:
    """Refuse a timeout that would never, or always, pass.

    Args:
        owner: Whose timeout it is, for people.
        timeout: Seconds.

    Raises:
        DeclarationError: If it is not a positive finite number.
    """
    if not isinstance(timeout, int | float) or not 0 < timeout <= sys.float_info.max:
        raise DeclarationError(f"{owner} has timeout {timeout!r}: use seconds, more than zero")


def probe_names(probes: "Iterable[str]") -> frozenset[str]:
    """Take one probe name as readily as several.

    Args:
        probes: A name or names.
    """
    return frozenset({probes} if isinstance(probes, str) else probes)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None
