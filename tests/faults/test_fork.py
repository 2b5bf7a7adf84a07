"""Forks in the middle of everything: no child hangs, and each works at once."""

import os
from pathlib import Path

import pytest
from tests.kits.programs import run, run_to_its_end

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

FORKING = """
    import os, signal, sys, threading, time, traceback, warnings
    import obskit
    from obskit.metrics import Counter, Histogram, default_engine
    from obskit.runtime import active_runtime

    warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, since 3.12
    sys.setswitchinterval(0.0005)
    obskit.configure(service="x", logging="off")
    orders = Counter("orders", "Orders.")
    sizes = Histogram("sizes", "Sizes.")
    stop = False

    @obskit.observe("work", labels={"kind": obskit.arg("kind")})
    def work(kind):
        operation = obskit.current()
        operation.set(kind=kind)
        operation.event("seen")
        orders.inc()
        sizes.observe(1)

    @obskit.observe("items")
    def items():
        yield 1

    def record():
        while not stop:
            work("web")
            list(items())
            with obskit.observe("block"):
                obskit.in_flight()

    def render():
        return active_runtime().render()[0].decode()

    def scrape():
        while not stop:
            render()

    def counted():
        page = render()
        return [
            float(line.rsplit(" ", 1)[1])
            for line in page.splitlines()
            if line.startswith(("orders_total ", "sizes_count "))
            or line.startswith("operations_total{") and 'operation="work"' in line
        ]

    def child():
        (at_first, _, _) = before = counted()
        assert at_first > 0
        for _ in range(300):
            work("web")
        assert counted() == [number + 300 for number in before], (before, counted())

    def outcome_of_child():
        process = os.fork()
        if not process:
            signal.alarm(20)
            status = 1
            try:
                child()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.0005)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return "hung"

    def outcomes(children):
        found = []
        for _ in range(children):
            found.append(outcome_of_child())
            if found.count("hung") == 2:
                break
        return {outcome: found.count(outcome) for outcome in found}

    def started(*targets):
        threads = [threading.Thread(target=target) for target in targets]
        for thread in threads:
            thread.start()
        work("web")
        default_engine.drain()  # or the first child would have nothing of it
        return threads

    def end(threads):
        global stop
        stop = True
        for thread in threads:
            thread.join()
        assert default_engine.dropped_observations["refused"] == 0
        assert not active_runtime().store.in_flight
"""


def forking(program: str) -> str:
    """Run a program that forks; return what it printed."""
    return run_to_its_end(FORKING + program, timeout=60)


def test_two_hundred_children_forked_while_four_threads_record_work_at_once() -> None:
    """What the parent has not folded yet, the parent folds: a child counts its own calls."""
    printed = forking(
        """
    threads = started(record, record, record, record)
    print(outcomes(200))
    end(threads)
    before = counted()
    work("web")
    assert counted() == [number + 1 for number in before]
    """
    )
    assert printed == "{0: 200}\n"


def test_children_forked_inside_an_operation_do_not_hang() -> None:
    """Other threads may be about to fill in parts of their operations at that moment."""
    printed = forking(
        """
    threads = started(record, record, record, record)

    @obskit.observe("forking")
    def forking():
        return outcomes(25)

    print(forking())
    end(threads)
    """
    )
    assert printed == "{0: 25}\n"


def test_children_forked_while_a_thread_scrapes_do_not_hang() -> None:
    printed = forking(
        """
    threads = started(record, scrape)
    print(outcomes(25))
    end(threads)
    """
    )
    assert printed == "{0: 25}\n"


def test_a_child_forked_while_a_thread_holds_the_registrys_lock_does_not_hang() -> None:
    """A thread that scrapes or declares holds it for moments; in the child it does not run."""
    printed = forking(
        """
    from prometheus_client import REGISTRY

    held, release = threading.Event(), threading.Event()

    def hold():
        with REGISTRY._lock:
            held.set()
            release.wait()

    def child():
        work("web")
        assert "operations_total" in render()
        with obskit.observe("new", labels={"colour": "red"}):
            pass
        assert 'colour="red"' in render()

    work("web")
    with obskit.observe("block"):
        pass
    threads = started(hold)
    held.wait()
    print(outcomes(2))
    release.set()
    end(threads)
    """
    )
    assert printed == "{0: 2}\n"


def test_a_child_has_in_flight_what_runs_in_it() -> None:
    """Operations of the parent's other threads do not run in the child; those around it do."""
    printed = forking(
        """
    held = threading.Event()
    release = threading.Event()

    @obskit.observe("elsewhere")
    def elsewhere():
        held.set()
        release.wait()

    def child():
        names = [running.name for running in obskit.in_flight()]
        assert names == ["outer", "inner"], names
        page = render()
        assert 'operations_in_progress{operation="elsewhere"} 0.0' in page
        assert 'operations_in_progress{operation="inner"} 1.0' in page

    threads = started(elsewhere)
    held.wait()
    with obskit.observe("outer"), obskit.observe("inner"):
        print(outcomes(5))
        print(sorted(running.name for running in obskit.in_flight()))
    release.set()
    end(threads)
    """
    )
    assert printed == "{0: 5}\n['elsewhere', 'inner', 'outer']\n"


def test_an_operation_that_a_fork_happens_in_ends_in_both_processes() -> None:
    printed = forking(
        """
    @obskit.observe("forking")
    def forking():
        return os.fork()

    process = forking()
    if not process:
        page = render()
        assert 'operation="forking",outcome="ok"} 1.0' in page, page
        assert not obskit.in_flight()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert 'operation="forking",outcome="ok"} 1.0' in render()
    """
    )
    assert printed == ""


def test_a_signal_handler_may_fork() -> None:
    """In the middle of a fold, too: the child of it records and renders."""
    printed = forking(
        """
    found = []
    signal.signal(signal.SIGUSR1, lambda *_: found.append(outcome_of_child()))

    def interrupted(_):
        assert default_engine._folding
        signal.raise_signal(signal.SIGUSR1)

    work("web")
    default_engine.drain()
    for _ in range(5):
        default_engine.record(interrupted, None)
        default_engine.drain()
    print(found)
    """
    )
    assert printed == "[0, 0, 0, 0, 0]\n"


POOL = """
import multiprocessing, warnings
import obskit
from obskit.runtime import active_runtime

warnings.simplefilter("ignore", DeprecationWarning)  # the pool has threads when it forks

@obskit.observe("work", labels={"kind": obskit.arg("kind")})
def work(kind):
    return kind

def in_process(_):
    obskit.configure(service="pool", logging="off")
    for _ in range(700):
        work("web")
    assert not obskit.in_flight()
    page = active_runtime().render()[0].decode()
    (count,) = [
        line.rsplit(" ", 1)[1]
        for line in page.splitlines()
        if line.startswith("operations_total{") and 'outcome="ok"' in line
    ]
    return float(count)

def main(method):
    obskit.configure(service="pool", logging="off")
    work("web")
    with multiprocessing.get_context(method).Pool(2, maxtasksperchild=1) as pool:
        print(pool.map(in_process, range(4), chunksize=1))
        print(pool.map(work, ["web"] * 2))
    print(in_process(0))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_count_their_own_calls(method: str, tmp_path: Path) -> None:
    """One that is forked before the parent has folded anything has none of the parent's calls."""
    (tmp_path / "pool_program.py").write_text(POOL)
    done = run(f"import pool_program; pool_program.main({method!r})", PYTHONPATH=str(tmp_path))
    printed = f"{[700.0] * 4}\n{['web'] * 2}\n701.0\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")
