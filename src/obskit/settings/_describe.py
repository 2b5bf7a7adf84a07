"""The settings as a reference page shows them, taken from the source of `Settings`."""

import ast
import inspect
import re
from dataclasses import fields
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from obskit.settings import _settings
from obskit.settings._settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


class SettingDescription(NamedTuple):
    """One setting, for a reference page."""

    name: str
    """The keyword and the key in a file."""

    type: str
    """What values it takes, as Python writes types."""

    default: str
    """The default, as Python writes values."""

    variables: tuple[str, ...]
    """The environment variables that give it, the strongest first; none for a keyword only."""

    text: str
    """Its meaning and unit: the docstring of the field, in Markdown."""


def describe_settings() -> tuple[SettingDescription, ...]:
    """Describe every setting, in the order of the fields of `Settings`.

    The docstrings of the fields are read from the source code, which must be at hand: this is for
    building documentation.

    Raises:
        OSError: If Python was installed without the source of this package.
    """
    module = ast.parse(inspect.getsource(_settings))
    spelled = _aliases(module)
    defaults = {field.name: repr(field.default) for field in fields(Settings)}
    return tuple(
        SettingDescription(
            name=name,
            type=re.sub(r"\w+", lambda word: spelled.get(word[0], word[0]), annotation),
            default=defaults[name],
            variables=_variables(name),
            text=text,
        )
        for name, annotation, text in _declarations(module)
    )


def _aliases(module: ast.Module) -> dict[str, str]:
    """Find the names that the module gives to types, and what they stand for."""
    return {
        ast.unparse(node.targets[0]): ast.unparse(node.value)
        for node in module.body
        if isinstance(node, ast.Assign)
    }


def _declarations(module: ast.Module) -> "Iterator[tuple[str, str, str]]":
    """Yield the name, the annotation and the docstring of each field."""
    (body,) = (node.body for node in module.body if isinstance(node, ast.ClassDef))
    for declared, text in pairwise(body):
        if isinstance(declared, ast.AnnAssign) and isinstance(text, ast.Expr):
            annotation = ast.unparse(declared.annotation).strip("'")
            docstring = inspect.cleandoc(ast.literal_eval(text.value))
            yield ast.unparse(declared.target), annotation, docstring


def _variables(name: str) -> tuple[str, ...]:
    from obskit.settings._rules import RULES, own_variable  # noqa: PLC0415 - for documentation only

    rule = RULES[name]
    own = () if rule.keyword_only else (own_variable(name),)
    return (*own, *(standard.variable for standard in rule.standards))
