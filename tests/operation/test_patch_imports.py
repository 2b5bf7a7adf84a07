"""A module that is not imported yet is patched when it is, and never breaks the import."""

import importlib
import sys
import threading
import types
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.kits.patched import Client, members

import obskit
from obskit.errors import DeclarationError, LabelError
from obskit.testing import Observed


@pytest.fixture(autouse=True)
def _nothing_left() -> Generator[None]:
    """Hold every test to it: the classes are afterwards what they were before."""
    before = members()
    yield
    assert members() == before


@pytest.fixture
def theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Callable[[str, str], None]]:
    """Write modules that can be imported until the test ends."""
    written: list[str] = []

    def write(name: str, source: str) -> None:
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        written.append(name)
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield write
    for name in written:
        sys.modules.pop(name, None)
        sys.modules.pop(name.partition(".")[0], None)


SOURCE = """
class Worker:
    def work(self, value):
        return value

def run(value):
    return Worker().work(value)
"""


def test_a_module_is_patched_when_it_is_imported(
    theirs: Callable[[str, str], None], observed: Observed
) -> None:
    theirs("later_a", SOURCE)
    handle = obskit.instrument_object("later_a", "Worker.work", "run")
    assert handle.waiting is True
    assert "later_a" not in sys.modules
    module = importlib.import_module("later_a")
    assert [handle.waiting] == [False]
    assert module.run(3) == 3
    assert observed.spans.tree() == {"later_a.run": {"later_a.Worker.work": {}}}
    assert obskit.uninstrument("later_a:Worker.work")
    assert obskit.uninstrument(module, "run")
    assert type(module.run) is type(module.Worker.work) is types.FunctionType


def test_a_module_in_a_package_is_patched_when_it_is_imported(
    theirs: Callable[[str, str], None], observed: Observed
) -> None:
    theirs("package_b.__init__", "")
    theirs("package_b.inner", SOURCE)
    with obskit.instrument_object("package_b.inner:Worker.work", name="work") as handle:
        importlib.import_module("package_b")
        assert handle.waiting
        inner = importlib.import_module("package_b.inner")
        inner.run(1)
    inner.run(2)
    observed.operation("work").once()
    sys.modules.pop("package_b.inner")


def test_undone_before_the_import_nothing_is_patched(
    theirs: Callable[[str, str], None], observed: Observed
) -> None:
    theirs("later_c", SOURCE)
    first = obskit.instrument_object("later_c:run")
    second = obskit.instrument_object("later_c", "Worker.work", "run")
    assert first.uninstrument()
    assert obskit.uninstrument("later_c", "run", "Worker.work")
    assert not second.waiting
    module = importlib.import_module("later_c")
    assert type(module.run) is type(module.Worker.work) is types.FunctionType


def test_waiting_twice_counts_once(theirs: Callable[[str, str], None], observed: Observed) -> None:
    theirs("later_d", SOURCE)
    for _ in range(2):
        obskit.instrument_object("later_d:run", name="run")
    importlib.import_module("later_d").run(1)
    observed.operation("run").once()


def test_a_wrong_name_in_a_module_imported_later_is_said_and_breaks_nothing(
    theirs: Callable[[str, str], None],
    observed: Observed,
    caplog: pytest.LogCaptureFixture,
) -> None:
    theirs("later_e", SOURCE)
    handle = obskit.instrument_object("later_e", "runn", "Walker.work", "run", name="{method}")
    assert importlib.import_module("later_e").run(1) == 1
    assert not handle.waiting
    observed.operation("run").once()
    errors = observed.internal_errors()
    assert [site for site, _ in errors] == ["operation.instrument_object"] * 2
    assert "later_e has no 'runn': did you mean 'run'?" in str(errors[0][1])
    assert "later_e has no 'Walker': did you mean 'Worker'?" in str(errors[1][1])
    assert "did you mean 'run'?" in caplog.text
    handle.uninstrument()


def test_wrong_options_are_said_before_the_import() -> None:
    with pytest.raises(DeclarationError, match="is not a number of seconds"):
        obskit.instrument_object("never_imported:run", slow="long")
    with pytest.raises(LabelError, match=r"did you mean labels=\?"):
        obskit.instrument_object("never_imported:run", label={})


def test_a_module_that_fails_to_import_at_first_is_patched_at_last(
    theirs: Callable[[str, str], None], observed: Observed
) -> None:
    theirs("later_f", f"{SOURCE}\nraise RuntimeError('not today')\n")
    handle = obskit.instrument_object("later_f:run", name="run")
    with pytest.raises(RuntimeError, match="not today"):
        importlib.import_module("later_f")
    assert handle.waiting
    theirs("later_f", SOURCE)
    importlib.import_module("later_f").run(1)
    observed.operation("run").once()


def test_a_reloaded_module_is_bare_until_it_is_instrumented_again(
    theirs: Callable[[str, str], None], observed: Observed
) -> None:
    theirs("later_g", SOURCE)
    module = importlib.import_module("later_g")
    old = obskit.instrument_object(module, "run", name="run")
    module = importlib.reload(module)
    assert type(module.run) is types.FunctionType
    new = obskit.instrument_object(module, "run", name="run")
    assert old.uninstrument()
    module.run(1)
    observed.operation("run").once()
    assert new.uninstrument()
    assert type(module.run) is types.FunctionType


def test_a_module_that_replaces_itself_is_patched_as_users_see_it(
    theirs: Callable[[str, str], None], observed: Observed
) -> None:
    theirs(
        "later_h",
        "import sys, types\nnew = types.ModuleType('later_h')\nnew.run = lambda v: v\n"
        "sys.modules[__name__] = new\n",
    )
    obskit.instrument_object("later_h:run", name="run")
    assert importlib.import_module("later_h").run(1) == 1
    observed.operation("run").once()


def test_a_module_that_removes_itself_breaks_nothing(
    theirs: Callable[[str, str], None], observed: Observed
) -> None:
    theirs("later_i", "import sys\nsys.modules[__name__] = None\n")
    handle = obskit.instrument_object("later_i:run")
    with pytest.raises((ImportError, AttributeError)):
        importlib.import_module("later_i").run(1)
    assert not handle.waiting


def test_instrumenting_waits_for_another_thread_that_imports_the_module(
    theirs: Callable[[str, str], None], observed: Observed
) -> None:
    theirs("later_j", f"import later_gate\nlater_gate.wait()\n{SOURCE}")
    begun, go = threading.Event(), threading.Event()
    gate = types.ModuleType("later_gate")

    def wait() -> None:
        begun.set()
        go.wait(60)

    vars(gate)["wait"] = wait
    sys.modules["later_gate"] = gate
    with ThreadPoolExecutor(2) as pool:
        importing = pool.submit(importlib.import_module, "later_j")
        assert begun.wait(60)
        instrumenting = pool.submit(obskit.instrument_object, "later_j:run", name="run")
        with obskit.instrument_object(Client, "get"):  # no lock is held while it waits
            Client().get("/")
        go.set()
        instrumenting.result(timeout=60)
        importing.result(timeout=60).run(1)
    observed.operation("run").once()
    del sys.modules["later_gate"]


def test_undone_by_another_while_it_is_being_patched_nothing_stays(
    theirs: Callable[[str, str], None], observed: Observed
) -> None:
    theirs(
        "later_k",
        """
import later_undo

class Meta(type):
    def __setattr__(cls, name, value):
        super().__setattr__(name, value)
        later_undo.undo()

class Worker(metaclass=Meta):
    def first(self): ...
    def second(self): ...
""",
    )
    handle = obskit.instrument_object("later_k:Worker", "first", "second", name="{method}")
    undo = types.ModuleType("later_undo")
    vars(undo)["undo"] = handle.uninstrument
    sys.modules["later_undo"] = undo
    worker = importlib.import_module("later_k").Worker
    vars(undo)["undo"] = lambda: None
    assert type(vars(worker)["second"]) is types.FunctionType
    assert handle.uninstrument()
    assert type(vars(worker)["first"]) is types.FunctionType
    del sys.modules["later_undo"]
