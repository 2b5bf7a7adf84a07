"""Instrumentation for Python services: metrics, logs, spans and health from one declaration.

Describe a unit of work once; Prometheus metrics, JSON log lines with correlation ids and
OpenTelemetry spans follow from it. Nothing happens until you call `configure`.
"""

from obskit import control
from obskit._version import __version__
from obskit.context import bind, bound, correlation_id, suppressed
from obskit.errors import ObskitError
from obskit.logs import get_logger
from obskit.operation import (
    InFlight,
    MetricNames,
    Operation,
    arg,
    current,
    in_flight,
    instrument_object,
    observe,
    observe_methods,
    uninstrument,
)
from obskit.propagation import carry, extract, inject
from obskit.runtime import Runtime, configure, shutdown
from obskit.settings import Settings

__all__ = [
    "InFlight",
    "MetricNames",
    "ObskitError",
    "Operation",
    "Runtime",
    "Settings",
    "__version__",
    "arg",
    "bind",
    "bound",
    "carry",
    "configure",
    "control",
    "correlation_id",
    "current",
    "extract",
    "get_logger",
    "in_flight",
    "inject",
    "instrument_object",
    "observe",
    "observe_methods",
    "shutdown",
    "suppressed",
    "uninstrument",
]
