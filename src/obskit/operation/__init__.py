"""Operations: the only place where metrics, logs and spans meet."""

from obskit.operation._arguments import arg
from obskit.operation._current import current
from obskit.operation._error_types import ErrorTypes
from obskit.operation._fields import span_attributes, with_fixed
from obskit.operation._in_progress import InFlight, InProgress, in_flight
from obskit.operation._instrument_object import (
    Instrumentation,
    instrument_object,
    uninstrument,
)
from obskit.operation._methods import observe_methods
from obskit.operation._names import DEFAULT_NAMES, MetricNames
from obskit.operation._observe import Observation, observe
from obskit.operation._operation import Instrument, Operation
from obskit.operation._outcome import OUTCOMES, Outcome, outcome_of

__all__ = [
    "DEFAULT_NAMES",
    "OUTCOMES",
    "ErrorTypes",
    "InFlight",
    "InProgress",
    "Instrument",
    "Instrumentation",
    "MetricNames",
    "Observation",
    "Operation",
    "Outcome",
    "arg",
    "current",
    "in_flight",
    "instrument_object",
    "observe",
    "observe_methods",
    "outcome_of",
    "span_attributes",
    "uninstrument",
    "with_fixed",
]
