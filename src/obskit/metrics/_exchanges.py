"""Series of requests that ended in the same way: a counter and histograms, written as one."""

import math
from typing import TYPE_CHECKING

from obskit.metrics._durations import counted, keep_exemplars, summed

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from obskit.metrics._cells import CounterCell, HistogramCell


Exchanged = tuple[float, int, int, "SpanContext | None"]
"""What is measured of one request: seconds, bytes received and sent, and its sampled span if any:
the example of its duration."""


class ExchangeCells:
    """How many requests ended in one way, how long they took and how large they were.

    One entry in the engine's buffer stands for all of them, and a batch is folded at once.

    Args:
        total: Counts the requests.
        seconds: Takes their durations.
        received: Takes the sizes of what was received.
        sent: Takes the sizes of what was sent.
    """

    __slots__ = ("received", "seconds", "sent", "total")

    def __init__(
        self,
        total: "CounterCell",
        seconds: "HistogramCell",
        received: "HistogramCell",
        sent: "HistogramCell",
    ) -> None:
        self.total: CounterCell = total
        self.seconds: HistogramCell = seconds
        self.received: HistogramCell = received
        self.sent: HistogramCell = sent

    def fold(self, exchanges: "list[Exchanged]", /) -> None:
        """Record requests; durations that are negative or not finite are counted, and refused.

        Args:
            exchanges: In the order in which they came.
        """
        seconds, received, sent = self.seconds, self.received, self.sent
        usable = [taken for taken, _, _, _ in exchanges if 0 <= taken < math.inf]
        if len(usable) < len(exchanges):
            seconds.engine.refuse(len(exchanges) - len(usable))
        in_sizes: list[float] = [size for _, size, _, _ in exchanges]
        out_sizes: list[float] = [size for _, _, size, _ in exchanges]
        number = len(exchanges)
        seconds_sum = summed(seconds.sum, usable)
        received_sum = summed(received.sum, in_sizes)
        sent_sum = summed(sent.sum, out_sizes)
        seconds_counts = counted(seconds, usable)
        received_counts = counted(received, in_sizes)
        sent_counts = counted(sent, out_sizes)
        sampled = [(taken, span) for taken, _, _, span in exchanges if span is not None]
        if sampled:
            keep_exemplars(seconds, sampled)
        # No call from here on: see Engine._fold_durations.
        self.total.total += number
        seconds.sum, received.sum, sent.sum = seconds_sum, received_sum, sent_sum
        seconds.counts = seconds_counts
        received.counts = received_counts
        sent.counts = sent_counts
