"""Importing obskit does nothing: that is what `configure` is for."""

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

MODULES = [
    "obskit",
    "obskit.asgi",
    "obskit.health",
    "obskit.metrics",
    "obskit.instruments.http",
    "obskit.wsgi",
]


def after(program: str, **environment: str) -> Any:
    """Run a program in a fresh interpreter and return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "", **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", MODULES)
def test_nothing_of_others_is_loaded(module: str) -> None:
    """Neither the SDK nor any framework: only what the API needs."""
    loaded = after(
        f"""
        import json, sys
        import {module}
        print(json.dumps(sorted(sys.modules)))
        """
    )
    heavy = {
        *("opentelemetry.sdk", "opentelemetry.exporter", "fastapi", "starlette", "celery"),
        *("sqlalchemy", "redis", "httpx", "requests", "uvicorn", "pytest", "yaml"),
    }
    assert heavy.intersection(loaded) == set()
    assert module in loaded


def test_what_is_needed_later_is_imported_later() -> None:
    """A program that only decorates pays for nothing else: `configure` or the first use does."""
    loaded = after(
        """
        import json, sys
        import obskit

        @obskit.observe("work", channel="web")
        def work():
            return 1

        work()
        print(json.dumps(sorted(sys.modules)))
        """
    )
    later = {
        *("structlog", "rich", "asyncio", "wrapt", "concurrent.futures", "queue"),
        *("opentelemetry.baggage", "opentelemetry.trace.propagation.tracecontext"),
        *("obskit.asgi", "obskit.health", "obskit.instruments"),
        *("obskit.settings._rules", "obskit.tracing._deadline", "obskit.operation._layer"),
    }
    needed = after(
        """
        import json, sys
        import opentelemetry.trace, prometheus_client
        print(json.dumps(sorted(sys.modules)))
        """
    )
    assert later.intersection(loaded) - set(needed) == set()


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_installed_started_or_registered(module: str) -> None:
    found = after(
        f"""
        import atexit, json, logging, signal, sys, threading
        import prometheus_client, structlog, opentelemetry.trace
        registered = []
        register = atexit.register
        atexit.register = lambda f, *a, **k: registered.append(repr(f)) or register(f, *a, **k)
        hooks = (sys.excepthook, threading.excepthook, sys.get_asyncgen_hooks())
        families = len(list(prometheus_client.REGISTRY.collect()))
        import {module}
        print(json.dumps({{
            "root handlers": len(logging.root.handlers),
            "root level": logging.root.level,
            "handlers": sum(
                len(logger.handlers)
                for name, logger in logging.Logger.manager.loggerDict.items()
                if name.startswith("obskit") and isinstance(logger, logging.Logger)
            ),
            "structlog": structlog.is_configured(),
            "threads": threading.active_count(),
            "families": len(list(prometheus_client.REGISTRY.collect())) - families,
            "hooks": hooks == (sys.excepthook, threading.excepthook, sys.get_asyncgen_hooks()),
            "provider": type(opentelemetry.trace._TRACER_PROVIDER).__name__,
            "signals": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
            "obskit at exit": [name for name in registered if "obskit" in name],
        }}))
        """
    )
    assert found == {
        "root handlers": 0,
        "root level": 30,
        "handlers": 0,
        "structlog": False,
        "threads": 1,
        "families": 0,
        "hooks": True,
        "provider": "NoneType",
        "signals": True,
        "obskit at exit": [],
    }


def test_the_environment_is_read_by_configure_and_not_before() -> None:
    """A misspelt variable is an error of the configuration, not of the import."""
    found = after(
        """
        import json
        import obskit
        from obskit.runtime import active_runtime

        @obskit.observe
        def work():
            return active_runtime().settings.service

        service = work()
        try:
            obskit.configure()
        except obskit.ObskitError as error:
            print(json.dumps([service, type(error).__name__, str(error)]))
        """,
        OBSKIT_SERVCE="x",
        OBSKIT_MAX_SERIES="many",
        OTEL_SERVICE_NAME="from-the-environment",
    )
    assert found[:2] == ["unknown_service", "UnknownSettingError"]
    assert "SERVCE" in found[2]


def test_the_pytest_plugin_does_not_import_obskit() -> None:
    loaded = after(
        """
        import json, sys
        import pytest_obskit
        print(json.dumps(sorted(sys.modules)))
        """
    )
    assert [name for name in loaded if name.split(".")[0] in ("obskit", "prometheus_client")] == []
