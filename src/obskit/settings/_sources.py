"""Where settings come from: each source yields the values it gives, by setting, unchecked."""

import os
import reprlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from obskit.errors import ConfigurationError, UnknownSettingError
from obskit.settings._file import read_file
from obskit.settings._rules import PREFIX, RULES, own_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from obskit.settings._kinds import Kind

FILE = "file"
FILE_VARIABLE = own_variable(FILE)
"""Names the settings file when no keyword does."""

_SETTING_BY_VARIABLE = {own_variable(name): name for name in RULES}


@dataclass(frozen=True, slots=True)
class Given:
    """A value that one source gives for one setting."""

    name: str
    """The setting's name."""

    value: object = field(repr=False)
    """The value as it was given: it may be wrong, or a secret."""

    source: str
    """Who gave it, for people."""

    kind: "Kind"
    """What it is checked against."""

    textual: bool = False
    """Whether it is text that stands for the value."""

    def resolve(self) -> Any:
        """Check and normalise the value.

        Raises:
            ConfigurationError: If it is of the wrong type or out of range.
        """
        try:
            return self.kind.parse(str(self.value)) if self.textual else self.kind.check(self.value)
        except Exception:
            raise ConfigurationError(
                f"setting {self.name!r} ({self.source}): "
                f"expected {self.kind.expected}, not {self._shown()}"
            ) from None

    def _shown(self) -> str:
        by_type = f"the {type(self.value).__name__} given"
        if RULES[self.name].secret:
            return by_type
        try:
            return reprlib.repr(self.value)
        except Exception:
            return by_type


def from_keywords(keywords: "Mapping[str, object]") -> dict[str, Given]:
    """Take what keyword arguments give.

    Raises:
        UnknownSettingError: If one of them is no setting.
    """
    _refuse_unknown(keywords, "keyword", [*RULES, FILE])
    return {
        name: Given(name, value, "keyword", RULES[name].kind) for name, value in keywords.items()
    }


def from_environment(environ: "Mapping[str, str]") -> dict[str, Given]:
    """Take what obskit's own environment variables give; an empty one gives nothing.

    Raises:
        UnknownSettingError: If a variable has obskit's prefix but is no setting.
        ConfigurationError: If a variable is for a setting that only a keyword can give.
    """
    own = {variable: text for variable, text in environ.items() if variable.startswith(PREFIX)}
    texts = {variable: text for variable, text in own.items() if text}
    _refuse_unknown(texts, "environment", [*_SETTING_BY_VARIABLE, FILE_VARIABLE])
    return _refuse_keyword_only(
        {
            name: _from_variable(name, variable, texts[variable], RULES[name].kind)
            for variable, name in _SETTING_BY_VARIABLE.items()
            if variable in texts
        }
    )


def from_standards(environ: "Mapping[str, str]") -> dict[str, Given]:
    """Take what the standard environment variables give; an empty one gives nothing."""
    found: dict[str, Given] = {}
    for name, rule in RULES.items():
        for standard in rule.standards:
            text = standard.extract(environ.get(standard.variable, ""))
            if text:
                found.setdefault(name, _from_variable(name, standard.variable, text, standard.kind))
    return found


def from_file(file: "str | os.PathLike[str] | None") -> dict[str, Given]:
    """Take what a settings file gives; nothing when there is none.

    Raises:
        ConfigurationError: If the file cannot be read or parsed, or names a setting that only a
            keyword can give.
        MissingExtraError: If it is YAML and no YAML library is installed.
        UnknownSettingError: If it names something that is no setting.
    """
    if file is None:
        return {}
    values = read_file(file)
    source = f"file {os.fspath(file)}"
    _refuse_unknown(values, source, RULES)
    return _refuse_keyword_only(
        {
            name: Given(name, values[name], source, rule.kind)
            for name, rule in RULES.items()
            if name in values
        }
    )


def _from_variable(name: str, variable: str, text: str, kind: "Kind") -> Given:
    return Given(name, text, f"environment variable {variable}", kind, textual=True)


def _refuse_unknown(names: "Iterable[object]", source: str, known: "Iterable[str]") -> None:
    known = frozenset(known)
    for name in names:
        if not isinstance(name, str):
            raise ConfigurationError(
                f"the name of a setting is text, not {type(name).__name__} ({source}): quote it"
            )
        if name not in known:
            raise UnknownSettingError(name, source, known)


def _refuse_keyword_only(given: dict[str, Given]) -> dict[str, Given]:
    for one in given.values():
        if RULES[one.name].keyword_only:
            raise ConfigurationError(
                f"setting {one.name!r} ({one.source}): only the keyword {one.name}= can give it"
            )
    return given
