"""Random generators, as small programs, and random ways of using them, for Hypothesis.

A program becomes the source text of a generator function, an async one or a coroutine function, so
that it is like any other; a script is a list of operations on it. What an operation gives, what the
generator sees of it and what state it is in afterwards is a trace: the same for a bare generator
and for a decorated one.
"""

import sys
import textwrap
from collections.abc import Callable, Generator
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

VARIABLE: ContextVar[Any] = ContextVar("VARIABLE", default="unset")


class FirstError(Exception):
    """Something that programs raise, and scripts throw in."""


class SecondError(Exception):
    """Something else."""


ERRORS: dict[str, type[BaseException]] = {
    error.__name__: error
    for error in (
        FirstError,
        SecondError,
        StopIteration,
        StopAsyncIteration,
        GeneratorExit,
        KeyboardInterrupt,
    )
}

CAUGHT = [*ERRORS, "Exception", "BaseException"]

numbers = st.integers(0, 9)
error_names = st.sampled_from(list(ERRORS))


def indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines] or ["    pass"]


FORMS = ("generator", "async generator", "coroutine")
"""What a program may be; a coroutine is used by hand, as an event loop does it."""


def _leaves(form: str) -> st.SearchStrategy[list[str]]:
    simple = [
        numbers.map(lambda number: [f"log.append({number})"]),
        error_names.map(lambda name: [f"raise {name}('raised')"]),
        numbers.map(lambda number: [f"VARIABLE.set({number})"]),
        st.just(["log.append(VARIABLE.get())"]),
        st.just(["log.append(current())"]),
        st.just(["log.append(type(sys.exc_info()[1]))"]),
    ]
    yielding = numbers.map(lambda number: [f"log.append((yield {number}))"])
    returning = numbers.map(lambda number: [f"return {number}"])
    pausing = st.just(["log.append(await pause())"])
    further = {
        "generator": [yielding, returning, st.just(["log.append((yield from other(log)))"])],
        "async generator": [yielding, pausing, st.just(["return"])],
        "coroutine": [pausing, returning],
    }[form]
    return st.one_of(*simple, *further)


def _blocks(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    def caught(names: str, body: list[str], handler: list[str]) -> list[str]:
        return ["try:", *indented(body), f"except {names} as error:", *indented(handler)]

    def finished(body: list[str], last: list[str]) -> list[str]:
        return ["try:", *indented(body), "finally:", *indented(["log.append('finally')", *last])]

    def reraised(body: list[str], handler: list[str]) -> list[str]:
        return ["try:", *indented(body), "except BaseException:", *indented([*handler, "raise"])]

    return st.one_of(
        st.tuples(inner, inner).map(lambda two: two[0] + two[1]),
        st.builds(caught, st.sampled_from(CAUGHT), inner, inner),
        st.builds(finished, inner, inner),
        st.builds(reraised, inner, inner),
        inner.map(lambda body: ["for _ in range(2):", *indented(body)]),
    )


def programs(form: str) -> st.SearchStrategy[str]:
    """Return source texts of functions called ``work``, of one argument, a list."""
    bodies = st.recursive(_leaves(form), _blocks, max_leaves=12)
    keyword = "def" if form == "generator" else "async def"
    first = ["log.append('began')"] if form == "coroutine" else ["if False: yield"]
    return bodies.map(lambda body: "\n".join([f"{keyword} work(log):", *indented(first + body)]))


OTHER = textwrap.dedent(
    """
    def other(log):
        try:
            log.append((yield "other"))
        finally:
            log.append("other is done")
        return "other's result"
    """
)


class Pause:
    """Something to await that hands control to whoever drives the coroutine."""

    def __await__(self) -> Generator[str, Any, Any]:
        return (yield "paused")


def compiled(source: str, current: Callable[[], Any]) -> Callable[[list[Any]], Any]:
    """Return the function that a program is.

    Args:
        source: The program.
        current: What a program may ask for, and note.
    """
    namespace: dict[str, Any] = {
        **ERRORS,
        "VARIABLE": VARIABLE,
        "current": current,
        "pause": Pause,
        "sys": sys,
    }
    exec(OTHER + source, namespace)
    function: Callable[[list[Any]], Any] = namespace["work"]
    return function


@dataclass(frozen=True)
class Operation:
    """One thing to do with a generator."""

    method: str
    """``send``, ``throw`` or ``close``; for an async generator, ``asend`` and so on."""

    argument: Any = None
    """What to send, or the name of what to throw."""

    by_class: bool = False
    """Whether the class is thrown rather than an error."""

    context: int = 0
    """In which of two contexts."""

    interrupt: str | None = None
    """What is thrown in at the first pause of an async generator; None to go on."""


def scripts(form: str) -> st.SearchStrategy[list[Operation]]:
    """Return lists of operations."""
    asynchronous = form == "async generator"
    prefix = "a" if asynchronous else ""
    common = {
        "context": st.integers(0, 1),
        "interrupt": st.none() | error_names if asynchronous else st.none(),
    }
    operations = st.one_of(
        st.builds(Operation, st.just(f"{prefix}send"), st.none() | numbers, **common),
        st.builds(
            Operation, st.just(f"{prefix}throw"), error_names, by_class=st.booleans(), **common
        ),
        st.builds(Operation, st.just(f"{prefix}close"), **common),
    )
    return st.lists(operations, min_size=1, max_size=8)


@dataclass
class Trace:
    """What came of a script."""

    steps: list[Any] = field(default_factory=list)
    """What each operation gave or raised, and in which state it left the generator."""

    log: list[Any] = field(default_factory=list)
    """What the generator saw."""

    began: bool = False
    """Whether its body ever ran."""

    refused: bool = False
    """Whether it has once gone on when it was told to end."""

    outcome: str = ""
    """How it ended; empty when it never began, or has refused to end."""


def awaited(awaitable: Any, interrupt: str | None) -> Any:
    """Await something by hand; at the first pause throw something in."""
    steps = awaitable.__await__()
    value = steps.send(None)
    while True:
        assert value == "paused"
        value = steps.throw(ERRORS[interrupt]("interrupts")) if interrupt else steps.send(None)
        interrupt = None


def _one_step(generator: Any, operation: Operation) -> tuple[str, Any]:
    """Do one thing; return how it went: ``given`` or ``raised``, and what."""
    arguments: list[Any] = [] if operation.method.endswith("close") else [operation.argument]
    thrown: BaseException | None = None
    if operation.method.endswith("throw"):
        thrown = ERRORS[operation.argument]("thrown")
        arguments = [type(thrown) if operation.by_class else thrown]
    try:
        method = getattr(generator, operation.method)
        if operation.method in {"asend", "athrow", "aclose"}:
            try:
                return "given", awaited(method(*arguments), operation.interrupt)
            except StopIteration as end:
                return "given", end.value
        return "given", method(*arguments)
    except BaseException as error:
        return "raised", (error, error is thrown)


def run(function: Callable[[list[Any]], Any], script: list[Operation]) -> Trace:
    """Run a script, then close what is left, and return the trace."""
    trace = Trace()
    contexts = [copy_context(), copy_context()]
    generator = function(trace.log)
    last = [Operation("aclose" if hasattr(generator, "aclose") else "close")] * 12
    for operation in [*script, *last]:
        _note(trace, generator, operation, contexts[operation.context])
    return trace


def _is_over(generator: Any) -> bool:
    return all(
        getattr(generator, name, None) is None for name in ("gi_frame", "ag_frame", "cr_frame")
    )


def _note(trace: Trace, generator: Any, operation: Operation, context: Context) -> None:
    """Do one thing and note what came of it."""
    was_over = _is_over(generator)
    how, what = context.run(_one_step, generator, operation)
    raised = what[0] if how == "raised" else None
    seen = (type(raised), raised.args, what[1], type(raised.__cause__)) if raised else what
    is_over = _is_over(generator)
    trace.steps.append((operation, how, seen, is_over, context.run(VARIABLE.get)))
    told_to_end = operation.method.endswith("close") or operation.argument == "GeneratorExit"
    trace.refused |= told_to_end and not is_over
    begins = operation.method.endswith("send") and not isinstance(raised, TypeError)
    if is_over and not was_over and (trace.began or begins):
        trace.outcome = _outcome(operation, raised)
    trace.began |= begins and not was_over


def _outcome(operation: Operation, raised: BaseException | None) -> str:
    """Return how something ended, given what was done last and what that raised."""
    told_to_end = operation.method.endswith("close") or operation.argument == "GeneratorExit"
    end = StopAsyncIteration if operation.method.startswith("a") else StopIteration
    if raised is None or isinstance(raised, end):
        return "closed" if told_to_end else "ok"
    return "closed" if isinstance(raised, GeneratorExit) else "error"
