"""Which signals of which operations are switched off, and who has to know when that changes."""

import weakref
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, get_args

from obskit.errors import DeclarationError

if TYPE_CHECKING:
    from types import TracebackType

Signal = Literal["metric", "log", "span"]
"""What an operation emits."""

SIGNALS: frozenset[Signal] = frozenset(get_args(Signal))


class Dependent(Protocol):
    """Something that has been made for one configuration."""

    def reconfigure(self) -> None:
        """Forget what was made for the configuration before this one."""
        ...


class Dependents:
    """Everything that has to be made anew when the configuration changes.

    Attributes:
        version: Grows with each change, so that what was made meanwhile can be told to be old.
    """

    def __init__(self) -> None:
        self.version: int = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def add(self, dependent: Dependent) -> None:
        """Tell something of changes from now on, as long as it lives."""
        key = id(dependent)
        known = self._known
        known[key] = weakref.ref(dependent, lambda _: known.pop(key, None))

    def changed(self) -> None:
        """Tell everyone that the configuration has changed."""
        self.version += 1
        for reference in list(self._known.values()):
            dependent = reference()
            if dependent is not None:
                dependent.reconfigure()


dependents: Dependents = Dependents()

_off: dict[tuple[str, Signal], None] = {}
"""Patterns and signals that are switched off; single dict operations are atomic: no lock."""


def enabled_signals(name: str) -> frozenset[Signal]:
    """Return the signals that an operation of this name emits.

    Args:
        name: The operation's name.
    """
    return SIGNALS - {
        signal for pattern, signal in _off.copy() if name == pattern or fnmatchcase(name, pattern)
    }


class Switch:
    """What `disable` gives; leaving it as a context manager switches on again.

    What was off before stays off. Blocks of one pattern should be nested, then: where two threads
    overlap, the first to come switches on again.

    Args:
        pattern: What was switched off.
        signals: Which signals were on before.
    """

    def __init__(self, pattern: str, signals: frozenset[Signal]) -> None:
        self._pattern = pattern
        self._signals = signals

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        _switch_on([self._pattern], self._signals)


def disable(pattern: str, *, signals: Iterable[Signal] | None = None) -> Switch:
    """Switch operations off while the program runs; a call in progress ends as it began.

    An operation with all signals off costs hardly more than the bare call.

    Args:
        pattern: A name as the operation was declared with, or a pattern such as ``"orders.*"``:
            ``*``, ``?`` and ``[...]`` as in file names, capitals told apart.
        signals: Some of ``metric``, ``log`` and ``span``; all unless given.

    Returns:
        A context manager, for who wants it off for a block only.

    Raises:
        DeclarationError: If the pattern is no text, or a signal none of the three.
    """
    wanted = _checked(pattern, signals)
    fresh: frozenset[Signal] = frozenset(
        signal for signal in wanted if (pattern, signal) not in _off
    )
    for signal in fresh:
        _off[pattern, signal] = None
    dependents.changed()
    return Switch(pattern, fresh)


def enable(pattern: str = "*", *, signals: Iterable[Signal] | None = None) -> None:
    """Switch on what `disable` has switched off; nothing happens where nothing was.

    Args:
        pattern: A pattern that was given to `disable`; ``"*"`` means every one of them.
        signals: Some of ``metric``, ``log`` and ``span``; all unless given.

    Raises:
        DeclarationError: If the pattern is no text, or a signal none of the three.
    """
    wanted = _checked(pattern, signals)
    _switch_on(disabled() if pattern == "*" else [pattern], wanted)


def disabled() -> dict[str, frozenset[Signal]]:
    """Return what is switched off: patterns and their signals."""
    found: dict[str, set[Signal]] = {}
    for pattern, signal in _off.copy():
        found.setdefault(pattern, set()).add(signal)
    return {pattern: frozenset(signals) for pattern, signals in found.items()}


def _switch_on(patterns: Iterable[str], signals: frozenset[Signal]) -> None:
    for pattern in patterns:
        for signal in signals:
            _off.pop((pattern, signal), None)
    dependents.changed()


def _checked(pattern: Any, signals: Any) -> frozenset[Signal]:
    if not isinstance(pattern, str) or not pattern:
        raise DeclarationError(f"pattern={pattern!r}: give an operation's name, or a pattern")
    if signals is None:
        return SIGNALS
    several = isinstance(signals, Iterable) and not isinstance(signals, str)
    given: list[Any] = list(signals) if several else [None]
    if any(signal not in get_args(Signal) for signal in given):
        raise DeclarationError(f"signals={signals!r}: give some of {', '.join(sorted(SIGNALS))}")
    return frozenset(signal for signal in SIGNALS if signal in given)
