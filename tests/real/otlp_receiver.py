"""A strict OTLP/HTTP receiver for traces, in this process.

The protocol: https://opentelemetry.io/docs/specs/otlp/#otlphttp.
"""

import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span as it came over the wire, ids in hexadecimal."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


class HungUpError(Exception):
    """The receiver ends without having answered."""


class OtlpReceiver:
    """Listens on a loopback port and keeps what it is sent.

    Args:
        delay: Seconds from a request to its answer.
        hangs: Whether to never answer.

    Attributes:
        endpoint: What ``OTEL_EXPORTER_OTLP_ENDPOINT`` should be.
        faults: What was wrong with requests.
        asked: Set at the first request.
    """

    def __init__(self, *, delay: float = 0.0, hangs: bool = False) -> None:
        self.faults: list[str] = []
        self.asked = threading.Event()
        self.stopped = threading.Event()
        self._arrived = threading.Condition()
        self._spans: list[ReceivedSpan] = []
        self._delay = delay
        self._hangs = hangs
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def spans(self) -> list[ReceivedSpan]:
        """Return all spans so far."""
        with self._arrived:
            return list(self._spans)

    def wait_for(self, name: str, timeout: float = 20.0) -> ReceivedSpan:
        """Return the first span of a name, as soon as it is there."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: self._named(name), timeout)
            assert arrived, f"no span {name!r} within {timeout} s; there are {self._spans}"
            return arrived[0]

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keep a request's spans, late if that is asked for.

        Raises:
            HungUpError: In place of an answer.
        """
        self.asked.set()
        self.stopped.wait(None if self._hangs else self._delay)
        if self._hangs:
            raise HungUpError
        with self._arrived:
            self._spans.extend(_spans_of(request))
            self._arrived.notify_all()

    def _named(self, name: str) -> list[ReceivedSpan]:
        return [span for span in self._spans if span.name == name]


def _handler_of(receiver: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            try:
                receiver.take(self._parsed(body))
            except HungUpError:
                self.close_connection = True
            except Exception as fault:
                receiver.faults.append(repr(fault))
                self._answer(400, b"")
            else:
                self._answer(200, ExportTraceServiceResponse().SerializeToString())

        def _parsed(self, body: bytes) -> ExportTraceServiceRequest:
            assert self.path == "/v1/traces", self.path
            assert self.headers["Content-Type"] == PROTOBUF, self.headers["Content-Type"]
            request = ExportTraceServiceRequest()
            request.ParseFromString(body)
            return request

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", PROTOBUF)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            """Keep the test's output clean."""

    return Handler


def _spans_of(request: ExportTraceServiceRequest) -> list[ReceivedSpan]:
    return [
        _checked(
            ReceivedSpan(
                name=span.name,
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                parent_id=span.parent_span_id.hex(),
                attributes=_values(span.attributes),
                resource=_values(group.resource.attributes),
            ),
            ended_in_order=0 < span.start_time_unix_nano <= span.end_time_unix_nano,
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _checked(span: ReceivedSpan, *, ended_in_order: bool) -> ReceivedSpan:
    assert span.name
    assert len(span.trace_id) == 32
    assert len(span.span_id) == 16
    assert len(span.parent_id) in (0, 16)
    assert ended_in_order, span
    return span


def _values(pairs: "Iterable[KeyValue]") -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: "KeyValue") -> Any:
    kind = pair.value.WhichOneof("value")
    assert kind is not None, f"attribute {pair.key} has no value"
    return getattr(pair.value, kind)
