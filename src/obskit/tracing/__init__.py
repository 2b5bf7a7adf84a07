"""OpenTelemetry spans: set-up, the current span, propagation. The SDK loads only when asked for."""

from obskit.tracing._propagation import read_trace_headers, write_trace_headers
from obskit.tracing._setup import Tracing, host_provider, set_up_tracing
from obskit.tracing._spans import (
    current_local_span,
    current_trace_ids,
    end_span,
    swap_trace_context,
)

__all__ = [
    "Tracing",
    "current_local_span",
    "current_trace_ids",
    "end_span",
    "host_provider",
    "read_trace_headers",
    "set_up_tracing",
    "swap_trace_context",
    "write_trace_headers",
]
