"""The plugin in suites of its users; each suite is a process of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Suite = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Run pytest on one file in a directory without any configuration."""

    def run(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
        (tmp_path / "test_it.py").write_text(source)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=120
        )

    return run


def test_a_suite_that_does_not_ask_for_it_never_imports_obskit(suite: Suite) -> None:
    done = suite(
        "import sys\n"
        "def test_one():\n"
        "    assert 'pytest_obskit' in sys.modules\n"
        "    foreign = ('obskit', 'structlog', 'prometheus_client', 'opentelemetry')\n"
        "    assert not [m for m in sys.modules if m.partition('.')[0] in foreign]\n"
    )
    assert "1 passed" in done.stdout, done.stdout


def test_the_fixture_comes_with_the_installation(suite: Suite) -> None:
    done = suite(
        "import obskit\n"
        "def test_one(observed):\n"
        "    with obskit.observe('a'): pass\n"
        "    observed.operation('a').once()\n"
        "    assert observed.metrics.delta('operations_total', operation='a') == 1\n"
        "def test_two(observed):\n"
        "    observed.operation('a').never()\n"
        "    assert observed.metrics.value('operations_total', operation='a') == 0\n"
    )
    assert "2 passed" in done.stdout, done.stdout


def test_naming_the_plugin_as_well_registers_it_once(suite: Suite) -> None:
    done = suite("def test_one(observed): pass\n", "-p", "obskit", "--fixtures", "-v")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("observed [function scope]") + done.stdout.count("observed --") == 1


def test_what_is_left_over_fails_the_test(suite: Suite) -> None:
    done = suite(
        "import obskit\n"
        "from obskit._guard import guard\n"
        "def test_left_open(observed):\n"
        "    obskit.observe('never ends').__enter__()\n"
        "def test_fault(observed):\n"
        "    guard.report('somewhere', ValueError('of ours'))\n"
        "def test_fault_that_was_seen(observed):\n"
        "    guard.report('somewhere', ValueError('of ours'))\n"
        "    assert observed.internal_errors()\n"
        "def test_next(observed):\n"
        "    assert observed.in_flight() == []\n"
    )
    assert "4 passed, 2 errors" in done.stdout, done.stdout
    assert "operations are still in flight" in done.stdout
    assert "never ends" in done.stdout
    assert "obskit had internal errors" in done.stdout
    assert "somewhere: ValueError('of ours')" in done.stdout


def test_a_failing_test_fails_once(suite: Suite) -> None:
    done = suite(
        "import obskit\n"
        "def test_one(observed):\n"
        "    with obskit.observe('a'):\n"
        "        assert 1 == 2\n"
    )
    assert "1 failed" in done.stdout, done.stdout
    assert "error" not in done.stdout.splitlines()[-1]


def test_nothing_is_left_configured(suite: Suite) -> None:
    done = suite(
        "import logging, obskit, structlog\n"
        "before = logging.root.handlers[:]\n"
        "def test_one(observed):\n"
        "    obskit.configure(service='s')\n"
        "def test_two():\n"
        "    assert not obskit.runtime.active_runtime().configured\n"
        "    assert not structlog.is_configured()\n"
        "    names = [type(h).__module__ for h in logging.root.handlers]\n"
        "    assert not [n for n in names if n.startswith('obskit')]\n"
    )
    assert "2 passed" in done.stdout, done.stdout
