"""HTTP requests as a server sees them: metrics, the access line, the server span."""

from obskit.instruments.http._access_log import AccessLog
from obskit.instruments.http._inbound import Inbound
from obskit.instruments.http._instrument import HttpInstrument, InboundInstrument
from obskit.instruments.http._names import (
    DEFAULT_HTTP_NAMES,
    LONG_BUCKETS,
    OTEL_HTTP_NAMES,
    HttpNames,
)
from obskit.instruments.http._options import HttpOptions, HttpPlan, RequestLabel
from obskit.instruments.http._paths import (
    ROUTE,
    UNMATCHED,
    PathSet,
    below_root,
    checked_metrics_path,
    plain_path,
)
from obskit.instruments.http._request import HttpRequest
from obskit.instruments.http._span import await_host, describe_host_span, meet_host
from obskit.instruments.http._websocket import CLOSE_CLASSES, WebSocketConnection
from obskit.instruments.http._websocket_instrument import WebSocketInstrument
from obskit.instruments.http._websocket_names import DEFAULT_WEBSOCKET_NAMES, WebSocketNames

__all__ = [
    "CLOSE_CLASSES",
    "DEFAULT_HTTP_NAMES",
    "DEFAULT_WEBSOCKET_NAMES",
    "LONG_BUCKETS",
    "OTEL_HTTP_NAMES",
    "ROUTE",
    "UNMATCHED",
    "AccessLog",
    "HttpInstrument",
    "HttpNames",
    "HttpOptions",
    "HttpPlan",
    "HttpRequest",
    "Inbound",
    "InboundInstrument",
    "PathSet",
    "RequestLabel",
    "WebSocketConnection",
    "WebSocketInstrument",
    "WebSocketNames",
    "await_host",
    "below_root",
    "checked_metrics_path",
    "describe_host_span",
    "meet_host",
    "plain_path",
]
