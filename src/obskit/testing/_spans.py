"""Assertions on spans."""

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from obskit.testing._listing import listing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


class Spans:
    """The spans that have ended in a test."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.processor: SimpleSpanProcessor = SimpleSpanProcessor(self._exporter)

    def all(self, name: str | None = None) -> "list[ReadableSpan]":
        """Return the spans in the order in which they began.

        Args:
            name: Only those of this name.
        """
        spans = sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
        return [span for span in spans if name is None or span.name == name]

    def one(self, name: str) -> "ReadableSpan":
        """Assert that exactly one span has this name, and return it.

        Args:
            name: The span's name.
        """
        found = self.all(name)
        if len(found) != 1:
            raise AssertionError(
                f"{len(found)} spans, not 1, are called {name!r}"
                + listing("spans", (span.name for span in self.all()))
            )
        return found[0]

    def tree(self) -> dict[str, Any]:
        """Return the spans as nested dicts of names: children inside their parents.

        Siblings of the same name are one entry, with the children of all of them.
        """
        spans = self.all()
        known = {span.context.span_id for span in spans if span.context}
        roots = [span for span in spans if span.parent is None or span.parent.span_id not in known]
        return self._subtree(roots, spans)

    def _subtree(self, level: "list[ReadableSpan]", spans: "list[ReadableSpan]") -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for name in dict.fromkeys(span.name for span in level):
            parents = {span.context.span_id for span in level if span.name == name and span.context}
            children = [span for span in spans if span.parent and span.parent.span_id in parents]
            tree[name] = self._subtree(children, spans)
        return tree
