"""Which source wins, and that every source is heard."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from obskit.errors import ConfigurationError
from obskit.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = CollectorRegistry()


@dataclass(frozen=True)
class Row:
    """One setting with a different value per source."""

    name: str
    keyword: Any
    environment: tuple[str, Any]
    file: Any
    default: Any


ROWS = [
    Row("service", "orders", ("billing", "billing"), "stock", "unknown_service"),
    Row("version", "1.0", ("2.0", "2.0"), "3.0", ""),
    Row("environment", "prod", ("staging", "staging"), "test", ""),
    Row("namespace", "shop", ("shop_2", "shop_2"), ":shop", ""),
    Row("logging", "own", ("off", "off"), "own", "auto"),
    Row("log_level", "debug", ("ERROR", "error"), "warning", "info"),
    Row("log_format", "json", ("console", "console"), "json", "auto"),
    Row("tracing", "off", ("console", "console"), "otlp", "auto"),
    Row("max_series", 10, ("20", 20), 30, 2000),
    Row("workers_dir", "/run/a", ("/run/b", "/run/b"), "/run/c", None),
    Row(
        "correlation_headers",
        ("X-A",),
        ("X-B, X-C", ("X-B", "X-C")),
        ["X-D"],
        ("X-Request-ID", "X-Correlation-ID"),
    ),
    Row("metrics_token", "k3y", ("3nv", "3nv"), "f1le", None),
    Row("shutdown_timeout", 1, ("2.5", 2.5), 0, 5.0),
]
KEYWORD_ONLY = {"registry"}

by_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def variable(row: Row) -> str:
    return f"OBSKIT_{row.name.upper()}"


def written(directory: "Path", row: Row) -> "Path":
    path = directory / "obskit.yaml"
    path.write_text(json.dumps({row.name: row.file}), encoding="utf-8")
    return path


def same(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def test_the_table_covers_every_setting() -> None:
    assert {row.name for row in ROWS} | KEYWORD_ONLY == {field.name for field in fields(Settings)}


@by_row
def test_default_when_nobody_gives_a_value(row: Row) -> None:
    assert getattr(load_settings(environ={}), row.name) == row.default


@by_row
def test_file_wins_over_default(row: Row, tmp_path: "Path") -> None:
    settings = load_settings(environ={}, file=written(tmp_path, row))
    assert getattr(settings, row.name) == same(row.file)


@by_row
def test_environment_wins_over_file(row: Row, tmp_path: "Path") -> None:
    text, value = row.environment
    settings = load_settings(environ={variable(row): text}, file=written(tmp_path, row))
    assert getattr(settings, row.name) == value


@by_row
def test_keyword_wins_over_environment_and_file(row: Row, tmp_path: "Path") -> None:
    settings = load_settings(
        environ={variable(row): row.environment[0]},
        file=written(tmp_path, row),
        **{row.name: row.keyword},
    )
    assert getattr(settings, row.name) == row.keyword


@by_row
def test_empty_variable_counts_as_unset(row: Row) -> None:
    assert load_settings(environ={variable(row): ""}) == load_settings(environ={})


def test_a_stronger_source_hides_a_wrong_value_below_it() -> None:
    assert load_settings(environ={"OBSKIT_MAX_SERIES": "many"}, max_series=1).max_series == 1
    traces = {"OTEL_TRACES_EXPORTER": "zipkin", "OBSKIT_TRACING": "off"}
    assert load_settings(environ=traces).tracing == "off"


RESOURCE = (
    "service.name=from%20resource, service.version = 7 ,junk,,"
    "deployment.environment=old,deployment.environment.name=new"
)


@pytest.mark.parametrize(
    ("environ", "name", "expected"),
    [
        ({"OTEL_SERVICE_NAME": "a"}, "service", "a"),
        ({"OTEL_SERVICE_NAME": "a", "OBSKIT_SERVICE": "b"}, "service", "b"),
        ({"OTEL_SERVICE_NAME": "a", "OTEL_RESOURCE_ATTRIBUTES": RESOURCE}, "service", "a"),
        ({"OTEL_SERVICE_NAME": "", "OTEL_RESOURCE_ATTRIBUTES": "service.name=b"}, "service", "b"),
        ({"OTEL_RESOURCE_ATTRIBUTES": RESOURCE}, "service", "from resource"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name="}, "service", "unknown_service"),
        ({"OTEL_RESOURCE_ATTRIBUTES": RESOURCE}, "version", "7"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.version=a=b"}, "version", "a=b"),
        ({"OTEL_RESOURCE_ATTRIBUTES": RESOURCE}, "environment", "new"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=old"}, "environment", "old"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "tracing", "otlp"),
        ({"OTEL_TRACES_EXPORTER": " Console "}, "tracing", "console"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "tracing", "off"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "TRUE"}, "tracing", "off"),
        ({"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_SDK_DISABLED": "true"}, "tracing", "off"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "false"}, "tracing", "otlp"),
        ({"OTEL_SDK_DISABLED": "1"}, "tracing", "auto"),
        ({"OTEL_SDK_DISABLED": "true", "OBSKIT_TRACING": "otlp"}, "tracing", "otlp"),
    ],
)
def test_standard_variables(environ: dict[str, str], name: str, expected: str) -> None:
    """What OpenTelemetry's variables say is heard, below obskit's own."""
    assert getattr(load_settings(environ=environ), name) == expected


def test_standard_variable_wins_over_file(tmp_path: "Path") -> None:
    path = tmp_path / "obskit.yaml"
    path.write_text("service: stock", encoding="utf-8")
    environ = {"OTEL_SERVICE_NAME": "billing"}
    assert load_settings(environ=environ, file=path).service == "billing"


@pytest.mark.parametrize("exporter", ["zipkin", "otlp,console", "auto", "off"])
def test_unsupported_exporter_is_named(exporter: str) -> None:
    """An exporter that obskit has none for is refused, with those that it has."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ={"OTEL_TRACES_EXPORTER": exporter})
    assert str(caught.value) == (
        "setting 'tracing' (environment variable OTEL_TRACES_EXPORTER): "
        f"expected one of otlp, console, none, not {exporter!r}"
    )


def test_environment_is_read_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable set after the import is seen; one removed since is not."""
    monkeypatch.setenv("OBSKIT_SERVICE", "orders")
    assert load_settings().service == "orders"
    monkeypatch.delenv("OBSKIT_SERVICE")
    assert load_settings(environ=os.environ) == load_settings()


def test_import_reads_no_environment() -> None:
    """A wrong environment does not disturb an import, only a load."""
    subprocess.run(
        [sys.executable, "-c", "import obskit.settings"],
        env={"OBSKIT_MAX_SERIES": "many", "OBSKIT_FILE": "/nowhere.yaml"},
        check=True,
    )


def test_equal_when_all_fields_are_equal() -> None:
    keywords: dict[str, Any] = {
        "service": "orders",
        "registry": REGISTRY,
        "correlation_headers": ["X-A"],
    }
    assert load_settings(environ={}, **keywords) == load_settings(environ={}, **keywords)
    assert load_settings(environ={}, **keywords) != load_settings(environ={}, service="orders")
    assert load_settings(environ={}, registry=REGISTRY) != load_settings(
        environ={}, registry=CollectorRegistry()
    )
