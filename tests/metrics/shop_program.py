"""A program written for prometheus_client: `test_drop_in` runs it with another import, too."""

from contextlib import suppress

from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.registry import CollectorRegistry

from obskit.clock import ManualClock


def run(registry: CollectorRegistry, clock: ManualClock) -> None:
    """Do a day's work."""
    orders = Counter(
        "orders_total", "Orders placed.", ["channel", "card"], namespace="shop", registry=registry
    )
    refunds = Counter("refunds", "Money back.", (), "shop", "money", "euros", registry)
    failures = Counter("failures", 'Calls that "failed".', registry=registry)
    queue = Gauge("queue_depth", "Waiting.\nIn all queues.", ["queue"], registry=registry)
    workers = Gauge("workers", "At work.", registry=registry, multiprocess_mode="livesum")
    last = Gauge("last_run", "When.", unit="seconds", registry=registry)
    latency = Histogram(
        "latency", "How long.", ["route"], unit="seconds", registry=registry, buckets=(0.1, 1, "5")
    )
    sizes = Histogram("sizes_bytes", "How large.", registry=registry, buckets=[-1, 0, 1])
    batch = Summary("batch_seconds", "How long a batch takes.", ["kind"], registry=registry)
    build = Info("build", "What this is.", registry=registry)
    shops = Info("shop", "Shops.", ["id"], registry=registry)
    state = Enum("breaker", "State.", ["name"], registry=registry, states=["closed", "open"])
    mode = Enum("mode", "Mode.", namespace="shop", states=["day", "night"], registry=registry)

    orders.labels("web", True).inc()
    orders.labels(card=False, channel='a "quoted"\\\n').inc(2.5, exemplar={"trace_id": "abc"})
    orders.labels("gone", 1).inc()
    orders.remove("gone", 1)
    refunds.inc(3)
    refunds.reset()
    refunds.inc(0.1)

    queue.labels("mail").set(7)
    queue.labels("mail").dec(2)
    queue.labels("sms").inc()
    queue.remove_by_labels({"queue": "sms"})
    queue.labels("push").set_function(lambda: 42)
    queue.labels("odd").set(float("nan"))
    last.set_to_current_time()

    @failures.count_exceptions(ZeroDivisionError)
    @workers.track_inprogress()
    @latency.labels("/divide").time()
    def divide(a: int, b: int) -> float:
        clock.advance(0.5)
        return a / b

    divide(1, 2)
    with suppress(ZeroDivisionError):
        divide(1, 0)
    with latency.time() as timer:
        clock.advance(3)
        timer.labels(route="/late")
    latency.labels("/").observe(0.05, {"trace_id": "def"})
    for size in (-2, 0, float("inf")):
        sizes.observe(size)
    with batch.labels("nightly").time(), workers.track_inprogress():
        clock.advance(60)
    batch.labels("daily").observe(1)

    build.info({"version": "1.2.3", "commit": "abc"})
    shops.labels("1").info({"city": "Ulm"})
    state.labels("mail").state("open")
    state.labels("sms")
    mode.state("night")
