"""Counter, Gauge, Histogram and others like prometheus_client's, in its registries, and faster.

Recording never blocks: an observation is one append to a bounded buffer, folded in batches by
whoever fills one. It never fails in the caller, apart from the misuse that prometheus_client
refuses, too: missing labels, negative amounts of a counter, unknown states. Series are capped per
family.
"""

from obskit.metrics._allowed import OTHER, AllowedValues
from obskit.metrics._cells import CounterCell, GaugeCell, HistogramCell
from obskit.metrics._declare import declare, declared, registered, undeclare
from obskit.metrics._distributions import Histogram, Summary
from obskit.metrics._durations import OperationCells
from obskit.metrics._engine import BATCH, DurationSink, Engine, default_engine
from obskit.metrics._exchanges import ExchangeCells
from obskit.metrics._exposition import render
from obskit.metrics._facts import Enum, Info
from obskit.metrics._family import MAX_GROUPS, MAX_SERIES, OVERFLOW, Family, label_text
from obskit.metrics._instruments import Counter, Gauge
from obskit.metrics._internal import InternalMetrics, register_internal, unregister_internal
from obskit.metrics._spec import DEFAULT_BUCKETS, Kind, MetricSpec, check_label_names

__all__ = [
    "BATCH",
    "DEFAULT_BUCKETS",
    "MAX_GROUPS",
    "MAX_SERIES",
    "OTHER",
    "OVERFLOW",
    "AllowedValues",
    "Counter",
    "CounterCell",
    "DurationSink",
    "Engine",
    "Enum",
    "ExchangeCells",
    "Family",
    "Gauge",
    "GaugeCell",
    "Histogram",
    "HistogramCell",
    "Info",
    "InternalMetrics",
    "Kind",
    "MetricSpec",
    "OperationCells",
    "Summary",
    "check_label_names",
    "declare",
    "declared",
    "default_engine",
    "label_text",
    "register_internal",
    "registered",
    "render",
    "undeclare",
    "unregister_internal",
]
