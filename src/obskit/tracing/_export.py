"""Spans that never arrive are counted: ``obskit_dropped_spans_total``. Loads the SDK."""

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from obskit._guard import guard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan


class CountingExporter(SpanExporter):
    """Counts the spans of exports that fail, as ``export_failed``.

    Args:
        exporter: Sends them.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: "Sequence[ReadableSpan]") -> SpanExportResult:
        """Send spans.

        Args:
            spans: The spans.
        """
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
            return result
        finally:
            if result is not SpanExportResult.SUCCESS:
                guard.dropped_spans.add("export_failed", len(spans))

    def shutdown(self) -> None:
        """End the exporter."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Have the exporter send what it holds.

        Args:
            timeout_millis: How long it may take.
        """
        return self._exporter.force_flush(timeout_millis)


class CountingBatchProcessor(BatchSpanProcessor):
    """Counts the spans that push others out of a full queue, as ``queue_full``.

    What still waits when a shutdown is given up is not counted.
    """

    def on_end(self, span: "ReadableSpan") -> None:
        """Queue a span that has ended.

        Args:
            span: The span.
        """
        queue = _queue(self)
        sampled = span.context is not None and span.context.trace_flags.sampled
        if sampled and queue is not None and len(queue) == queue.maxlen:
            guard.dropped_spans.add("queue_full")
        super().on_end(span)


def _queue(processor: BatchSpanProcessor) -> Any:
    """Return the SDK's bounded deque of spans that wait; no public name leads to it."""
    inner = getattr(processor, "_batch_processor", processor)
    return getattr(inner, "_queue", getattr(inner, "queue", None))
