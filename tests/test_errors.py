"""The tree of exceptions: what catches what, and what each one tells."""

import inspect
import pickle

import pytest

from obskit import errors
from obskit.errors import (
    ConfigurationError,
    DeclarationError,
    DuplicateError,
    InvalidNameError,
    LabelError,
    MissingExtraError,
    ObskitError,
    UnknownSettingError,
)

TREE = {
    ConfigurationError: (ObskitError, ValueError),
    UnknownSettingError: (ConfigurationError,),
    DeclarationError: (ObskitError, ValueError),
    InvalidNameError: (DeclarationError,),
    LabelError: (DeclarationError,),
    DuplicateError: (DeclarationError,),
    MissingExtraError: (ObskitError, ImportError),
    ObskitError: (Exception,),
}


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_the_tree_is_the_one_that_is_drawn(kind: type[Exception]) -> None:
    assert kind.__bases__ == TREE[kind]
    assert kind.__name__ in (errors.__doc__ or "")


def test_every_exception_is_in_the_tree_and_listed() -> None:
    found = {
        name
        for name, item in vars(errors).items()
        if inspect.isclass(item) and issubclass(item, BaseException)
    }
    assert found == set(errors.__all__) == {kind.__name__ for kind in TREE}


def test_a_near_miss_is_named() -> None:
    error = UnknownSettingError("servce", "keyword", ["service", "version"])
    assert str(error) == "unknown setting 'servce' (keyword): did you mean 'service'?"
    assert error.name == "servce"


def test_without_a_near_miss_all_are_named() -> None:
    error = UnknownSettingError("colour", "environment", ["version", "service"])
    assert str(error) == "unknown setting 'colour' (environment): known are: service, version"


def test_a_missing_extra_names_the_command() -> None:
    error = MissingExtraError("tracing='otlp'", "otlp")
    assert (error.feature, error.extra) == ("tracing='otlp'", "otlp")
    assert "pip install 'obskit-instrumentation[otlp]'" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("x"),
        LabelError("x"),
        UnknownSettingError("servce", "keyword", ["service"]),
        MissingExtraError("tracing='otlp'", "otlp"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_processes(error: Exception) -> None:
    """Process pools and task queues pickle what their workers raise."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
