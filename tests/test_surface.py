"""The public surface: ``__all__`` is sorted, complete and resolvable, and everything documented."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import pytest

import obskit

PACKAGES = sorted(
    [
        "obskit",
        *(
            f"obskit.{found.name}"
            for found in pkgutil.iter_modules(obskit.__path__)
            if not found.name.startswith("_")
        ),
    ]
)
"""What users import from: private files (``_x``) are inside."""


def public_modules() -> list[ModuleType]:
    modules: list[ModuleType] = []
    for name in PACKAGES:
        try:
            modules.append(importlib.import_module(name))
        except ImportError as error:
            if error.name is None or error.name.startswith("obskit"):
                raise
    return modules


MODULES = public_modules()
LISTED = [module for module in MODULES if hasattr(module, "__all__")]
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
every_list = pytest.mark.parametrize("module", LISTED, ids=lambda module: module.__name__)


def definitions() -> list[Any]:
    """Return every public function, class and method, each once."""
    found: dict[int, Any] = {}
    for module in LISTED:
        for name in module.__all__:
            item = getattr(module, name)
            if not str(getattr(item, "__module__", "")).startswith("obskit"):
                continue
            if inspect.isclass(item) or inspect.isroutine(item):
                found[id(item)] = pytest.param(item, id=f"{module.__name__}.{name}")
            if inspect.isclass(item):
                for member, value in vars(item).items():
                    bare = getattr(value, "__func__", getattr(value, "fget", value))
                    if not member.startswith("_") and inspect.isfunction(bare):
                        found[id(bare)] = pytest.param(
                            bare, id=f"{module.__name__}.{name}.{member}"
                        )
    return list(found.values())


def place(name: str) -> tuple[bool, bool, str]:
    """Sort constants first, then classes, then the rest, as the linter does."""
    return not name.isupper(), not name[0].isupper(), name


@every_list
def test_all_is_sorted_and_without_repetition(module: ModuleType) -> None:
    assert list(module.__all__) == sorted(set(module.__all__), key=place)


@every_list
def test_all_can_be_imported(module: ModuleType) -> None:
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize(
    "module",
    [module for module in MODULES if hasattr(module, "__path__")],
    ids=lambda module: module.__name__,
)
def test_a_package_lists_all_it_has(module: ModuleType) -> None:
    """What a package imports for its users is in ``__all__``, and nothing public besides."""
    public = {
        name
        for name, item in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(item)
    }
    listed = {
        name
        for name in getattr(module, "__all__", ())
        if not name.startswith("_") and not inspect.ismodule(getattr(module, name))
    }
    assert public == listed


@every_module
def test_a_module_says_what_it_is_for(module: ModuleType) -> None:
    assert (module.__doc__ or "").strip().splitlines()[0].endswith((".", ":"))


@pytest.mark.parametrize("item", definitions())
def test_everything_public_is_documented(item: Any) -> None:
    """One summary line first, which ends in a full stop."""
    text = inspect.getdoc(item)
    assert text, f"{item.__qualname__} has no docstring"
    assert text.splitlines()[0].endswith((".", ":")), text.splitlines()[0]


def test_the_root_offers_what_the_readme_promises() -> None:
    assert set(obskit.__all__) >= {
        *("observe", "current", "arg", "MetricNames", "Operation"),
        *("configure", "shutdown", "Runtime", "Settings", "get_logger"),
        *("bind", "bound", "correlation_id", "carry", "inject", "extract"),
        *("ObskitError", "__version__"),
    }


def test_star_import_brings_what_all_lists() -> None:
    namespace: dict[str, Any] = {}
    exec("from obskit import *", namespace)
    assert set(obskit.__all__) <= set(namespace)
