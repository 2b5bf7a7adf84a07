"""A program: 200 workers that write without pause are killed, and every scrape is held to account.

Each worker tells through a pipe, before it counts, how far it will have counted, and after it has
written, how far it has written. So the total is known from both sides.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from obskit import configure
from obskit.metrics import Counter, Histogram
from obskit.runtime import active_runtime

KILLED = 200


def work(report: int) -> None:
    done = 0
    while True:
        os.write(report, f"b{done + 1}\n".encode())
        orders.inc()
        sizes.observe(1)
        done += 1
        active_runtime().flush()
        os.write(report, f"w{done}\n".encode())


def killed() -> tuple[int, int]:
    """Start a worker and kill it; return how far it has written, and how far it has begun."""
    reading, writing = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(reading)
        work(writing)
    os.close(writing)
    with os.fdopen(reading) as reports:
        reports.readline()
        time.sleep(random.random() * 0.01)
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        lines = ["b1", *reports.read().split("\n")]
    far = {letter: [int(line[1:]) for line in lines if line[:1] == letter] for letter in "wb"}
    return max(far["w"], default=0), max(far["b"])


def total(name: str) -> float:
    page = active_runtime().render(names=[name])[0].decode()
    return float(page.split()[-1]) if page else 0.0


configure(workers_dir=sys.argv[1], logging="off")
orders = Counter("orders", "Orders.")
sizes = Histogram("size", "Sizes.", buckets=(1,))
orders.inc(1000)
sizes.observe(1)
written = begun = 0
last = total("orders_total")
for _ in range(KILLED):
    wrote, began = killed()
    written, begun = written + wrote, begun + began
    now = total("orders_total")
    assert now >= last, f"{last} fell to {now}"
    assert written <= now - 1000 <= begun, (written, now, begun)
    assert total("size_count") - 1 == now - 1000
    last = now
assert len(list(Path(sys.argv[1]).iterdir())) <= 5
assert written > KILLED
sys.stdout.write("monotone\n")
