"""Assertions on what obskit emits: `observing`, and the pytest fixture ``observed``."""

from obskit.testing._logs import Logs
from obskit.testing._metrics import Metrics
from obskit.testing._observed import Observed, observing
from obskit.testing._operations import Operations
from obskit.testing._spans import Spans

__all__ = ["Logs", "Metrics", "Observed", "Operations", "Spans", "observing"]
