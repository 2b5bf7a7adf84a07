"""README.md and docs/ as tests: their Python runs, and the output they show is what comes out.

Each page is a program of its own. Its Python blocks run in order in one namespace, with nothing
configured at the start and nothing left over at the end:

* ``python`` blocks run; ``title="app.py"`` names the module that they are, for later imports.
* Functions called ``test_...`` are called, each with an ``observed`` of its own.
* ``yaml`` and ``toml`` blocks with a title become files in the directory that the page works in.
* A ``json`` or ``text`` block titled ``Output`` must be what the Python block before it printed.
  ``...`` stands for anything; times, ids and durations are not compared.
* ``<!--- invisible-code-block: python ... -->`` runs, and readers do not see it. Every block may
  call ``fetch(app, "GET", "/path")`` to ask an ASGI application without a server.
"""

import asyncio
import contextvars
import doctest
import functools
import importlib.util
import inspect
import io
import json
import logging
import os
import re
import sys
import tempfile
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

from opentelemetry import trace
from opentelemetry.util._once import Once
from prometheus_client import REGISTRY
from tests.kits.isolation import alone

import obskit
from obskit._guard import Tally, guard
from obskit.metrics import default_engine
from obskit.runtime import MetricStore, active_runtime
from obskit.testing import observing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import httpx
    import pytest
    from sybil import Document, Example, Region

_COUNTS: tuple[tuple[Any, str], ...] = (
    (guard, "_faults"),
    (default_engine, "_dropped"),
    (default_engine, "_refused_series"),
)
"""What obskit counts about itself, for the whole process."""

PAGE = "the page"
"""Where a document's namespace holds its `Page`: no name that Python code could use."""

VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "<span id>"),
    (re.compile(r'_ms": [\d.e-]+'), '_ms": <number>'),
    (re.compile(r'uptime": "\d+s"'), 'uptime": "<uptime>"'),
    (re.compile(r'File \\?"[^"\\]+\\?", line \d+'), "File <place>"),
)


class Page:
    """One document as a program: what its blocks share."""

    def __init__(self) -> None:
        self.printed = ""
        self._context = contextvars.copy_context()
        self._stack = ExitStack()

    def open(self) -> None:
        """Begin with nothing configured."""
        self._stack.enter_context(_directory())
        self._stack.enter_context(_quiet_client())
        for holder, counts in _COUNTS:
            self._stack.enter_context(mock.patch.object(holder, counts, Tally()))
        self._stack.enter_context(alone())
        self._stack.enter_context(_environment())
        self._stack.enter_context(_registry())
        self._stack.enter_context(_tracer_provider())
        self._faults = self._stack.enter_context(guard.recording())
        self._stack.callback(obskit.shutdown)

    def close(self) -> None:
        """Leave nothing behind; obskit itself must have had no fault."""
        self._stack.close()
        if self._faults:
            raise AssertionError(f"obskit had internal errors: {self._faults}")

    def forgive(self, test: "Callable[[], None]") -> None:
        """Run a test, which looks after the faults inside it by itself."""
        before = len(self._faults)
        test()
        del self._faults[before:]

    def publish(self, name: str, namespace: dict[str, Any]) -> None:
        """Let later blocks import a module."""
        if name not in sys.modules:
            self._stack.callback(sys.modules.pop, name)
        sys.modules[name] = module = ModuleType(name)
        vars(module).update(namespace)

    def run(self, work: "Callable[[], object]") -> None:
        """Run a block and keep what it prints."""
        output = io.StringIO()
        with redirect_stdout(output), _root_logger():
            try:
                self._context.run(work)
            finally:
                self.printed = output.getvalue()


@contextmanager
def _directory() -> "Generator[None]":
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        try:
            yield
        finally:
            os.chdir(before)


@contextmanager
def _environment() -> "Generator[None]":
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OBSKIT_", "OTEL_"))
    }
    with mock.patch.dict(os.environ, kept, clear=True):
        yield


@contextmanager
def _registry() -> "Generator[None]":
    """Empty the default registry, and the store of what is recorded before `configure`."""
    obskit.shutdown()
    runtime = active_runtime()
    store, collectors = runtime.store, _taken_out()
    runtime.store = MetricStore(REGISTRY, namespace="", max_series=2000)
    try:
        yield
    finally:
        _taken_out()
        runtime.store = store
        for collector in collectors:
            REGISTRY.register(collector)


def _taken_out() -> list[Any]:
    collectors = list(REGISTRY._collector_to_names)
    for collector in collectors:
        REGISTRY.unregister(collector)
    return collectors


@contextmanager
def _tracer_provider() -> "Generator[None]":
    """Give back the global tracer provider, which a process may set only once."""
    with (
        mock.patch.object(trace, "_TRACER_PROVIDER", None),
        mock.patch.object(trace, "_TRACER_PROVIDER_SET_ONCE", Once()),
    ):
        yield


@contextmanager
def _quiet_client() -> "Generator[None]":
    """Keep httpx's own lines out of the output: the client is not part of the story."""
    logger = logging.getLogger("httpx")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _root_logger() -> "Generator[None]":
    """Take pytest's handlers off the root logger: a program begins without any."""
    theirs = [one for one in logging.root.handlers if type(one).__module__.startswith("_pytest")]
    for handler in theirs:
        logging.root.removeHandler(handler)
    try:
        yield
    finally:
        for handler in theirs:
            logging.root.addHandler(handler)


def run_python(example: "Example") -> None:
    """Run a block of Python, then the tests that it defines."""
    namespace = example.namespace
    title = example.region.lexemes.get("title")
    namespace["__name__"] = name = (title or "app.py").removesuffix(".py")
    source = "\n" * (example.line + example.parsed.line_offset) + example.parsed
    code = compile(source, example.path, "exec", dont_inherit=True)

    def work() -> None:
        exec(code, namespace)  # noqa: S102 - the documentation is ours
        if title is not None:
            namespace[PAGE].publish(name, namespace)
        for test in [one for one in namespace if one.startswith("test_")]:
            namespace[PAGE].forgive(lambda test=test: run_test(namespace.pop(test)))

    namespace[PAGE].run(work)


def run_test(test: "Callable[..., Any]") -> None:
    """Call a test as pytest would."""
    with observing() as observed:
        result = test(*[observed for _ in inspect.signature(test).parameters])
        if inspect.isawaitable(result):
            asyncio.run(_awaited(result))


async def _awaited(result: Any) -> None:
    await result


def fetch(app: Any, method: str, path: str, **request: Any) -> "httpx.Response":
    """Send one request to an ASGI application."""
    import httpx  # noqa: PLC0415 - tests without extras have no pages and no httpx

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.request(method, path, **request)

    return asyncio.run(send())


def write_file(example: "Example") -> None:
    """Put a settings file where the page's Python finds it."""
    Path(example.region.lexemes["title"]).write_text(example.parsed, encoding="utf-8")


def compare_output(example: "Example") -> None:
    """Check that a page shows what the block before has printed."""
    shown, printed = example.parsed, example.namespace[PAGE].printed
    if example.region.lexemes["language"].startswith("json"):
        shown, printed = _as_lines(shown), _as_lines(printed)
    for pattern, placeholder in VOLATILE:
        shown, printed = pattern.sub(placeholder, shown), pattern.sub(placeholder, printed)
    checker = doctest.OutputChecker()
    if not checker.check_output(shown, printed, doctest.ELLIPSIS):
        raise AssertionError(f"the page shows:\n{shown}\nbut this was printed:\n{printed}")


def _as_lines(text: str) -> str:
    """Write JSON texts in one way, however they were wrapped."""
    decoder, entries, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        entry, end = decoder.raw_decode(rest)
        entries.append(json.dumps(entry, indent=1, ensure_ascii=False))
        rest = rest[end:].strip()
    return "\n".join(entries) + "\n"


def _open(namespace: dict[str, Any]) -> None:
    namespace["fetch"] = fetch
    namespace[PAGE] = Page()
    namespace[PAGE].open()


def _close(namespace: dict[str, Any]) -> None:
    namespace[PAGE].close()


@functools.cache
def _collector() -> "Callable[[Path, pytest.Collector], pytest.Collector | None]":
    from sybil import Sybil  # noqa: PLC0415 - tests without extras have no Sybil
    from sybil.parsers.markdown import lexers  # noqa: PLC0415 - the same

    def parser(lexer: Any, evaluate: "Callable[[Example], None]") -> Any:
        def parse(document: "Document") -> "Generator[Region]":
            for region in lexer(document):
                region.parsed, region.evaluator = region.lexemes["source"], evaluate
                yield region

        return parse

    def fenced(info: str, evaluate: "Callable[[Example], None]") -> Any:
        return parser(lexers.FencedCodeBlockLexer(info), evaluate)

    invisible = lexers.DirectiveInHTMLCommentLexer("invisible-code-block", "python")
    return Sybil(
        parsers=[
            fenced(r'python(?: title="(?P<title>[^"\n]+)")?', run_python),
            fenced(r'(?:yaml|toml) title="(?P<title>[^"\n]+)"', write_file),
            fenced(r'(?:json|text) title="Output"', compare_output),
            parser(invisible, run_python),
        ],
        patterns=["README.md", "docs/*.md", "docs/*/*.md"],
        excludes=["*/README.md"],
        setup=_open,
        teardown=_close,
    ).pytest()


def pytest_collect_file(file_path: Path, parent: "pytest.Collector") -> "pytest.Collector | None":
    """Collect a page's blocks as tests, where Sybil is installed."""
    if file_path.suffix != ".md" or importlib.util.find_spec("sybil") is None:
        return None
    return _collector()(file_path, parent)
