"""A collector that shows how often it was asked, when it is told to."""

import threading
from collections.abc import Callable
from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily


class Gate:
    """Collects once it is open.

    Args:
        ending: Called then; may raise.
    """

    def __init__(self, ending: Callable[[], object] = int) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.pages = 0
        self.at_once = 0
        self.most_at_once = 0
        self._ending = ending

    def collect(self) -> list[Any]:
        self.pages += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        page = self.pages
        self.begun.set()
        assert self.open.wait(10)
        self.at_once -= 1
        self._ending()
        return [GaugeMetricFamily("page", "Which page this is.", page)]

    def describe(self) -> list[Any]:
        return []
