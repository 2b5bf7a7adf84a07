"""Counter, Gauge and Histogram like prometheus_client's, in its registries, and faster.

Recording never blocks and never fails in the caller: an observation is one append to a bounded
buffer, folded in batches by whoever fills one. Series are capped per family.
"""

from obskit.metrics._cells import CounterCell, GaugeCell, HistogramCell
from obskit.metrics._declare import declare, declared, undeclare
from obskit.metrics._engine import Engine, default_engine
from obskit.metrics._exposition import render
from obskit.metrics._family import MAX_GROUPS, MAX_SERIES, OVERFLOW, Family, label_text
from obskit.metrics._instruments import Counter, Gauge, Histogram
from obskit.metrics._internal import InternalMetrics, register_internal, unregister_internal
from obskit.metrics._spec import DEFAULT_BUCKETS, Kind, MetricSpec, check_label_names

__all__ = [
    "DEFAULT_BUCKETS",
    "MAX_GROUPS",
    "MAX_SERIES",
    "OVERFLOW",
    "Counter",
    "CounterCell",
    "Engine",
    "Family",
    "Gauge",
    "GaugeCell",
    "Histogram",
    "HistogramCell",
    "InternalMetrics",
    "Kind",
    "MetricSpec",
    "check_label_names",
    "declare",
    "declared",
    "default_engine",
    "label_text",
    "register_internal",
    "render",
    "undeclare",
    "unregister_internal",
]
