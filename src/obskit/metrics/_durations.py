"""Series of operations that ended in the same way: a counter and a histogram, written as one."""

import math
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from prometheus_client.samples import Exemplar

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from obskit.metrics._cells import CounterCell, HistogramCell


class OperationCells:
    """How many operations ended in one way, and how long they took.

    One entry in the engine's buffer stands for both, and a batch is folded at once: that is what
    makes an operation cheaper than its two metrics written one by one.

    Args:
        total: Counts the operations.
        duration: Takes their durations.

    Attributes:
        sampled: The same series, for operations with a sampled span.
    """

    __slots__ = ("duration", "sampled", "total")

    def __init__(self, total: "CounterCell", duration: "HistogramCell") -> None:
        self.total: CounterCell = total
        self.duration: HistogramCell = duration
        self.sampled: SampledCells = SampledCells(self)

    def fold(self, durations: list[float], /) -> None:
        """Record durations; ones that are negative or not finite are counted, and refused.

        Args:
            durations: In seconds, in the order in which they came; sorted in place.
        """
        histogram, number, usable = self.duration, len(durations), durations
        running = summed(histogram.sum, usable)
        if min(usable) < 0 or not running < math.inf:  # not a number makes the sum one, too
            usable = [seconds for seconds in usable if 0 <= seconds < math.inf]
            running = summed(histogram.sum, usable)
            histogram.engine.refuse(number - len(usable))
        counts = counted(histogram, usable)
        # No call from here on: see Engine._fold_durations.
        self.total.total += number
        histogram.sum = running
        histogram.counts = counts


def summed(total: float, durations: list[float]) -> float:
    """Return a sum with some durations more.

    Args:
        total: The sum.
        durations: What to add, in order: the same numbers as when added one by one.
    """
    for seconds in durations:
        total += seconds
    return total


def counted(histogram: "HistogramCell", durations: list[float]) -> list[int]:
    """Return a histogram's counts with some durations more.

    Args:
        histogram: Whose counts.
        durations: Sorted in place.
    """
    counts = histogram.counts.copy()
    durations.sort()
    done = 0
    for bucket, bound in enumerate(histogram.bounds):
        below = bisect_right(durations, bound, done)
        counts[bucket] += below - done
        done = below
        if done == len(durations):
            break
    return counts


class SampledCells:
    """Operations that are examples of their durations: each has a sampled span.

    Args:
        cells: Where they are counted.
    """

    __slots__ = ("_cells",)

    def __init__(self, cells: OperationCells) -> None:
        self._cells = cells

    def fold(self, sampled: "list[tuple[float, SpanContext]]", /) -> None:
        """Record durations, and keep the last span in each bucket as its exemplar.

        Args:
            sampled: Seconds and spans, in the order in which they came.
        """
        keep_exemplars(self._cells.duration, sampled)
        self._cells.fold([seconds for seconds, _ in sampled])


def keep_exemplars(histogram: "HistogramCell", sampled: "list[tuple[float, SpanContext]]") -> None:
    """Keep the last span in each bucket as its exemplar.

    Args:
        histogram: Takes them.
        sampled: Seconds and spans, in the order in which they came.
    """
    exemplars = histogram.exemplars.copy()
    now = histogram.engine.clock.time()
    latest = {
        bisect_left(histogram.bounds, seconds): (seconds, span)
        for seconds, span in sampled
        if 0 <= seconds < math.inf
    }
    for bucket, (seconds, span) in latest.items():
        ids = {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
        exemplars[bucket] = Exemplar(ids, seconds, now)
    histogram.exemplars = exemplars
