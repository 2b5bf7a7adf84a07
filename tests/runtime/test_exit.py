"""The end of the process, and forks: nobody waits for obskit, and nothing is printed."""

import os
import re
import socket
import time
from collections.abc import Generator

import pytest
from tests.kits.programs import run


@pytest.fixture
def silent_collector() -> Generator[str]:
    """A collector that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_thread_that_goes_on_calling_does_not_disturb_the_exit() -> None:
    done = run(
        """
        import threading, time
        import obskit

        obskit.configure(service="x", logging="off", tracing="console")
        began = threading.Event()

        @obskit.observe("work")
        def work():
            began.set()

        @obskit.observe("items")
        def items():
            yield 1
            yield 2

        def forever():
            held = items()
            next(held)
            while True:
                work()

        threading.Thread(target=forever, daemon=True).start()
        began.wait()
        """
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert '"name": "work"' in done.stderr


def test_work_that_is_done_after_the_shutdown_is_done() -> None:
    done = run(
        """
        import atexit
        import obskit

        @obskit.observe("late")
        def late():
            print("late work", obskit.current().name)

        atexit.register(late)  # runs after what is registered later
        obskit.configure(service="x", logging="own")
        late()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "late work late\nlate work late\n"


def test_generators_left_open_are_closed_quietly() -> None:
    done = run(
        """
        import asyncio
        import obskit

        @obskit.observe("rows")
        def rows():
            with obskit.bound(table="orders"), obskit.observe("cursor"):
                yield 1

        @obskit.observe("stream")
        async def stream():
            yield 1

        async def main():
            kept.append(stream())
            await anext(kept[-1])

        kept = [rows()]
        next(kept[0])
        obskit.configure(service="x", logging="off", tracing="console")
        kept.append(rows())
        next(kept[1])
        asyncio.run(main())
        """
    )
    assert done.returncode == 0
    assert not re.search("Traceback|detach|ignored", done.stderr)


@pytest.mark.otlp
def test_a_collector_that_hangs_holds_the_exit_up_no_longer_than_the_timeout(
    silent_collector: str,
) -> None:
    started = time.monotonic()
    done = run(
        """
        import time
        import obskit

        obskit.configure(service="x", tracing="otlp", shutdown_timeout=0.5)
        with obskit.observe("work"):
            pass
        print("work is done", time.monotonic())
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=silent_collector,
    )
    assert done.returncode == 0, done.stderr
    held_up = time.monotonic() - float(done.stdout.split()[3])
    assert 0.5 <= held_up < 5
    assert time.monotonic() - started < 30
    assert "Traceback" not in done.stderr


@pytest.mark.otlp
def test_a_collector_that_refuses_is_no_reason_to_fail() -> None:
    done = run(
        """
        import obskit

        obskit.configure(service="x", tracing="otlp", shutdown_timeout=0.5, logging="off")
        with obskit.observe("work"):
            pass
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
    )
    assert done.returncode == 0
    assert "obskit" not in done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_works() -> None:
    """It counts, logs, traces, configures anew and exits, whatever the parent was doing."""
    done = run(
        """
        import os, threading
        import obskit
        from prometheus_client import REGISTRY

        obskit.configure(service="parent", logging="own", tracing="console")

        @obskit.observe("work")
        def work():
            obskit.get_logger("test").info("working", pid=os.getpid())

        def configuring():
            for number in range(1_000_000):
                obskit.configure(service=f"parent-{number}", logging="own", tracing="off")

        threading.Thread(target=configuring, daemon=True).start()
        work()
        for _ in range(20):
            with obskit.observe("around"):
                child = os.fork()
            if not child:
                work()
                with obskit.configure(service="child", logging="own"):
                    work()
                labels = {"operation": "work", "outcome": "ok", "error_type": ""}
                assert REGISTRY.get_sample_value("operations_total", labels) == 2
                obskit.shutdown()
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        print("every child has worked")
        os._exit(0)
        """
    )
    assert done.returncode == 0, done.stderr
    assert "every child has worked" in done.stdout
