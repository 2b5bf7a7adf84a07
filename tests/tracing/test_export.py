"""Spans that never arrive are counted."""

import threading
from collections import Counter
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from obskit._guard import guard
from obskit.tracing._export import CountingBatchProcessor, CountingExporter


class BackEnd(SpanExporter):
    """A back end that answers what a test says, when a test lets it."""

    def __init__(self, answer: SpanExportResult | Exception = SpanExportResult.SUCCESS) -> None:
        self.answer = answer
        self.asked, self.release = threading.Event(), threading.Event()
        self.release.set()
        self.names: list[str] = []
        self.ended = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.release.wait(30)
        if isinstance(self.answer, Exception):
            raise self.answer
        self.names += [span.name for span in spans]
        return self.answer

    def shutdown(self) -> None:
        self.ended = True

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return timeout_millis > 0


class Dropped:
    """The spans counted as dropped since the beginning of a test."""

    def __init__(self) -> None:
        self._before = Counter(guard.dropped_spans.counts())

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(guard.dropped_spans.counts()) - self._before)


@pytest.fixture
def dropped() -> Dropped:
    return Dropped()


def end_spans(provider: TracerProvider, number: int) -> None:
    for _ in range(number):
        provider.get_tracer("test").start_span("work").end()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (SpanExportResult.SUCCESS, {}),
        (SpanExportResult.FAILURE, {"export_failed": 3}),
        (OSError("no route to host"), {"export_failed": 3}),
    ],
)
def test_the_spans_of_a_failed_export_are_counted(
    answer: SpanExportResult | Exception, counts: dict[str, int], dropped: Dropped
) -> None:
    back_end = BackEnd(answer)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(CountingBatchProcessor(CountingExporter(back_end)))
    end_spans(provider, 3)
    provider.shutdown()
    assert back_end.ended
    assert dropped.counts == counts


@pytest.mark.parametrize(("sampler", "lost"), [(ALWAYS_ON, 3), (ALWAYS_OFF, 0)])
def test_spans_that_a_full_queue_has_no_room_for_are_counted(
    sampler: Sampler, lost: int, dropped: Dropped
) -> None:
    back_end = BackEnd()
    back_end.release.clear()
    processor = CountingBatchProcessor(
        CountingExporter(back_end), max_queue_size=4, max_export_batch_size=1
    )
    always = TracerProvider(shutdown_on_exit=False)
    always.add_span_processor(processor)
    provider = TracerProvider(shutdown_on_exit=False, sampler=sampler)
    provider.add_span_processor(processor)
    end_spans(always, 1)
    assert back_end.asked.wait(30)
    end_spans(always, 4)
    end_spans(provider, 3)
    assert dropped.counts == ({"queue_full": lost} if lost else {})
    back_end.release.set()
    always.shutdown()
    assert len(back_end.names) == 5


@pytest.mark.parametrize(("milliseconds", "flushed"), [(1, True), (0, False)])
def test_a_flush_is_the_exporters(milliseconds: int, flushed: bool) -> None:
    assert CountingExporter(BackEnd()).force_flush(milliseconds) is flushed
