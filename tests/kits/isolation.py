"""What tests in one process would otherwise see of each other."""

from collections.abc import Generator
from contextlib import contextmanager

from obskit.operation._starter import CallStarter
from obskit.runtime import dependents


@contextmanager
def alone() -> Generator[None]:
    """Keep functions that are decorated already from showing their zeros in the block."""
    functions = {
        key: reference
        for key, reference in dependents._known.items()
        if isinstance(reference(), CallStarter)
    }
    for key in functions:
        del dependents._known[key]
    try:
        yield
    finally:
        living = {key: each for key, each in functions.items() if each() is not None}
        dependents._known.update(living)
