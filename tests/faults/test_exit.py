"""The end of the interpreter, while threads, finalisers and exit handlers go on recording."""

import pytest
from tests.kits.programs import run_to_its_end

BEGINNING = """
    import asyncio, atexit, sys, threading, time
    import obskit
    from obskit.metrics import Counter, Histogram
    from obskit.runtime import active_runtime

    orders = Counter("orders", "Orders.")
    sizes = Histogram("sizes", "Sizes.", ["kind"])

    @obskit.observe("work", labels={"kind": obskit.arg("kind")})
    def work(kind):
        orders.inc()
        sizes.labels(kind).observe(1)

    @obskit.observe("coroutine")
    async def coroutine():
        await asyncio.sleep(0)

    @obskit.observe("items")
    def items():
        yield 1
        yield 2

    def record():
        work("web")
        list(items())
        with obskit.observe("block"):
            orders.inc(2)
        held = items()
        next(held)
        obskit.in_flight()

    def record_until(ended):
        while not ended():
            record()
"""


@pytest.mark.parametrize("configured", [True, False], ids=["configured", "unconfigured"])
def test_daemon_threads_go_on_recording_while_the_interpreter_ends(configured: bool) -> None:
    printed = run_to_its_end(
        f"""{BEGINNING}
    if {configured}:
        obskit.configure(service="x", logging="off")
    else:
        obskit.control.disable("*", signals={{"log"}})
    begun = threading.Semaphore(0)

    def forever():
        record()
        begun.release()
        record_until(lambda: False)

    for _ in range(8):
        threading.Thread(target=forever, daemon=True).start()
    for _ in range(8):
        begun.acquire()
    print("end")
    """
    )
    assert printed == "end\n"


def test_threads_that_the_interpreter_waits_for_record_until_they_end() -> None:
    printed = run_to_its_end(
        f"""{BEGINNING}
    obskit.configure(service="x", logging="off")
    main = threading.main_thread()
    deadlines = []

    def past_the_end():
        if not main.is_alive() and not deadlines:
            deadlines.append(time.monotonic() + 0.2)
        return bool(deadlines) and time.monotonic() > deadlines[0]

    for _ in range(4):
        threading.Thread(target=record_until, args=(past_the_end,)).start()
    print("end")
    """
    )
    assert printed == "end\n"


def test_exit_handlers_record_before_and_after_the_shutdown() -> None:
    """The handler that is registered first runs last: after obskit's own."""
    printed = run_to_its_end(
        f"""{BEGINNING}
    def record_and_render(place):
        for _ in range(600):
            record()
        asyncio.run(coroutine())
        page = active_runtime().render()[0].decode()
        print(place, "orders_total 1800.0" in page or "orders_total 3600.0" in page)

    atexit.register(record_and_render, "last")
    obskit.configure(service="x", logging="off")
    atexit.register(record_and_render, "first")
    """
    )
    assert printed == "first True\nlast True\n"


KEEPERS = {
    "module": "kept = Finalised()",
    "package": "obskit.kept_there = Finalised()",
    "cycle": "cycle = Finalised(); cycle.itself = cycle; del cycle",
}
"""What keeps the object until the interpreter takes it down, from early to late."""


@pytest.mark.parametrize("keeper", KEEPERS.values(), ids=KEEPERS)
def test_finalisers_do_their_work_whatever_is_left_of_the_interpreter(keeper: str) -> None:
    printed = run_to_its_end(
        f"""
    import gc, os, sys
    import obskit
    from obskit.metrics import Counter, Histogram

    obskit.configure(service="x", logging="off")
    orders = Counter("orders", "Orders.")
    sizes = Histogram("sizes", "Sizes.", ["kind"])

    @obskit.observe("work", labels={{"kind": obskit.arg("kind")}})
    def work(kind, orders=orders, sizes=sizes):
        orders.inc()
        sizes.labels(kind).observe(1)
        return kind

    @obskit.observe("items")
    def items():
        yield 1
        yield 2

    class Finalised:
        def __init__(self, write=os.write):
            self.write, self.work, self.items = write, work, items
            self.block = obskit.observe("block")

        def __del__(self):
            try:
                for _ in range(600):
                    assert self.work("web") == "web"
                assert [*self.items()] == [1, 2]
                with self.block:
                    self.write(1, b"worked")
            except BaseException as error:
                self.write(1, str(error).encode())
                raise

    gc.disable()
    {keeper}
    """
    )
    assert printed == "worked"


def test_generators_and_coroutines_that_never_ended_are_quiet() -> None:
    printed = run_to_its_end(
        f"""{BEGINNING}
    import warnings
    warnings.simplefilter("ignore", RuntimeWarning)  # of coroutines that were never awaited

    obskit.configure(service="x", logging="off")
    kept = [items() for _ in range(3)]
    for generator in kept:
        next(generator)
    suspended = coroutine()
    suspended.send(None)
    block = obskit.observe("open")
    block.__enter__()
    record()
    obskit.shutdown()
    sys.kept_there = items()
    next(sys.kept_there)
    print("end")
    """
    )
    assert printed == "end\n"
