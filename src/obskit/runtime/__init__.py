"""What is configured now: the only package with state of its own.

Everything else takes what it needs as an argument or asks `active_runtime`.
"""

from obskit.runtime._configure import active_runtime, configure, redirected, shutdown
from obskit.runtime._runtime import Backends, Runtime
from obskit.runtime._store import MetricStore, keep_in_flight
from obskit.runtime._switches import (
    SIGNALS,
    Signal,
    Switch,
    dependents,
    disable,
    disabled,
    enable,
    enabled_signals,
)

__all__ = [
    "SIGNALS",
    "Backends",
    "MetricStore",
    "Runtime",
    "Signal",
    "Switch",
    "active_runtime",
    "configure",
    "dependents",
    "disable",
    "disabled",
    "enable",
    "enabled_signals",
    "keep_in_flight",
    "redirected",
    "shutdown",
]
