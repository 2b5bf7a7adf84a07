"""Trace context and baggage in headers."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.context import Context

import obskit
from obskit.testing import Observed
from obskit.tracing import (
    current_trace_ids,
    read_trace_headers,
    swap_trace_context,
    write_trace_headers,
)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEADERS = {"traceparent": PARENT, "tracestate": "a=1,b=2", "baggage": "tenant=acme"}


def test_what_is_read_is_written_again() -> None:
    outer = swap_trace_context(read_trace_headers(HEADERS, Context()))
    try:
        headers: dict[str, str] = {}
        write_trace_headers(headers)
        assert headers == HEADERS
        assert baggage.get_baggage("tenant") == "acme"
        assert current_trace_ids() == (
            "0af7651916cd43dd8448eb211c80319c",
            "b7ad6b7169203331",
        )
    finally:
        swap_trace_context(outer)
    assert current_trace_ids() is None


def test_without_a_span_nothing_is_written() -> None:
    headers: dict[str, str] = {}
    write_trace_headers(headers)
    assert headers == {}


@given(st.dictionaries(st.sampled_from(list(HEADERS)), st.text()))
def test_malformed_headers_are_ignored(headers: dict[str, str]) -> None:
    span = trace.get_current_span(read_trace_headers(headers, Context()))
    assert not span.get_span_context().is_valid


def test_reading_adds_to_the_current_context(observed: Observed) -> None:
    with obskit.observe("around"):
        kept = read_trace_headers({"baggage": "a=b"})
        assert trace.get_current_span(kept) is trace.get_current_span()
        assert baggage.get_baggage("a", kept) == "b"
    observed.operation("around").once()


def test_the_ids_are_those_of_this_thread(observed: Observed) -> None:
    seen: list[object] = []
    with obskit.observe("around"):
        thread = threading.Thread(target=lambda: seen.append(current_trace_ids()))
        thread.start()
        thread.join()
        assert current_trace_ids() is not None
    assert seen == [None]


@pytest.mark.parametrize("size", [513, 100_000])
def test_a_long_tracestate_is_bounded(size: int) -> None:
    state = ",".join(f"k{number}=v" for number in range(size))
    context = read_trace_headers({"traceparent": PARENT, "tracestate": state}, Context())
    assert len(trace.get_current_span(context).get_span_context().trace_state) <= 32
