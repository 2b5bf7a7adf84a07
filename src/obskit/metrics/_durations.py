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
        self.total = total
        self.duration = duration
        self.sampled: SampledCells = SampledCells(self)

    def fold(self, durations: list[float], /) -> None:
        """Record durations; ones that are negative or not finite are counted, and refused.

        Args:
            durations: In seconds, in the order in which they came; sorted in place.
        """
        self.total.total += len(durations)
        running = self.duration.sum
        for seconds in durations:
            running += seconds
        if min(durations) >= 0 and running < math.inf:  # not a number would make the sum one, too
            self._fold_usable(durations, running)
            return
        for seconds in durations:
            self._fold_one(seconds)

    def _fold_usable(self, durations: list[float], total: float) -> None:
        durations.sort()
        histogram = self.duration
        histogram.sum = total
        counted = 0
        for bucket, bound in enumerate(histogram.bounds):
            below = bisect_right(durations, bound, counted)
            if below > counted:
                histogram.counts[bucket] += below - counted
                counted = below
                if counted == len(durations):
                    return

    def _fold_one(self, seconds: float) -> None:
        if 0 <= seconds < math.inf:
            self.duration.fold(seconds)
        else:
            self.duration.engine.refuse()


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
        histogram = self._cells.duration
        self._cells.fold([seconds for seconds, _ in sampled])
        latest = {
            bisect_left(histogram.bounds, seconds): (seconds, span)
            for seconds, span in sampled
            if 0 <= seconds < math.inf
        }
        for bucket, (seconds, span) in latest.items():
            histogram.exemplars[bucket] = Exemplar(
                {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"},
                seconds,
                histogram.engine.clock.time(),
            )
