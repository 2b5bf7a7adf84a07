"""Where spans go, and whose provider it is."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

import obskit
from obskit._guard import guard
from obskit.errors import MissingExtraError
from obskit.tracing import _setup as module
from obskit.tracing import host_provider


@pytest.fixture(autouse=True)
def _fresh_global(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's global provider can be set once in a process; here, once in a test."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())


class Recorder:
    """A provider of the host's."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.exporter.get_finished_spans()]


@pytest.fixture
def host() -> Recorder:
    return Recorder()


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Where ``tracing="console"`` sends spans in this test."""
    recorder = Recorder()
    monkeypatch.setitem(
        module._PROCESSORS, "console", lambda: SimpleSpanProcessor(recorder.exporter)
    )
    return recorder


def work(name: str) -> None:
    with obskit.observe(name):
        pass


def test_off_makes_no_spans_even_with_a_provider_of_the_host_s(host: Recorder) -> None:
    trace.set_tracer_provider(host.provider)
    assert obskit.configure(tracing="off", logging="off").tracing is None
    work("a")
    assert host.names == []


def test_auto_without_a_provider_is_off() -> None:
    assert obskit.configure(tracing="auto", logging="off").tracing is None
    assert host_provider() is None


@pytest.mark.parametrize("mode", ["auto", "otlp", "console"])
def test_the_host_s_provider_is_used_and_left_alone(host: Recorder, mode: str) -> None:
    trace.set_tracer_provider(host.provider)
    with obskit.configure(tracing=mode, logging="off"):
        work("a")
    assert trace.get_tracer_provider() is host.provider
    with host.provider.get_tracer("host").start_as_current_span("still works"):
        pass
    assert host.names == ["a", "still works"]


def test_a_provider_given_is_used_and_not_shut_down(host: Recorder) -> None:
    with obskit.configure(tracing=host.provider, logging="off") as runtime:
        runtime.flush()
        work("a")
    with host.provider.get_tracer("host").start_as_current_span("still works"):
        pass
    assert host.names == ["a", "still works"]
    assert host_provider() is None


def test_a_provider_that_does_nothing_is_none_of_the_host_s() -> None:
    trace.set_tracer_provider(trace.NoOpTracerProvider())
    assert obskit.configure(tracing="auto", logging="off").tracing is None


def test_ours_becomes_the_global_one(console: Recorder) -> None:
    obskit.configure(tracing="console", logging="off")
    with obskit.observe("ours"), trace.get_tracer("host").start_as_current_span("theirs"):
        pass
    assert console.names == ["theirs", "ours"]
    theirs, ours = console.exporter.get_finished_spans()
    assert theirs.parent is not None
    assert theirs.parent.span_id == ours.context.span_id
    assert host_provider() is None


def test_configuring_again_after_undo_works(console: Recorder) -> None:
    """The global can be set once; a second provider of ours must not depend on it."""
    with obskit.configure(tracing="console", logging="off"):
        work("a")
    console.exporter._stopped = False  # the first runtime has ended it
    with obskit.configure(tracing="console", logging="off", service="again"):
        work("b")
    assert console.names == ["a", "b"]
    obskit.configure(tracing="auto", logging="off")
    work("c")
    assert console.names == ["a", "b"]


def test_the_resource(console: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=pay,service.version=0")
    obskit.configure(
        tracing="console", logging="off", service="shop", version="1.2", environment="test"
    )
    work("a")
    (span,) = console.exporter.get_finished_spans()
    assert (
        dict(span.resource.attributes).items()
        >= {
            "service.name": "shop",
            "service.version": "1.2",
            "deployment.environment.name": "test",
            "team": "pay",
        }.items()
    )


def test_empty_names_are_no_attributes(console: Recorder) -> None:
    obskit.configure(tracing="console", logging="off", service="shop")
    work("a")
    (span,) = console.exporter.get_finished_spans()
    assert "service.version" not in span.resource.attributes
    assert "deployment.environment.name" not in span.resource.attributes


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "console"}, "off"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "off"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
    ],
)
def test_the_standard_variables(
    monkeypatch: pytest.MonkeyPatch, console: Recorder, environment: dict[str, str], mode: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert obskit.configure(logging="off").settings.tracing == mode
    work("a")
    assert console.names == (["a"] if mode == "console" else [])


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingExtraError, match=r"obskit-instrumentation\[otlp\]"):
        obskit.configure(tracing="otlp", logging="off")
    assert host_provider() is None
    work("goes on")


class Hanging(SpanExporter):
    def __init__(self) -> None:
        self.release = threading.Event()

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.release.wait(30)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    exporter = Hanging()
    monkeypatch.setitem(module._PROCESSORS, "console", lambda: SimpleSpanProcessor(exporter))
    yield exporter
    exporter.release.set()


@pytest.mark.usefixtures("hanging")
def test_a_back_end_that_hangs_does_not_hold_up_the_end() -> None:
    with guard.recording() as faults:
        obskit.configure(tracing="console", logging="off", shutdown_timeout=0.05)
        began = time.monotonic()
        obskit.shutdown()
        assert time.monotonic() - began < 5
    assert [(site, type(error)) for site, error in faults] == [("tracing.shutdown", TimeoutError)]


class Failing(InMemorySpanExporter):
    def shutdown(self) -> None:
        raise OSError("no route to host")


def test_a_back_end_that_fails_at_the_end_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._PROCESSORS, "console", lambda: SimpleSpanProcessor(Failing()))
    with guard.recording() as faults:
        obskit.configure(tracing="console", logging="off")
        obskit.shutdown()
    assert [site for site, _ in faults] == ["tracing.shutdown"]


# Whole programs


def run(source: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("mode", ["off", "auto"])
def test_the_sdk_is_not_imported_unless_spans_are_made(mode: str) -> None:
    done = run(
        "import sys, obskit\n"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry.sdk')]\n"
        f"obskit.configure(tracing={mode!r})\n"
        "with obskit.observe('a'): pass\n"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry.sdk')]\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_console_spans_are_on_stderr_and_lines_on_stdout() -> None:
    done = run(
        "import obskit\n"
        "obskit.configure(tracing='console', service='shop')\n"
        "with obskit.observe('a'): obskit.get_logger('app').info('inside')\n"
    )
    assert done.returncode == 0
    span = json.loads(done.stderr)
    assert (span["name"], span["resource"]["attributes"]["service.name"]) == ("a", "shop")
    line = json.loads(done.stdout)
    assert "0x" + line["trace_id"] == span["context"]["trace_id"]


def test_spans_are_flushed_at_exit() -> None:
    """A local collector gets the last span although the program says nothing about its end."""
    posts: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        done = run(
            "import os, obskit\n"
            f"os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'] = 'http://127.0.0.1:{server.server_port}'\n"
            "obskit.configure(tracing='otlp', service='shop')\n"
            "with obskit.observe('last words'): pass\n"
        )
        server.shutdown()
        thread.join()
    assert (done.returncode, done.stderr) == (0, "")
    assert [path for path, _ in posts] == ["/v1/traces"]
    assert b"last words" in posts[0][1]
    assert b"shop" in posts[0][1]


class Stuck(InMemorySpanExporter):
    """A back end that takes spans, and hangs at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.stopping, self.release = threading.Event(), threading.Event()

    def shutdown(self) -> None:
        self.stopping.set()
        self.release.wait(30)


def test_spans_go_to_the_new_configuration_while_the_old_one_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stuck, following = Stuck(), InMemorySpanExporter()
    exporters = iter([stuck, following])
    monkeypatch.setitem(module._PROCESSORS, "console", lambda: SimpleSpanProcessor(next(exporters)))
    obskit.configure(tracing="console", logging="off", shutdown_timeout=30)
    thread = threading.Thread(
        target=obskit.configure, kwargs={"tracing": "console", "logging": "off", "service": "b"}
    )
    thread.start()
    try:
        assert stuck.stopping.wait(30)
        work("meanwhile")
        assert [span.name for span in following.get_finished_spans()] == ["meanwhile"]
    finally:
        stuck.release.set()
        thread.join(30)
    assert stuck.get_finished_spans() == ()
