"""Finalisers that record: the garbage collector runs them in the middle of anything, folds too."""

import pytest
from tests.kits.programs import run_to_its_end

RECORDING_FINALISERS = """
    import gc, sys, threading, weakref
    import obskit
    from prometheus_client import REGISTRY
    from obskit.metrics import Counter, Histogram, default_engine
    from obskit.runtime import active_runtime

    CALLS, THREADS = 4_000, 3
    obskit.configure(service="x", logging="off")
    orders = Counter("orders", "Orders.")
    sizes = Histogram("sizes", "Sizes.")
    collected, within_folds = [], []

    def record():
        collected.append(1)
        if default_engine._folding:
            within_folds.append(1)
        orders.inc()
        sizes.observe(1)
        work(leave_garbage=False)
        list(items())
        with obskit.observe("block"):
            pass
        obskit.in_flight()
        if len(collected) % 50 == 0:
            default_engine.drain()

    class Finalised:
        def __init__(self):
            self.itself = self

        def __del__(self):
            record()

    class Watched:
        def __init__(self):
            self.itself = self

    made, watching = [], []

    def leave_some():
        made.append(1)
        if sys.argv[1] == "finalisers":
            Finalised()
        else:
            watching.append(weakref.ref(Watched(), lambda _: record()))

    def collect(_):
        leave_some()
        gc.collect(0)

    @obskit.observe("work")
    def work(leave_garbage):
        orders.inc()
        sizes.observe(1)
        if leave_garbage:
            leave_some()

    @obskit.observe("items")
    def items():
        yield 1

    def run():
        for number in range(CALLS):
            work(leave_garbage=True)
            if number % 20 == 0:
                default_engine.record(collect, None)
                default_engine.drain()

    gc.set_threshold(1)
    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.set_threshold(0)
    default_engine.drain()
    while gc.collect():
        pass

    def value(name, **labels):
        return REGISTRY.get_sample_value(name, labels)

    def ended(operation):
        return value("operations_total", operation=operation, outcome="ok", error_type="")

    def timed(operation):
        return value("operation_duration_seconds_count", operation=operation, outcome="ok")

    left = len(made)
    assert len(collected) == left > CALLS * THREADS, len(collected)
    assert within_folds, "nothing was collected during a fold"
    assert value("orders_total") == value("sizes_count") == CALLS * THREADS + 2 * left
    assert ended("work") == timed("work") == CALLS * THREADS + left
    for operation in ("items", "block"):
        assert ended(operation) == timed(operation) == left, operation
    assert not active_runtime().store.in_flight
    assert default_engine.dropped_observations == {"overflow": 0, "refused": 0}
"""


@pytest.mark.parametrize("kind", ["finalisers", "weakref callbacks"])
def test_what_is_collected_may_record_into_what_is_being_folded(kind: str) -> None:
    """Three threads, a collection at nearly every allocation: no deadlock, and exact totals."""
    assert run_to_its_end(RECORDING_FINALISERS, kind) == ""
