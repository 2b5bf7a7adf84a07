"""The reference of the settings says what the code does."""

from dataclasses import fields

import pytest

from obskit.settings import SettingDescription, Settings, describe_settings, load_settings

DESCRIPTIONS = describe_settings()
BY_NAME = {description.name: description for description in DESCRIPTIONS}


def test_every_setting_is_described_in_order() -> None:
    assert [field.name for field in fields(Settings)] == [one.name for one in DESCRIPTIONS]


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda one: one.name)
def test_text_begins_with_a_sentence(description: SettingDescription) -> None:
    summary = description.text.split("\n\n")[0]
    assert summary[:1].isupper()
    assert summary.endswith(".")


def test_defaults_are_the_defaults() -> None:
    settings = load_settings(environ={})
    assert {one.name: one.default for one in DESCRIPTIONS} == {
        field.name: repr(getattr(settings, field.name)) for field in fields(Settings)
    }


VALUES = {"namespace": "a", "logging": "own", "log_level": "error", "log_format": "json"}
VALUES |= {"tracing": "console", "OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}
VALUES |= {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,service.version=1,deployment.environment=a"}


@pytest.mark.parametrize(
    ("name", "variable"),
    [(one.name, variable) for one in DESCRIPTIONS for variable in one.variables],
)
def test_variables_give_the_setting(name: str, variable: str) -> None:
    """Every variable that is listed is one that is heard."""
    text = VALUES.get(variable, VALUES.get(name, "1"))
    given = getattr(load_settings(environ={variable: text}), name)
    assert given != getattr(load_settings(environ={}), name)


@pytest.mark.parametrize(
    ("name", "type_", "variables"),
    [
        ("registry", "CollectorRegistry | None", ()),
        ("max_series", "int", ("OBSKIT_MAX_SERIES",)),
        (
            "service",
            "str",
            ("OBSKIT_SERVICE", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"),
        ),
        (
            "tracing",
            "Literal['auto', 'otlp', 'console', 'off'] | TracerProvider",
            ("OBSKIT_TRACING", "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"),
        ),
    ],
)
def test_types_and_variables(name: str, type_: str, variables: tuple[str, ...]) -> None:
    """Types are spelled out; variables are in the order in which they win."""
    assert (BY_NAME[name].type, BY_NAME[name].variables) == (type_, variables)
