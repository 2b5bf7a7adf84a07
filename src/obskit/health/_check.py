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

OPTIONAL_KINDS = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})
"""``*args`` and ``**kwargs``: they take nothing too."""


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
        validate_name(self.name)
        _validate_function(f"check {self.name!r}", self.function)
        _validate_critical(f"check {self.name!r}", self.critical)
        if unknown := self.probes - PROBES:
            raise DeclarationError(
                f"check {self.name!r} cannot answer {', '.join(sorted(map(repr, unknown)))}: use "
                f"{sorted(PROBES)}; liveness never asks dependencies, which restarts cannot mend"
            )
        validate_timeout(f"check {self.name!r}", self.timeout)

    @property
    def on_loop(self) -> bool:
        """Whether calling it gives a coroutine at once, so that it needs no thread."""
        return _is_of_kind(self.function, inspect.iscoroutinefunction)


def validate_name(name: object) -> None:
    """Refuse what cannot name a check in bodies and logs.

    Args:
        name: Perhaps the function itself, where a decorator was left without its name.

    Raises:
        DeclarationError: If it is not 1 to 128 letters, digits, ``.``, ``_`` and ``-``.
    """
    if not isinstance(name, str):
        raise DeclarationError(
            f"invalid check name {name!r}: the name comes first, as in @health.check('db') and "
            "health.add('db', ping)"
        )
    if NAME.fullmatch(name) is None:
        raise DeclarationError(
            f"invalid check name {name!r}: use 1 to 128 letters, digits, '.', '_' or '-'"
        )


def validate_timeout(owner: str, timeout: object) -> None:
    """Refuse a timeout that would never, or always, pass.

    Args:
        owner: Whose timeout it is, for people.
        timeout: Seconds.

    Raises:
        DeclarationError: If it is not a positive finite number.
    """
    seconds = timeout if isinstance(timeout, int | float) and timeout is not True else 0
    if not 0 < seconds <= sys.float_info.max:
        raise DeclarationError(f"{owner} has timeout {timeout!r}: use seconds, more than zero")


def probe_names(name: str, probes: "Iterable[str]") -> frozenset[str]:
    """Take one probe name as readily as several.

    Args:
        name: The check.
        probes: A name or names.

    Raises:
        DeclarationError: If it is neither.
    """
    try:
        return frozenset({probes} if isinstance(probes, str) else probes)
    except TypeError:
        raise DeclarationError(
            f"check {name!r} has probes {probes!r}: use {READY!r}, or () for none"
        ) from None


def _validate_critical(owner: str, critical: object) -> None:
    if not isinstance(critical, bool):
        raise DeclarationError(f"{owner} has critical {critical!r}: use True or False")


def _validate_function(owner: str, function: object) -> None:
    if not callable(function):
        raise DeclarationError(
            f"{owner} is a {type(function).__name__}: give the function, not what it returns"
        )
    if _is_of_kind(function, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        raise DeclarationError(
            f"{owner} is a generator, whose body a call does not run: return instead of yield"
        )
    if required := _required_parameters(function):
        raise DeclarationError(
            f"{owner} takes {', '.join(required)}, but is called with nothing: bind what it needs "
            "with functools.partial"
        )


def _is_of_kind(function: "Callable[..., object]", *kinds: "Callable[[object], bool]") -> bool:
    call = type(function).__call__
    return any(kind(called) for kind in kinds for called in (function, call))


def _required_parameters(function: "Callable[..., object]") -> list[str]:
    try:
        parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    except (ValueError, TypeError, NameError):  # a builtin, or annotations that make no sense
        return []
    return [p.name for p in parameters if p.default is p.empty and p.kind not in OPTIONAL_KINDS]
