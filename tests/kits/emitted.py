"""What operations leave behind where nothing records them, so that their hot path is at work."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

import obskit
from obskit._guard import guard
from obskit.runtime import Runtime


class Emitted:
    """One configuration, and what has come of it.

    Attributes:
        registry: Where its metrics are.
        provider: Where its spans go; further processors may be added.
        faults: Faults of obskit's own: sites and errors.
    """

    def __init__(self, faults: list[tuple[str, Exception]], **provider: Any) -> None:
        self.registry = CollectorRegistry()
        self.provider = TracerProvider(**provider)
        self.faults = faults
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def configure(self, **settings: Any) -> Runtime:
        """Configure obskit so that everything comes here."""
        own: dict[str, Any] = {"registry": self.registry, "logging": "off", "tracing": "off"}
        return obskit.configure(**{**own, **settings})

    def count(self, **labels: str) -> int:
        """Return how many operations have ended; with labels, those that have these."""
        return int(sum(self.samples("operations_total", **labels)))

    def samples(self, name: str, **labels: str) -> list[float]:
        """Return the values of all samples of a name that have these labels."""
        return [
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """Return the spans that have ended, of one name if given."""
        ended = self._exporter.get_finished_spans()
        return [span for span in ended if name is None or span.name == name]

    def span(self, name: str) -> ReadableSpan:
        """Return the only span of a name."""
        (span,) = self.spans(name)
        return span


def ids(span: ReadableSpan) -> tuple[int, int]:
    """Return the ids of a span's trace and of the span."""
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


async def until(holds: Callable[[], object]) -> None:
    """Let other tasks run until something holds."""
    while not holds():  # noqa: ASYNC110 - it is no event, but what they have done
        await asyncio.sleep(0)


@contextmanager
def emitting(*, traced: bool = False, provider: Any = None, **settings: Any) -> Generator[Emitted]:
    """Configure obskit for the block without a recorder.

    Args:
        traced: Whether there are spans.
        provider: Keywords for the tracer provider.
        settings: Further settings.
    """
    with ExitStack() as stack:
        emitted = Emitted(stack.enter_context(guard.recording()), **(provider or {}))
        stack.callback(emitted.provider.shutdown)
        tracing = {"tracing": emitted.provider} if traced else {}
        stack.enter_context(emitted.configure(**{**tracing, **settings}))
        yield emitted
