"""Files of settings: YAML with the settings at the top, or TOML with a table ``[tool.obskit]``."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from obskit.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

_FORMATS = {".yaml": "YAML", ".yml": "YAML", ".toml": "TOML"}


def read_file(file: "str | os.PathLike[str]") -> "Mapping[object, object]":
    """Read the settings in a file, unchecked.

    Args:
        file: Its path; the suffix says its format.

    Raises:
        ConfigurationError: If it cannot be read or parsed, or holds no mapping.
        MissingExtraError: If it is YAML and no YAML library is installed.
    """
    try:
        path = Path(file)
    except TypeError:
        raise ConfigurationError(
            "setting 'file': expected the path of a file, "
            f"not a value of type {type(file).__name__}"
        ) from None
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ConfigurationError(
            f"settings file {path}: its name must end in {', '.join(_FORMATS)}"
        )
    return _parse(path, kind, _read(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"settings file {path} cannot be read ({getattr(error, 'strerror', None) or error}): "
            "name a readable file with file= or OBSKIT_FILE"
        ) from error


def _parse(path: Path, kind: str, content: bytes) -> "Mapping[object, object]":
    found = _yaml(path, content) if kind == "YAML" else _table(path, content)
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"settings file {path} holds a value of type {type(found).__name__} where a mapping of "
            "setting names to values is expected: write lines such as "
            + ("service: orders" if kind == "YAML" else 'service = "orders" under [tool.obskit]')
        )
    return cast("Mapping[object, object]", found)


def _yaml(path: Path, content: bytes) -> object:
    try:
        import yaml  # noqa: PLC0415 - an extra, needed only by those who name a YAML file
    except ImportError:
        raise MissingExtraError(f"reading the settings file {path}", "yaml") from None
    try:
        found = yaml.safe_load(BytesIO(content))
    except Exception as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else type(error).__name__
        raise _malformed(path, "YAML", place) from None
    return {} if found is None else found


def _table(path: Path, content: bytes) -> object:
    import tomllib  # noqa: PLC0415 - needed only by those who name a TOML file

    try:
        document: dict[str, Any] = tomllib.load(BytesIO(content))
    except Exception as error:
        raise _malformed(path, "TOML", str(error)) from None
    tool = document.get("tool")
    if not isinstance(tool, dict) or "obskit" not in tool:
        raise ConfigurationError(
            f"settings file {path} has no table [tool.obskit]: add it, with the settings below it"
        )
    return cast("dict[str, object]", tool)["obskit"]


def _malformed(path: Path, kind: str, reason: str) -> ConfigurationError:
    """Say where, never what: the text around a mistake may hold a secret."""
    return ConfigurationError(
        f"settings file {path} is not valid {kind} ({reason}): correct its syntax"
    )
