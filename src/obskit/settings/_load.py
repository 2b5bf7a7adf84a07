"""Bringing the sources together: keyword, environment, file, default."""

import os
from collections import ChainMap
from typing import TYPE_CHECKING, Any

from obskit.settings._settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obskit.settings._sources import Given


def load_settings(
    *,
    file: "str | os.PathLike[str] | None" = None,
    environ: "Mapping[str, str] | None" = None,
    **keywords: Any,
) -> Settings:
    """Gather the settings: keyword, then environment, then file, then default.

    In the environment a setting's own variable (``OBSKIT_`` and the name in capitals) comes before
    the standard ``OTEL_*`` ones, and an empty variable counts as unset. What is overridden is not
    checked; the names of settings always are.

    Args:
        file: A settings file, YAML or TOML with a table ``[tool.obskit]``. Without it, the one
            that the environment variable ``OBSKIT_FILE`` names, if any.
        environ: The environment to read; ``os.environ`` as it is now by default.
        keywords: Settings by name: the fields of `Settings`.

    Returns:
        Checked and complete settings.

    Raises:
        ConfigurationError: If a value is wrong, or the file cannot be read or parsed.
        UnknownSettingError: If a keyword, an ``OBSKIT_*`` variable or an entry of the file is no
            setting.
        MissingExtraError: If the file is YAML and no YAML library is installed.
    """
    from obskit.settings import _sources as sources  # noqa: PLC0415 - needed by configure only
    from obskit.settings._rules import RULES  # noqa: PLC0415 - the same

    variables = os.environ if environ is None else environ
    named = (variables.get(sources.FILE_VARIABLE) or None) if file is None else file
    given: ChainMap[str, Given] = ChainMap(
        sources.from_keywords(keywords),
        sources.from_environment(variables),
        sources.from_standards(variables),
        sources.from_file(named),
    )
    return Settings(**{name: given[name].resolve() for name in RULES if name in given})
