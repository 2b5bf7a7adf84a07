"""What others read from a callable without calling it: the same for a decorated and a bare one."""

import functools
import inspect
import typing
import weakref
from collections.abc import Callable
from typing import Any
from unittest import mock

from tests.kits.callables import Decorator, Kind, Made, identity, is_named
from tests.kits.torture import agree, double, hold_all

QUESTIONS: list[Callable[[Any], Any]] = [
    callable,
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    inspect.isclass,
]
"""What frameworks ask of any callable before they decide how to call it."""

ROUTINE_QUESTIONS: list[Callable[[Any], Any]] = [inspect.isroutine, inspect.ismethod]
"""What is asked of functions and methods, and not kept of a partial or an object."""

NAMES = (
    "__name__",
    "__qualname__",
    "__doc__",
    "__module__",
    "__annotations__",
    "__isabstractmethod__",
)
"""What functions and methods have; nothing and an empty value are taken for the same."""


def answer(question: Callable[[Any], Any], function: Any) -> Any:
    """Return the answer to a question, or the class of the error that it raises."""
    try:
        return question(function)
    except Exception as error:
        return type(error)


def signature(function: Any) -> Any:
    found = inspect.signature(function)
    return [
        (each.name, each.kind, each.default, each.annotation) for each in found.parameters.values()
    ], found.return_annotation


def check_signature(bare: Made, made: Made) -> None:
    wanted = answer(signature, bare.decorated)
    agree("signature", wanted, answer(signature, made.decorated))
    if wanted is not ValueError:
        agree("signature as text", *(str(inspect.signature(of.decorated)) for of in (bare, made)))


def check_answers(bare: Made, made: Made) -> None:
    """Every answer is the same; what an object is not asked itself, its ``__call__`` is asked."""
    function = bare.decorated
    is_function = inspect.isroutine(function) or isinstance(function, functools.partial)
    asked = function if is_function else type(function).__call__
    for question in [*QUESTIONS, *(ROUTINE_QUESTIONS if is_named(function) else [])]:
        agree(question.__name__, answer(question, asked), answer(question, made.decorated))
    for name in NAMES if is_named(function) else ():
        had, has = (getattr(of.decorated, name, None) for of in (bare, made))
        agree(name, had or None, has or None)


def check_type_hints(bare: Made, made: Made) -> None:
    """The decorator's own annotations do not show, also where there were none."""
    annotations = getattr(made.decorated, "__annotations__", {})
    agree("foreign annotations", [], [name for name in ("args", "kwargs") if name in annotations])
    if is_named(bare.decorated):
        agree(
            "type hints",
            answer(typing.get_type_hints, bare.decorated),
            answer(typing.get_type_hints, made.decorated),
        )


def check_attributes(bare: Made, made: Made) -> None:
    """What others have put on a function is still there."""
    agree(
        "attributes that are missing",
        [],
        [
            name
            for name in getattr(bare.decorated, "__dict__", {})
            if not hasattr(made.decorated, name)
        ],
    )


def check_truth(bare: Made, made: Made) -> None:
    """It can be hashed and referred to weakly."""
    for question, kind in ((hash, int), (bool, bool), (weakref.ref, weakref.ref)):
        agree(question.__name__, kind, type(answer(question, made.decorated)))


def check_double(bare: Made, made: Made) -> None:
    """What stands in for it in tests refuses the same calls, and is awaited likewise."""

    def refusals(of: Made) -> Any:
        double = mock.create_autospec(of.decorated)
        results = []
        for arguments in ((), (1,), (1, 2, 3, 4, 5)):
            try:
                result = double(*arguments)
            except TypeError as error:
                results.append(str(error))
            else:
                results.append("awaitable" if inspect.isawaitable(result) else "given")
                if inspect.iscoroutine(result):
                    result.close()
        return results

    if inspect.isfunction(bare.decorated) or inspect.ismethod(bare.decorated):
        agree("autospec", answer(refusals, bare), answer(refusals, made))


NATURE = [
    check_signature,
    check_answers,
    check_type_hints,
    check_attributes,
    check_truth,
    check_double,
]


def check_nature(kind: Kind, decorate: Decorator) -> None:
    """Assert that a decorated callable is what the bare one is, before it is ever called."""
    bare, made = kind.make(identity, double), kind.make(decorate, double)
    hold_all([lambda check=check: check(bare, made) for check in NATURE])  # type: ignore[misc] # bound early
