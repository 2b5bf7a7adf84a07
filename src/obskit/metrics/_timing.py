"""Blocks and calls that a metric measures: `Timer`, `ExceptionCounter`, `InprogressTracker`.

Each is a context manager, and a decorator for callables of every kind. What a decorated generator
does is measured from its first step to its end, and what a coroutine does until it has returned.
"""

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from obskit._guard import guard
from obskit.metrics._spec import WrongTypeError
from obskit.metrics._wrappers import inside

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from obskit.metrics._family import Family

FunctionT = TypeVar("FunctionT")


class Incremented(Protocol):
    """What `ExceptionCounter` needs of a counter."""

    def inc(self) -> None:
        """Go up by one."""


class Tracked(Incremented, Protocol):
    """What `InprogressTracker` needs of a gauge."""

    def dec(self) -> None:
        """Go down by one."""


class Timed(Protocol):
    """What `Timer` needs of an instrument."""

    family: "Family"

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Self:
        """The series with these label values."""
        ...

    def _check_bound(self) -> None: ...


class Measure(ABC):
    """A context manager that is a decorator, too; the same one may be used many times at once."""

    @abstractmethod
    def _block(self) -> "AbstractContextManager[object]":
        """What is entered before one call and left after it."""

    def __call__(self, function: FunctionT) -> FunctionT:
        """Decorate a callable; its kind, signature and names stay.

        Args:
            function: Any function, method, classmethod, staticmethod, partial or callable object.

        Raises:
            DeclarationError: If it cannot be called, or is a class.
        """
        return inside(self._block, function)  # type: ignore[no-any-return] # of the same kind


class ExceptionCounter(Measure):
    """Counts the exceptions that leave a block or a call.

    Args:
        counter: What goes up.
        exception: Which ones.

    Raises:
        DeclarationError: If that is no class of exceptions, nor a tuple of them.
    """

    def __init__(self, counter: Incremented, exception: Any) -> None:
        try:
            isinstance(None, exception)
        except TypeError:
            raise WrongTypeError(
                f"count_exceptions of {counter} takes an exception's class, or a tuple of them, "
                f"not {exception!r}"
            ) from None
        self._counter = counter
        self._exception = exception

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        if isinstance(error, self._exception):
            self._counter.inc()

    def _block(self) -> "AbstractContextManager[object]":
        return self


class InprogressTracker(Measure):
    """Has a gauge one higher while a block or a call runs.

    Args:
        gauge: The gauge.
    """

    def __init__(self, gauge: Tracked) -> None:
        self._gauge = gauge

    def __enter__(self) -> None:
        self._gauge.inc()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self._gauge.dec()

    def _block(self) -> "AbstractContextManager[object]":
        return self


class Timer(Measure):
    """Gives an instrument the seconds that a block or a call takes.

    Blocks of one timer may overlap, in one thread or in several: each is known by the frame that
    it runs in.

    Args:
        instrument: What gets the seconds.
        method: The name of its method that takes them.

    Attributes:
        duration: How long the latest block took, in seconds; None before one has ended.
    """

    def __init__(self, instrument: Timed, method: str) -> None:
        self.duration: float | None = None
        self._instrument = instrument
        self._method = method
        self._monotonic = instrument.family.engine.clock.monotonic
        self._running: dict[int, TimedBlock] = {}

    def labels(self, *labelvalues: object, **labelkwargs: object) -> None:
        """Choose the series, at the latest before a block ends.

        Args:
            *labelvalues: One value per label name, in order.
            **labelkwargs: Or one value per label name, by name.

        Raises:
            LabelError: If they do not match the labels declared.
        """
        self._instrument = self._instrument.labels(*labelvalues, **labelkwargs)

    def __call__(self, function: FunctionT) -> FunctionT:
        """Decorate a callable; its kind, signature and names stay.

        Args:
            function: Any function, method, classmethod, staticmethod, partial or callable object.

        Raises:
            DeclarationError: If it cannot be called or is a class, or if labels are missing.
        """
        self._instrument._check_bound()
        return super().__call__(function)

    def __enter__(self) -> "TimedBlock":
        frame = id(sys._getframe(1))
        block = self._running[frame] = TimedBlock(self, self._running.get(frame))
        return block

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        frame = id(sys._getframe(1))
        block = self._running.pop(frame, None)
        if block is None:  # an ExitStack enters and leaves in frames of its own: the latest one
            frame, block = self._running.popitem()
        if block.outer is not None:
            self._running[frame] = block.outer
        block.__exit__(kind, error, traceback)
        self.duration = block.duration

    def _block(self) -> "TimedBlock":
        return TimedBlock(self)


class TimedBlock:
    """One run of a timed block or call, which begins when this is made.

    Args:
        timer: Whose it is.
        outer: The block of the same timer that this one is in, if any.

    Attributes:
        outer: The same.
        duration: How long it took, in seconds; None while it runs.
    """

    __slots__ = ("_instrument", "_started", "_timer", "duration", "outer")

    def __init__(self, timer: Timer, outer: "TimedBlock | None" = None) -> None:
        self.outer: TimedBlock | None = outer
        self.duration: float | None = None
        self._timer = timer
        self._instrument: Timed | None = None
        self._started = timer._monotonic()

    def labels(self, *labelvalues: object, **labelkwargs: object) -> None:
        """Choose the series of this run only, such as when its result is known.

        Args:
            *labelvalues: One value per label name, in order.
            **labelkwargs: Or one value per label name, by name.

        Raises:
            LabelError: If they do not match the labels declared.
        """
        instrument = self._instrument or self._timer._instrument
        self._instrument = instrument.labels(*labelvalues, **labelkwargs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        timer = self._timer
        self.duration = seconds = max(timer._monotonic() - self._started, 0.0)
        try:
            getattr(self._instrument or timer._instrument, timer._method)(seconds)
        except ValueError as missing_labels:
            if error is None:
                raise
            guard.report("metrics.timer", missing_labels)  # the host shall see its own exception
