"""What each setting accepts and how it refuses the rest."""

import string
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.trace import NoOpTracerProvider
from prometheus_client import CollectorRegistry

from obskit.errors import ConfigurationError, UnknownSettingError
from obskit.settings import Settings, load_settings

NAMES = sorted(field.name for field in fields(Settings))
SECRET = "s3cr3t-plant3d"

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates()
)
junk = st.recursive(
    scalars | st.builds(object) | st.sampled_from([len, int, CollectorRegistry]),
    lambda inner: (
        st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner) | st.sets(st.text())
    ),
    max_leaves=5,
)


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError(SECRET)


class Unbound:
    """Fails at any attribute, as a proxy does that is not bound to anything."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


def load(**keywords: Any) -> Settings:
    return load_settings(environ={}, **keywords)


def refusal(environ: dict[str, str], **keywords: Any) -> str | None:
    """The text of the ConfigurationError that these raise, if they do."""
    try:
        load_settings(environ=environ, **keywords)
    except ConfigurationError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("namespace", "", ""),
        ("namespace", "_a:b9", "_a:b9"),
        ("log_level", "WARN", "warning"),
        ("log_level", "Fatal", "critical"),
        ("log_level", "CRITICAL", "critical"),
        ("logging", False, "off"),
        ("tracing", True, "otlp"),
        ("tracing", False, "off"),
        ("max_series", 1, 1),
        ("correlation_headers", ["a!#$%&'*+-.^_`|~9"], ("a!#$%&'*+-.^_`|~9",)),
        ("metrics_token", "aZ9-._~+/==", "aZ9-._~+/=="),
        ("metrics_token", None, None),
        ("workers_dir", Path("/run/shop"), "/run/shop"),
        ("workers_dir", None, None),
        ("shutdown_timeout", 0, 0.0),
    ],
)
def test_accepted_and_normalised(name: str, value: object, expected: object) -> None:
    actual = getattr(load(**{name: value}), name)
    assert (actual, type(actual)) == (expected, type(expected))


def test_objects_are_kept_as_they_are() -> None:
    """A tracer provider and a registry come through by identity."""
    provider, registry = NoOpTracerProvider(), CollectorRegistry()
    settings = load(tracing=provider, registry=registry)
    assert settings.tracing is provider
    assert settings.registry is registry
    assert load(registry=None).registry is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("service", None),
        ("service", 3),
        ("service", "lone surrogate \ud800"),
        ("service", Unprintable()),
        ("version", 1.0),
        ("environment", ["prod"]),
        ("namespace", "9lives"),
        ("namespace", "a-b"),
        ("namespace", "a\n"),
        ("namespace", None),
        ("logging", True),
        ("logging", 0),
        ("logging", ["own"]),
        ("log_level", "loud"),
        ("log_level", 10),
        ("log_format", "xml"),
        ("log_format", False),
        ("tracing", "zipkin"),
        ("tracing", None),
        ("tracing", 1),
        ("tracing", NoOpTracerProvider),
        pytest.param("tracing", Unbound(), id="tracing-unbound"),
        ("registry", CollectorRegistry),
        ("registry", "default"),
        ("max_series", 0),
        ("max_series", -1),
        ("max_series", True),
        ("max_series", 2.0),
        ("max_series", "5"),
        ("correlation_headers", []),
        ("correlation_headers", ()),
        ("correlation_headers", "X-Request-ID"),
        ("correlation_headers", ["X Request"]),
        ("correlation_headers", ["X-A\n"]),
        ("correlation_headers", [""]),
        ("correlation_headers", [3]),
        ("correlation_headers", {"X-A"}),
        *(
            ("correlation_headers", ["X-A", name])
            for name in (
                *("Content-Length", "transfer-encoding", "CONNECTION", "Content-Type", "Host"),
                *("Set-Cookie", "Date", "Server", "Authorization", "Cookie", "traceparent"),
            )
        ),
        ("metrics_token", ""),
        ("metrics_token", "two words"),
        ("metrics_token", "a=b"),
        ("metrics_token", "clé"),
        ("metrics_token", b"bytes"),
        ("shutdown_timeout", -0.1),
        ("shutdown_timeout", float("nan")),
        ("shutdown_timeout", float("inf")),
        ("shutdown_timeout", 10**400),
        ("shutdown_timeout", False),
        ("shutdown_timeout", "5"),
        ("shutdown_timeout", None),
        ("workers_dir", ""),
        ("workers_dir", "a\0b"),
        ("workers_dir", b"/run"),
        ("workers_dir", 7),
    ],
)
def test_refused(name: str, value: object) -> None:
    """A wrong value is refused by an error that names the setting and its source."""
    with pytest.raises(ConfigurationError, match=rf"^setting '{name}' \(keyword\): expected "):
        load(**{name: value})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"OBSKIT_MAX_SERIES": "many"},
            (
                "setting 'max_series' (environment variable OBSKIT_MAX_SERIES): "
                "expected a whole number above 0, not 'many'"
            ),
        ),
        (
            {"OBSKIT_SHUTDOWN_TIMEOUT": "nan"},
            (
                "setting 'shutdown_timeout' (environment variable OBSKIT_SHUTDOWN_TIMEOUT): "
                "expected a finite number of seconds, 0 or more, not 'nan'"
            ),
        ),
        (
            {"OBSKIT_CORRELATION_HEADERS": "X-A,"},
            (
                "setting 'correlation_headers' (environment variable OBSKIT_CORRELATION_HEADERS): "
                "expected a list of one or more HTTP header names that mean nothing else "
                "(unlike Content-Length), not 'X-A,'"
            ),
        ),
        (
            {"OBSKIT_LOG_LEVEL": "loud"},
            (
                "setting 'log_level' (environment variable OBSKIT_LOG_LEVEL): expected one of "
                "debug, info, warning, error, critical, warn, fatal, not 'loud'"
            ),
        ),
        (
            {"OBSKIT_REGISTRY": "default"},
            (
                "setting 'registry' (environment variable OBSKIT_REGISTRY): "
                "only the keyword registry= can give it"
            ),
        ),
    ],
)
def test_environment_error_says_it_all(environ: dict[str, str], message: str) -> None:
    """The variable, the setting, what is expected and what was found."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ=environ)
    assert str(caught.value) == message


@given(name=st.sampled_from(NAMES), value=junk)
@example(name="service", value=10**5000)
def test_junk_keywords_raise_nothing_else(name: str, value: object) -> None:
    """Any value is either taken or refused by a ConfigurationError that names the setting."""
    message = refusal({}, **{name: value})
    assert message is None or f"{name!r} (keyword)" in message


@given(name=st.sampled_from(NAMES), text=st.text(min_size=1))
@example(name="max_series", text="9" * 5000)
@example(name="service", text="\udcff")
def test_junk_variables_raise_nothing_else(name: str, text: str) -> None:
    """Any text is either taken or refused by a ConfigurationError that names the variable."""
    variable = f"OBSKIT_{name.upper()}"
    message = refusal({variable: text})
    assert message is None or f"variable {variable})" in message


@given(text=st.text())
def test_junk_resource_attributes_are_passed_over(text: str) -> None:
    """The variable is not obskit's own: what it does not understand there is nobody's mistake."""
    assert refusal({"OTEL_RESOURCE_ATTRIBUTES": text}) is None


@given(value=st.integers(min_value=1))
def test_whole_numbers_round_trip_through_the_environment(value: int) -> None:
    assert load_settings(environ={"OBSKIT_MAX_SERIES": str(value)}).max_series == value


@given(name=st.text().filter(lambda name: name not in {*NAMES, "file", "environ"}))
def test_unknown_keywords(name: str) -> None:
    with pytest.raises(UnknownSettingError) as caught:
        load(**{name: "value"})
    assert (caught.value.name, caught.value.source) == (name, "keyword")


@given(
    name=st.text(string.ascii_letters + "_").filter(
        lambda name: name not in {"FILE", *map(str.upper, NAMES)}
    )
)
def test_unknown_variables(name: str) -> None:
    """Any other variable with obskit's prefix is a mistake."""
    with pytest.raises(UnknownSettingError) as caught:
        load_settings(environ={f"OBSKIT_{name}": "value"})
    assert (caught.value.name, caught.value.source) == (f"OBSKIT_{name}", "environment")


@pytest.mark.parametrize(
    ("keywords", "environ", "suggestion"),
    [
        ({"servce": "a"}, {}, "unknown setting 'servce' (keyword): did you mean 'service'?"),
        ({"fille": "a"}, {}, "unknown setting 'fille' (keyword): did you mean 'file'?"),
        (
            {},
            {"OBSKIT_LOGLEVEL": "a"},
            "unknown setting 'OBSKIT_LOGLEVEL' (environment): did you mean 'OBSKIT_LOG_LEVEL'?",
        ),
    ],
)
def test_unknown_names_come_with_a_suggestion(
    keywords: dict[str, Any], environ: dict[str, str], suggestion: str
) -> None:
    with pytest.raises(UnknownSettingError) as caught:
        load_settings(environ=environ, **keywords)
    assert str(caught.value) == suggestion


def test_variables_of_others_are_left_alone() -> None:
    assert load_settings(environ={"OBSKITX": "a", "obskit_service": "b"}) == load()


def test_secret_is_not_in_the_repr() -> None:
    assert SECRET not in repr(load(metrics_token=SECRET))


@pytest.mark.parametrize(
    "value", [f"{SECRET} é", f"{SECRET}\udcff", [SECRET], SECRET.encode(), {SECRET: SECRET}]
)
def test_secret_is_not_in_the_error(value: object) -> None:
    """A refused token is described by its type, in the error and in what it was raised from."""
    with pytest.raises(ConfigurationError) as caught:
        load(metrics_token=value)
    assert f"not the {type(value).__name__} given" in str(caught.value)
    assert SECRET not in f"{caught.value!r} {caught.value.__context__}"
    assert caught.value.__suppress_context__


def test_secret_variable_is_not_in_the_error() -> None:
    with pytest.raises(ConfigurationError, match="OBSKIT_METRICS_TOKEN") as caught:
        load_settings(environ={"OBSKIT_METRICS_TOKEN": f"{SECRET} {SECRET}"})
    assert SECRET not in str(caught.value)


def test_settings_are_frozen_and_slotted() -> None:
    settings = load()
    with pytest.raises(FrozenInstanceError):
        settings.service = "other"  # type: ignore[misc] # what is tested
    assert not hasattr(settings, "__dict__")
