"""One row per setting: its kind of value and where, besides keywords, it may come from."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import unquote

from obskit.settings import _kinds as kinds
from obskit.settings._kinds import Kind, choice, choice_or_provider
from obskit.settings._settings import LogFormat, LoggingMode, LogLevel, TracingMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "OBSKIT_"
"""What the names of obskit's own environment variables begin with."""


@dataclass(frozen=True, slots=True)
class Standard:
    """A standard environment variable that a setting falls back to."""

    variable: str
    """The variable's name."""

    kind: Kind
    """What it may hold."""

    extract: "Callable[[str], str]" = str
    """Takes the setting's part from the variable's text; empty when it says nothing about it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one setting is given."""

    kind: Kind
    """What values it takes."""

    standards: tuple[Standard, ...] = ()
    """The standard environment variables that it falls back to, the strongest first."""

    keyword_only: bool = False
    """Whether only a keyword can give it."""

    secret: bool = False
    """Whether its value must not be shown."""


def _attribute(*keys: str) -> Standard:
    """Fall back to the first of ``keys`` among the OpenTelemetry resource attributes."""

    def extract(text: str) -> str:
        pairs = (item.partition("=") for item in text.split(","))
        attributes = {key.strip(): unquote(value.strip()) for key, _, value in pairs}
        return next((attributes[key] for key in keys if attributes.get(key)), "")

    return Standard("OTEL_RESOURCE_ATTRIBUTES", kinds.TEXT, extract)


def _off_if_true(text: str) -> str:
    return "off" if text.strip().lower() == "true" else ""


def _words(literal: Any) -> dict[str | bool, str]:
    return {word: word for word in get_args(literal)}


_LOGGING = choice({**_words(LoggingMode), False: "off"})  # YAML reads a bare off as false
_LOG_LEVEL = choice({**_words(LogLevel), "warn": "warning", "fatal": "critical"})
_TRACING = choice_or_provider({**_words(TracingMode), True: "otlp", False: "off"})
_EXPORTER = choice({"otlp": "otlp", "console": "console", "none": "off"})

RULES: "Mapping[str, Rule]" = MappingProxyType(
    {
        "service": Rule(
            kinds.TEXT,
            (Standard("OTEL_SERVICE_NAME", kinds.TEXT), _attribute("service.name")),
        ),
        "version": Rule(kinds.TEXT, (_attribute("service.version"),)),
        "environment": Rule(
            kinds.TEXT, (_attribute("deployment.environment.name", "deployment.environment"),)
        ),
        "namespace": Rule(kinds.PREFIX),
        "logging": Rule(_LOGGING),
        "log_level": Rule(_LOG_LEVEL),
        "log_format": Rule(choice(_words(LogFormat))),
        "tracing": Rule(
            _TRACING,
            (
                Standard("OTEL_SDK_DISABLED", _TRACING, _off_if_true),
                Standard("OTEL_TRACES_EXPORTER", _EXPORTER, str.strip),
            ),
        ),
        "registry": Rule(kinds.REGISTRY, keyword_only=True),
        "max_series": Rule(kinds.POSITIVE_INTEGER),
        "workers_dir": Rule(kinds.DIRECTORY),
        "correlation_headers": Rule(kinds.HEADERS),
        "metrics_token": Rule(kinds.TOKEN, secret=True),
        "shutdown_timeout": Rule(kinds.DURATION),
    }
)


def own_variable(name: str) -> str:
    """Spell a setting as obskit's own environment variable."""
    return PREFIX + name.upper()
