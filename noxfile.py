"""Every check of the project: ``nox`` runs all but the benchmarks, ``nox -s NAME`` one of them."""

import shutil
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
ROOT = Path(__file__).parent
BENCH_RESULTS = ROOT / "docs" / "explanation" / "performance.json"

# What must work without any extra: no FastAPI, no OTLP, no YAML, no orjson.
CORE_TESTS = [
    "-m",
    "not otlp",
    "tests/health",
    "tests/metrics",
    "tests/operation",
    "tests/runtime",
    "tests/test_context.py",
    "tests/test_propagation.py",
    "--ignore-glob=*/test_torture*",
    "--ignore-glob=*/test_patch*",
]

# What a tracer would change: where signals strike, what fits into memory and stack, and forks.
NOT_TRACED = [
    "--ignore=tests/faults",
    "--deselect=tests/operation/test_torture_objects.py::test_endless_recursion",
]

# What the oldest versions of the dependencies may break; the rest knows nothing of them.
MINIMUM_TESTS = [
    "tests",
    "examples",
    "--ignore=tests/bench",
    "--ignore=tests/faults",
    "--ignore-glob=*/test_torture*",
    "--ignore=tests/asgi/test_websocket_server.py",  # about servers, not about what obskit needs
    "--ignore=tests/real/test_servers.py",
]

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = [
    "tests",
    "minimums",
    "lint",
    "typing",
    "docs",
    "examples",
    "real",
    "build",
]


@nox.session(python=PYTHONS)
@nox.parametrize("extras", ["all", "none"])
def tests(session: nox.Session, extras: str) -> None:
    """Run the suite with all extras (on the first Python with coverage), its core without any."""
    if extras == "none":
        session.install("-e", ".", "anyio", "hypothesis", "pytest", "trio")
        session.run("pytest", *(session.posargs or CORE_TESTS))
        return
    session.install("-e", ".[test]")
    if session.python != PYTHONS[0]:
        session.run("pytest", *session.posargs)
        return
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *(session.posargs or NOT_TRACED))
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(python=PYTHONS[0])
def minimums(session: nox.Session) -> None:
    """Run the suite with the oldest versions that pyproject.toml admits."""
    session.install("uv")
    session.run("uv", "pip", "install", "--resolution", "lowest-direct", "-e", ".[test]")
    session.run("pytest", *(session.posargs or MINIMUM_TESTS))


@nox.session(python=PYTHONS[0])
def lint(session: nox.Session) -> None:
    """Check style, formatting and the layers."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session(python=PYTHONS[0])
def typing(session: nox.Session) -> None:
    """Check types: of the source, the tests, the examples, and as users see them."""
    session.install("-e", ".[typing]")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "obskit", "--ignoreexternal")


@nox.session(python=PYTHONS[0])
def docs(session: nox.Session) -> None:
    """Build the documentation, strictly, and run its code."""
    session.install("-e", ".[docs,test]")
    session.run("mkdocs", "build", "--strict", "--site-dir", session.create_tmp())
    session.run("pytest", "README.md", "docs")


@nox.session(python=PYTHONS[0])
def examples(session: nox.Session) -> None:
    """Run the examples' own tests."""
    session.install("-e", ".[test]")
    session.run("pytest", "examples")


@nox.session(python=PYTHONS[0])
def real(session: nox.Session) -> None:
    """Run the tests against real servers, and those for which more has to be installed.

    logfire is not among what the tests need, because it patches whatever imports Pydantic.
    """
    session.install("-e", ".[bench,test]", "logfire>=3.7")
    telemetry = "tests/asgi/test_foreign_telemetry.py"
    session.run("pytest", "tests/real", "tests/health", "tests/bench", telemetry)


@nox.session(python=PYTHONS[0])
def bench(session: nox.Session) -> None:
    """Measure costs, for the documentation; or as the arguments of ``obskit bench`` say.

    The program wrk, where it is there, brings the load over loopback.
    """
    session.install("-e", ".[bench]")
    session.run("obskit", "bench", *(session.posargs or ["--json", str(BENCH_RESULTS)]))


@nox.session(python=PYTHONS[0])
def build(session: nox.Session) -> None:
    """Build the distributions; test the wheel in an environment without the source tree."""
    session.install("build", "twine")
    target = Path(session.create_tmp()) / "dist"
    shutil.rmtree(target, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(target), silent=True)
    session.run("twine", "check", "--strict", *map(str, target.iterdir()))
    (wheel,) = target.glob("*.whl")
    session.install(f"{wheel}[demo]")
    session.chdir(session.create_tmp())
    session.run("python", "-c", "import obskit; print('obskit', obskit.__version__)")
    session.run("obskit", "demo", "--json", silent=True)
