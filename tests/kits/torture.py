"""The torture kit: a decorated callable is held to the bare one, whatever the decorator is.

A `Subject` is a decorator, and what it says that it has recorded. `check_calls` calls one kind of
callable in every way that matters, bare and decorated, compares, and raises one group of all that
differs. What others read from a callable without calling it is the matter of `nature`.
"""

import asyncio
import gc
import logging
import sys
import threading
import traceback
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tests.kits.callables import Body, Decorator, Kind, Made, identity

VARIABLE: ContextVar[Any] = ContextVar("VARIABLE", default="unset")

KITS = str(Path(__file__).parent)
"""Where the frames of the host are, in tracebacks."""

Outcome = Callable[[BaseException | None], str | None]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A decorator under test, and what it has recorded."""

    decorate: Decorator

    ended: Callable[[], Mapping[str, int]]
    """Returns how many calls have ended so far, by outcome."""

    running: Callable[[], list[Any]]
    """Returns what is in flight: nothing, between two calls."""

    faults: Callable[[], list[Any]]
    """Returns what has gone wrong in the decorator itself since it was last asked."""

    outcome: Outcome
    """Returns what a call is counted as, given what ended it; None where nothing is recorded."""

    inside: Callable[[], Any] = lambda: None
    """Returns what is different inside of a call; it has to be as before after it."""

    ready: Callable[[], None] = lambda: None
    """Called when everything is decorated, before the first call."""

    takes: tuple[str | None, ...] | None = None
    """Parameters one of which a kind has to have for this decorator to fit; None for any kind."""

    keeps_arguments: bool = False
    """Whether it records arguments themselves."""

    def fits(self, kind: Kind) -> bool:
        """Tell whether a kind of callable can be decorated by it."""
        return self.takes is None or kind.parameter in self.takes

    def make(self, kind: Kind, body: Body) -> Made:
        """Make a decorated callable that can be called at once."""
        made = kind.make(self.decorate, body)
        self.ready()
        return made


class AwkwardError(Exception):
    """An error that cannot be compared or hashed, and has no arguments."""

    __hash__ = None  # type: ignore[assignment] # that is what is wrong with it

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")


ERRORS: list[Callable[[], BaseException]] = [
    lambda: ValueError("no"),
    AwkwardError,
    lambda: ExceptionGroup("several", [ValueError(1), KeyError(2)]),
    lambda: BaseExceptionGroup("worse", [KeyboardInterrupt(), ValueError(1)]),
    KeyboardInterrupt,
    SystemExit,
    lambda: SystemExit(3),
    GeneratorExit,
    asyncio.CancelledError,
    StopIteration,
    StopAsyncIteration,
    MemoryError,
]
"""What may end a call."""


def raising(make: Callable[[], BaseException], made: list[BaseException]) -> Body:
    """Return a body that raises, and keeps what it has raised."""

    def body(value: Any) -> Any:
        error = make()
        error.add_note("noted")
        made.append(error)
        raise error from ZeroDivisionError()

    return body


def double(value: Any) -> Any:
    return value * 2


def agree(what: str, bare: Any, decorated: Any) -> None:
    """Assert that something is as it is for the bare function."""
    if bare != decorated:
        raise AssertionError(f"{what}\n  bare:      {bare!r}\n  decorated: {decorated!r}")


@contextmanager
def expecting(
    subject: Subject, times: int, error: BaseException | None = None
) -> Generator[list[BaseException]]:
    """Assert that so many calls are recorded in the block, with the outcome of its error.

    The block may append the error that it has seen, and that ended the calls, to what it is given.
    """
    before, outside = Counter(subject.ended()), subject.inside()
    seen: list[BaseException] = []
    yield seen
    recorded = Counter(subject.ended())
    recorded.subtract(before)
    outcome = subject.outcome(seen[0] if seen else error)
    wanted = {outcome: times} if outcome is not None and times else {}
    agree("recorded", wanted, {word: count for word, count in recorded.items() if count})
    agree("in flight and faults", ([], []), (subject.running(), subject.faults()))
    if subject.inside() is not outside:
        raise AssertionError(f"inside outlives the call: {subject.inside()!r}")


def while_handling(work: Callable[[], object]) -> None:
    """Do something where an error of the caller's own is being handled."""
    try:
        dict[str, int]()["key of the caller"]
    except KeyError:
        work()


def failure(kind: Kind, made: Made) -> BaseException | None:
    """Return what a call raises."""
    try:
        while_handling(lambda: kind.run(made.call, 1))
    except BaseException as error:
        return error
    return None


def described_error(error: BaseException | None, raised: BaseException | None) -> Any:
    """Return what can be seen of an error, and of what it comes from: the host's frames, too."""
    if error is None:
        return None
    frames = traceback.extract_tb(error.__traceback__)
    return (
        type(error),
        error is raised,
        list(map(repr, getattr(error, "args", ()))),
        getattr(error, "__notes__", None),
        [(frame.name, frame.lineno) for frame in frames if frame.filename.startswith(KITS)],
        error is raised and [frame.name for frame in frames[-1:]],
        error.__suppress_context__,
        described_error(error.__cause__, raised),
        described_error(error.__context__, raised) if error.__context__ is not raised else "raised",
    )


def check_result(kind: Kind, subject: Subject) -> None:
    bare = kind.make(identity, double)
    made = subject.make(kind, double)
    for value in (21, "text", None, [1]):
        if value is None or (kind.cached and value == [1]):
            continue
        with expecting(subject, kind.operations):
            agree("result", kind.run(bare.call, value), kind.run(made.call, value))


def check_errors(kind: Kind, subject: Subject) -> None:
    for make in ERRORS:
        raised: list[BaseException] = []
        bare = kind.make(identity, raising(make, raised))
        made = subject.make(kind, raising(make, raised))
        wanted = failure(kind, bare)
        bare_error = raised.pop()
        with expecting(subject, kind.operations) as seen:
            given = failure(kind, made)
            if given is not None and not kind.lazy:
                seen.append(given)
        agree(
            f"what is raised for {type(bare_error).__name__}",
            described_error(wanted, bare_error),
            described_error(given, raised.pop()),
        )


def check_inside(kind: Kind, subject: Subject) -> None:
    """Whatever is current inside is so in the body, and nothing else is different there."""
    seen: list[Any] = []
    outside = subject.inside()

    def body(value: Any) -> Any:
        seen.append((subject.inside() is not outside, type(sys.exc_info()[1])))
        return value

    made = subject.make(kind, body)
    with expecting(subject, kind.operations):
        while_handling(lambda: kind.run(made.call, 1))
    current = subject.outcome(None) is not None and not kind.lazy and outside is not None
    agree("inside", {(current, KeyError)}, set(seen))


def check_context(kind: Kind, subject: Subject) -> None:
    """A context variable that the body sets is set for the caller just as with the bare one."""

    def seen(make: Callable[[Body], Made]) -> list[Any]:
        tokens: list[Any] = []
        made = make(lambda value: tokens.append(VARIABLE.set(value)))

        def caller() -> list[Any]:
            VARIABLE.set("caller's")
            kind.run(made.call, 7)
            after = VARIABLE.get()
            for token in reversed(tokens):
                VARIABLE.reset(token)
            return [after, VARIABLE.get()]

        return copy_context().run(caller)

    wanted = seen(lambda body: kind.make(identity, body))
    with expecting(subject, kind.operations):
        agree("context variables", wanted, seen(lambda body: subject.make(kind, body)))


class Thing:
    """Something whose end can be noticed."""


def check_references(kind: Kind, subject: Subject) -> None:
    """Arguments, results and errors live no longer than with the bare one."""

    def alive(made: Made, ends: list[weakref.ref[Any]]) -> int:
        gc.disable()
        try:
            with suppress(OSError):
                kind.run(made.call, Thing())
            return sum(end() is not None for end in ends)
        finally:
            gc.enable()

    def giving(ends: list[weakref.ref[Any]]) -> Body:
        def body(value: Any) -> Any:
            result = Thing()
            ends.extend(map(weakref.ref, (value, result)))
            return result

        return body

    def failing(ends: list[weakref.ref[Any]]) -> Body:
        def body(value: Any) -> Any:
            ends.append(weakref.ref(value))
            raise OSError

        return body

    if subject.keeps_arguments:
        return
    for of in (giving, failing):
        ends: list[weakref.ref[Any]] = []
        bare = alive(kind.make(identity, of(ends)), ends)
        ends.clear()
        agree(
            f"objects that outlive {of.__name__}", bare, alive(subject.make(kind, of(ends)), ends)
        )


def check_threads(kind: Kind, subject: Subject) -> None:
    """Four threads at a time share one callable."""
    made = subject.make(kind, lambda value: value)
    together = threading.Barrier(4)

    def work(first: int) -> list[Any]:
        together.wait()
        return [kind.run(made.call, value) for value in range(first, first + 10)]

    with ThreadPoolExecutor(4) as pool, expecting(subject, 40 * kind.operations):
        contexts = [copy_context() for _ in range(4)]
        results = [*pool.map(lambda one, first: one.run(work, first), contexts, range(0, 40, 10))]
    bare = kind.make(identity, lambda value: value)
    wanted = [
        [kind.run(bare.call, first + value) for value in range(10)] for first in range(0, 40, 10)
    ]
    agree("results of threads", wanted, results)


def check_wrong_arguments(kind: Kind, subject: Subject) -> None:
    """A call that does not fit the signature fails with the same words."""

    def words(made: Made) -> Any:
        try:
            kind.run(lambda _: made.decorated(), None)
        except Exception as error:
            return type(error), str(error)
        return None

    agree(
        "what a call without arguments raises",
        words(kind.make(identity, double)),
        words(subject.make(kind, double)),
    )
    agree("in flight", [], subject.running())
    subject.faults()  # an argument to record may be missing: the call fails anyway


CALLS = [
    check_result,
    check_errors,
    check_inside,
    check_context,
    check_references,
    check_threads,
    check_wrong_arguments,
]


def check_calls(kind: Kind, subject: Subject) -> None:
    """Assert that a decorated callable can be called as the bare one, and is recorded."""
    with quiet():
        hold_all([lambda check=check: check(kind, subject) for check in CALLS])  # type: ignore[misc] # bound early


@contextmanager
def complaints() -> Generator[list[str]]:
    """Collect what finalisers, event loops and OpenTelemetry complain of in the block.

    Nobody keeps log records, either: they hold errors, and errors hold what they went through.
    """
    heard: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign] # all that it does
    loggers = [logging.getLogger(name) for name in ("asyncio", "opentelemetry")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        with (
            mock.patch.object(logging.root, "handlers", [logging.NullHandler()]),
            mock.patch.object(
                sys, "unraisablehook", lambda fault: heard.append(str(fault.exc_value))
            ),
        ):
            yield heard
            gc.collect(1)
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


@contextmanager
def quiet() -> Generator[None]:
    """Assert that nobody complains in the block."""
    with complaints() as heard:
        yield
    agree("complaints", [], heard)


def hold_all(checks: list[Callable[[], None]]) -> None:
    """Run all checks, and raise one group of what they raise."""
    failures: list[Exception] = []
    for check in checks:
        try:
            check()
        except Exception as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup("it is not what it was", failures)
