"""Instrumentation for Python services: metrics, logs, spans and health from one declaration.

Describe a unit of work once; Prometheus metrics, JSON log lines with correlation ids and
OpenTelemetry spans follow from it. Nothing happens until you call `configure`.
"""

from obskit._version import __version__
from obskit.context import bind, bound, correlation_id
from obskit.errors import ObskitError
from obskit.logs import get_logger
from obskit.operation import MetricNames, Operation, arg, current, observe
from obskit.propagation import carry, extract, inject
from obskit.runtime import Runtime, configure, shutdown
from obskit.settings import Settings

__all__ = [
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
    "correlation_id",
    "current",
    "extract",
    "get_logger",
    "inject",
    "observe",
    "shutdown",
]
