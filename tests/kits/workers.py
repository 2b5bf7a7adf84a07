"""Workers in one process: each has a registry, an engine's families and a slot of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from obskit._guard import guard
from obskit.workers import Worker

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Process:
    """What a worker process has, without the process."""

    def __init__(self, directory: Path) -> None:
        self.registry = CollectorRegistry()
        self.worker = Worker(str(directory), self.registry)

    def scrape(self, accept: str = "", names: tuple[str, ...] = ()) -> str:
        return self.worker.render(accept, names)[0].decode()

    def value(self, line: str) -> float:
        """The number of one line of a scrape."""
        (number,) = [
            text.removeprefix(f"{line} ")
            for text in self.scrape().splitlines()
            if text.startswith(f"{line} ")
        ]
        return float(number)

    def die(self) -> None:
        """End as a killed process does: the lock goes, and nothing more is written."""
        assert self.worker._slot is not None
        self.worker._stop_thread()
        self.worker._slot.release()


Start = Callable[[], Process]


def samples(page: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts workers that share one directory."""
    processes: list[Process] = []

    def start() -> Process:
        processes.append(Process(tmp_path))
        return processes[-1]

    yield start
    for process in processes:
        process.worker._stop_thread()


@pytest.fixture
def faults() -> Iterator[list[tuple[str, Exception]]]:
    """Faults reported while the test runs, for it to look at."""
    with guard.recording() as recorded:
        yield recorded
