"""Operations: the only place where metrics, logs and spans meet."""

from obskit.operation._arguments import arg
from obskit.operation._in_progress import InProgress
from obskit.operation._names import DEFAULT_NAMES, OUTCOMES, MetricNames, Outcome
from obskit.operation._observe import Observation, observe
from obskit.operation._operation import (
    Instrument,
    Operation,
    current,
    outcome_of,
    span_attributes,
    with_fixed,
)

__all__ = [
    "DEFAULT_NAMES",
    "OUTCOMES",
    "InProgress",
    "Instrument",
    "MetricNames",
    "Observation",
    "Operation",
    "Outcome",
    "arg",
    "current",
    "observe",
    "outcome_of",
    "span_attributes",
    "with_fixed",
]
