"""The torture kit notices what decorators do wrong."""

import dataclasses
import functools
import operator
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from tests.kits.callable_table import KINDS
from tests.kits.nature import check_nature
from tests.kits.torture import VARIABLE, Subject, check_calls

FUNCTION, COROUTINE = (kind for kind in KINDS if kind.name in {"function", "coroutine function"})

Call = Callable[..., Any]


class Counting:
    """A decorator for plain functions that counts, and can be made to do wrong.

    Args:
        call: Calls the function.
    """

    def __init__(self, call: Call = operator.call) -> None:
        self.call = call
        self.counts: Counter[str] = Counter()

    def __call__(self, function: Call) -> Call:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            outcome = "error"
            try:
                result = self.call(function, *args, **kwargs)
                outcome = "ok"
            finally:
                self.counts[outcome] += 1
            return result

        return wrapper

    def subject(self) -> Subject:
        return Subject(
            decorate=self,
            ended=lambda: self.counts,
            running=list,
            faults=list,
            outcome=lambda error: "ok" if error is None else "error",
        )


def test_a_good_decorator_passes() -> None:
    check_calls(FUNCTION, Counting().subject())
    check_nature(FUNCTION, Counting())


def swallowing(function: Call, *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except Exception:
        return None


def translating(function: Call, *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except ValueError as error:
        raise ValueError(*error.args) from error


def chaining(function: Call, *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except Exception as error:
        error.add_note("seen")
        raise


def handling(function: Call, *args: Any, **kwargs: Any) -> Any:
    try:
        int("no number")
    except ValueError:
        return function(*args, **kwargs)
    return None


def restoring(function: Call, *args: Any, **kwargs: Any) -> Any:
    before = VARIABLE.get()
    try:
        return function(*args, **kwargs)
    finally:
        VARIABLE.set(before)


kept: ContextVar[Any] = ContextVar("kept")


def keeping(function: Call, *args: Any, **kwargs: Any) -> Any:
    kept.set(args)
    return function(*args, **kwargs)


def altering(function: Call, *args: Any, **kwargs: Any) -> Any:
    return str(function(*args, **kwargs))


@pytest.mark.parametrize(
    ("call", "noticed"),
    [
        (swallowing, "what is raised for ValueError"),
        (translating, "what is raised for ValueError"),
        (chaining, "what is raised for ValueError"),
        (handling, "inside"),
        (restoring, "context variables"),
        (keeping, "objects that outlive giving"),
        (altering, "result"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_call_that_differs_is_noticed(call: Call, noticed: str) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        check_calls(FUNCTION, Counting(call).subject())
    assert any(str(error).startswith(noticed) for error in caught.value.exceptions)


def test_a_call_that_is_not_counted_is_noticed() -> None:
    silent = dataclasses.replace(Counting().subject(), ended=dict)
    with pytest.raises(ExceptionGroup) as caught:
        check_calls(FUNCTION, silent)
    assert str(caught.value.exceptions[0]).startswith("recorded")


def test_a_change_of_kind_is_noticed() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        check_nature(COROUTINE, Counting())
    assert "iscoroutinefunction" in str(caught.value.exceptions[0])
