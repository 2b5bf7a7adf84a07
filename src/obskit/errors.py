"""Every exception that obskit raises on purpose.

They are raised while you configure, declare or decorate, never while your program works, apart from
the misuse of a metric that prometheus_client refuses, too: missing labels, negative amounts of a
counter and unknown states are errors in the call. This is the tree::

    ObskitError
    ├── ConfigurationError (ValueError)      a setting is wrong
    │   └── UnknownSettingError              no such setting; names the nearest one
    ├── DeclarationError (ValueError)        a metric, operation or check is declared wrongly
    │   ├── InvalidNameError                 a metric or label name breaks the Prometheus rules
    │   ├── LabelError                       labels given do not match the labels declared
    │   └── DuplicateError                   the name is taken by something of another shape
    └── MissingExtraError (ImportError)      an optional dependency is not installed
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ConfigurationError",
    "DeclarationError",
    "DuplicateError",
    "InvalidNameError",
    "LabelError",
    "MissingExtraError",
    "ObskitError",
    "UnknownSettingError",
]

DISTRIBUTION = "obskit-instrumentation"


class ObskitError(Exception):
    """The root of the tree: catch it to catch everything obskit raises on purpose."""


class ConfigurationError(ObskitError, ValueError):
    """A setting has a wrong type or value, or a configuration file cannot be read."""


class UnknownSettingError(ConfigurationError):
    """A setting that does not exist.

    Args:
        name: The name as it was given.
        source: Where it was given, for people: ``keyword``, ``environment`` or a file's path.
        known: Every name that would have been right.
    """

    def __init__(self, name: str, source: str, known: "Iterable[str]") -> None:
        from difflib import get_close_matches  # noqa: PLC0415 - slow to import, seldom needed

        self.name = name
        self.source = source
        self.known: list[str] = sorted(known)
        close = get_close_matches(name, self.known, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(self.known)}"
        super().__init__(f"unknown setting {name!r} ({source}): {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.source, self.known)


class DeclarationError(ObskitError, ValueError):
    """A metric, an operation or a health check is declared wrongly."""


class InvalidNameError(DeclarationError):
    """A metric or label name that Prometheus would not accept."""


class LabelError(DeclarationError):
    """Labels that do not match what was declared."""


class DuplicateError(DeclarationError):
    """A name that is already taken by something of another shape."""


class MissingExtraError(ObskitError, ImportError):
    """An optional dependency is not installed.

    Args:
        feature: What needs it, for people.
        extra: The extra that brings it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        self.feature = feature
        self.extra = extra
        super().__init__(
            f"{feature} needs the extra {extra!r}: pip install '{DISTRIBUTION}[{extra}]'"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.feature, self.extra)
