"""Decorated callables leave the process, and are copied, as the bare ones are."""

import copy
import functools
import multiprocessing
import os
import pickle
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.kits import published
from tests.kits.callables import identity

import obskit
from obskit.testing import Observed

every_one = pytest.mark.parametrize("of", published.PUBLISHED, ids=range(len(published.PUBLISHED)))
protocols = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.fixture(
    params=[identity, obskit.observe, obskit.observe("work", slow=0.0)],
    ids=["bare", "default", "named"],
)
def module(request: pytest.FixtureRequest) -> Generator[ModuleType]:
    """The module of published callables; with `identity`, the oracle itself is under test."""
    with published.published(request.param) as made:
        yield made


def same(one: Any, other: Any) -> None:
    """Assert that two are equal; bound methods are where their objects are."""
    for name in ("__func__", "__self__"):
        assert getattr(one, name, None) == getattr(other, name, None)
    assert hasattr(one, "__self__") or one == other


@every_one
@pytest.mark.parametrize("protocol", protocols)
def test_pickled_and_loaded_it_is_the_same(
    of: Callable[[ModuleType], Any], protocol: int, module: ModuleType
) -> None:
    same(pickle.loads(pickle.dumps(of(module), protocol)), of(module))


@every_one
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_the_same(
    of: Callable[[ModuleType], Any], copied: Callable[[Any], Any], module: ModuleType
) -> None:
    same(copied(of(module)), of(module))


def test_a_partial_of_it_is_pickled(module: ModuleType) -> None:
    partial = functools.partial(module.function, 3, scale=5)
    assert pickle.loads(pickle.dumps(partial))() == 15


def test_what_is_loaded_is_decorated(observed: Observed) -> None:
    assert pickle.loads(pickle.dumps(published.function))(3) == 6
    observed.operation("tests.kits.published.function").once()


def counted(registry: CollectorRegistry) -> float | None:
    labels = {"operation": "tests.kits.published.function", "outcome": "ok", "error_type": ""}
    return registry.get_sample_value("operations_total", labels)


def in_child(value: int) -> tuple[int, int, float | None]:
    """Return, from another process: a result, the process, and what was counted there."""
    registry = CollectorRegistry()
    with obskit.configure(service="child", logging="off", registry=registry):
        result: int = published.function(value)
        return result, os.getpid(), counted(registry)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_pool_of_processes_calls_it(method: str) -> None:
    """Functions, bound methods, results and errors travel; each process counts its own calls."""
    context, registry = multiprocessing.get_context(method), CollectorRegistry()
    worker = published.Worker(5)
    with (
        obskit.configure(service="parent", logging="off", registry=registry),
        ProcessPoolExecutor(2, mp_context=context) as pool,
    ):
        assert [*pool.map(published.function, range(4))] == [0, 2, 4, 6]
        assert pool.submit(worker.method, 3).result() == 15
        assert pool.submit(published.Worker.above, 3).result() == 6
        assert pool.submit(published.Worker.static, 3).result() == 6
        with pytest.raises(ValueError, match="3"):
            pool.submit(published.failing, 3).result()
        result, process, total = pool.submit(in_child, 3).result()
        published.function(1)
        assert counted(registry) == 1.0
    assert (result, total) == (6, 1.0)
    assert process != os.getpid()


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_runs_it(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=published.function, args=(3,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
