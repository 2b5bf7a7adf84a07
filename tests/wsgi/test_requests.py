"""One request over WSGI: what is counted, logged and traced of it."""

import gc
import io
import logging
from typing import Any
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from tests.kits.wsgi import converse, environment, gives, line, observed_app, unheard

import obskit
from obskit import control
from obskit.errors import DeclarationError
from obskit.instruments import AccessLog, HttpNames, RequestLabel
from obskit.testing import Observed, observing
from obskit.wsgi import ObservabilityMiddleware, instrument


def test_a_request_is_one_metric_one_line_and_one_span(observed: Observed) -> None:
    app = observed_app(gives(b"he", b"llo"), route=lambda environ: "/orders/{id}")
    reply = converse(
        app,
        "/orders/7",
        method="POST",
        body=b"abc",
        QUERY_STRING="page=2&token=secret",
        HTTP_HOST="shop.example:8080",
        HTTP_USER_AGENT="curl/8",
    )
    assert (reply.status, reply.body) == ("200 OK", b"hello")
    access = line(observed)
    assert access["logger"] == "obskit.access"
    assert (access["method"], access["route"]) == ("POST", "/orders/{id}")
    assert (access["status"], access["outcome"]) == (200, "ok")
    assert access["path"].startswith("/orders/7?page=2&token=")
    assert "secret" not in access["path"]
    assert (access["response_bytes"], access["client"]) == (5, "192.0.2.7")
    assert reply.header("x-request-id") == access["correlation_id"]
    assert reply.environ["obskit.correlation_id"] == access["correlation_id"]
    labels = {"method": "POST", "route": "/orders/{id}", "status": "200"}
    assert observed.metrics.delta("http_requests_total", **labels) == 1
    assert observed.metrics.delta("http_response_size_bytes_sum", route="/orders/{id}") == 5
    observed.operation("POST /orders/{id}").once().with_outcome("ok")
    span = observed.spans.one("POST /orders/{id}")
    assert span.kind is SpanKind.SERVER
    attributes = dict(span.attributes or {})
    assert attributes["http.request.method"] == "POST"
    assert attributes["url.path"] == "/orders/7"
    assert attributes["url.scheme"] == "http"
    assert attributes["network.protocol.version"] == "1.0"
    assert (attributes["server.address"], attributes["server.port"]) == ("shop.example", 8080)
    assert attributes["client.address"] == "192.0.2.7"
    assert attributes["user_agent.original"] == "curl/8"
    assert attributes["http.route"] == "/orders/{id}"
    assert attributes["http.response.status_code"] == 200
    assert observed.in_flight() == []


def test_the_request_is_current_while_the_application_runs_and_not_afterwards(
    observed: Observed,
) -> None:
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append((obskit.current().name, obskit.correlation_id()))
        obskit.current().set(order=7)
        obskit.bind(tenant="acme")
        assert observed.in_flight() == ["GET"]
        assert trace.get_current_span().is_recording()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    before = trace.get_current_span()
    reply = converse(observed_app(app))
    assert seen == [("GET", reply.header("x-request-id"))]
    assert (line(observed)["order"], line(observed)["tenant"]) == (7, "acme")
    assert obskit.current().name == ""
    assert obskit.correlation_id() is None
    assert trace.get_current_span() is before


def test_lines_and_operations_inside_belong_to_the_request(observed: Observed) -> None:
    @obskit.observe("inner")
    def inner() -> None:
        logging.getLogger("shop").warning("inside")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        inner()
        start_response("204 No Content", [])
        return []

    reply = converse(observed_app(app), HTTP_X_REQUEST_ID="mine-1")
    assert reply.header("x-request-id") == "mine-1"
    assert observed.logs.one(event="inside")["correlation_id"] == "mine-1"
    assert observed.spans.tree() == {"GET unmatched": {"inner": {}}}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"HTTP_X_REQUEST_ID": "a-1"}, "a-1"),
        ({"HTTP_X_CORRELATION_ID": "b-2"}, "b-2"),
        ({"HTTP_X_REQUEST_ID": "not valid!", "HTTP_X_CORRELATION_ID": "b-2"}, "b-2"),
        ({"HTTP_TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01"}, "a" * 32),
    ],
)
def test_the_id_that_a_request_comes_with(
    observed: Observed, headers: dict[str, str], expected: str
) -> None:
    assert converse(observed_app(gives(b"ok")), **headers).header("x-request-id") == expected


def test_an_id_of_the_application_s_own_is_replaced(observed: Observed) -> None:
    headers = [("Content-Type", "text/plain"), ("X-Request-ID", "theirs"), ("X-Request-ID", "two")]
    reply = converse(observed_app(gives(b"ok", headers=headers)))
    assert reply.header("x-request-id") == line(observed)["correlation_id"]
    assert len(headers) == 3, "the application's own list is left alone"


def test_an_id_that_the_application_binds_is_the_answer_s(observed: Observed) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        obskit.bind(correlation_id="job-42")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    assert converse(observed_app(app)).header("x-request-id") == "job-42"
    assert line(observed)["correlation_id"] == "job-42"


def test_the_caller_s_trace_is_continued(observed: Observed) -> None:
    parent = f"00-{'1' * 32}-{'2' * 16}-01"
    converse(observed_app(gives(b"ok")), HTTP_TRACEPARENT=parent)
    span = observed.spans.one("GET unmatched")
    assert span.parent is not None
    assert (span.context.trace_id, span.parent.span_id) == (int("1" * 32, 16), int("2" * 16, 16))


def test_a_span_around_is_told_of_the_request_and_there_is_no_other(observed: Observed) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = observed_app(gives(b"no", status="503 Service Unavailable"), route=lambda environ: "/x")
    with provider.get_tracer("host").start_as_current_span("theirs", kind=SpanKind.SERVER):
        converse(app)
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == {"obskit.outcome": "error"}
    assert observed.spans.tree() == {}


def test_headers_are_captured_by_name(observed: Observed) -> None:
    headers = [("Content-Type", "text/plain"), ("X-Region", "eu"), ("X-Region", "us")]
    app = observed_app(
        gives(b"ok", headers=headers),
        request_headers=["X-Tenant", "Content-Type", "Authorization"],
        response_headers=["X-Region", "X-Absent"],
    )
    converse(app, HTTP_X_TENANT="acme", CONTENT_TYPE="text/plain", HTTP_AUTHORIZATION="Bearer s3c")
    attributes = dict(observed.spans.one("GET unmatched").attributes or {})
    assert attributes["http.request.header.x-tenant"] == ("acme",)
    assert attributes["http.request.header.content-type"] == ("text/plain",)
    assert "s3c" not in str(attributes)
    assert attributes["http.response.header.x-region"] == ("eu",)
    assert "http.response.header.x-absent" not in attributes


@pytest.mark.parametrize(
    ("script", "path", "expected"),
    [
        ("", "/orders", "/orders"),
        ("/shop", "/orders", "/shop/orders"),
        ("/shop", "", "/shop"),
        ("", "", "/"),
        ("", "/caf\u00c3\u00a9", "/café"),
        ("", "/\u00e9", "/\ufffd"),
        ("/caf\u00c3\u00a9", "/x", "/café/x"),
    ],
)
def test_paths_are_decoded_as_the_specification_says(
    observed: Observed, script: str, path: str, expected: str
) -> None:
    converse(ObservabilityMiddleware(gives(b"ok")), path, SCRIPT_NAME=script)
    assert line(observed)["path"] == expected


def test_the_path_is_the_client_s_though_the_application_shifts_it(observed: Observed) -> None:
    """As dispatchers and Django do: the environment is one mutable dictionary."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/shop", "/orders"
        return gives(b"ok")(environ, start_response)  # type: ignore[no-any-return] # a list

    converse(ObservabilityMiddleware(app), "/shop/orders")
    assert line(observed)["path"] == "/shop/orders"


def test_unknown_methods_and_unmatched_paths_are_one_series(observed: Observed) -> None:
    app = ObservabilityMiddleware(gives(b"no", status="404 Not Found"))
    for number in range(20):
        converse(app, f"/{number}", method=f"BREW{number}")
    labels = {"method": "_OTHER", "route": "unmatched", "status": "404"}
    assert observed.metrics.delta("http_requests_total", **labels) == 20


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME"),
                *("SERVER_PORT", "SERVER_PROTOCOL", "REMOTE_ADDR", "CONTENT_LENGTH", "HTTP_HOST"),
                *("HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT", "HTTP_USER_AGENT", "wsgi.url_scheme"),
            ]
        ),
        st.text(),
    )
)
def test_no_environment_breaks_the_request(environ: dict[str, str]) -> None:
    """Whatever a client has made a server put into the environment, even nothing."""
    with observing() as observed:
        iterable: Any = ObservabilityMiddleware(gives(b"ok"))(dict(environ), unheard)
        assert list(iterable) == [b"ok"]
        iterable.close()
        assert observed.metrics.delta("http_requests_total", route="unmatched", status="200") == 1
        assert observed.internal_errors() == []


def test_excluded_paths_are_passed_through_unseen(observed: Observed) -> None:
    seen: list[str | None] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(obskit.correlation_id())
        return gives(b"ok")(environ, start_response)  # type: ignore[no-any-return] # a list

    checked = observed_app(app, excluded_paths=["/ping", "/static/*"])
    for path in ("/ping", "/ping/", "/static/a/b.css"):
        assert converse(checked, path).header("x-request-id") is None
    assert seen == [None, None, None]
    assert observed.logs.all(event="http request") == []
    assert converse(checked, "/metrics").header("x-request-id") is not None


def test_suppressed_requests_are_not_recorded(observed: Observed) -> None:
    with obskit.suppressed():
        assert converse(observed_app(gives(b"ok"))).header("x-request-id") is None
    assert observed.logs.all(event="http request") == []


def test_switched_off_while_it_runs(observed: Observed) -> None:
    app = observed_app(gives(b"ok"))
    converse(app)
    with control.disable("http request"):
        assert converse(app).header("x-request-id") is None
    with control.disable("http request", signals={"metric"}):
        converse(app)
    assert observed.metrics.delta("http_requests_total") == 1
    assert len(observed.logs.all(event="http request")) == 2


def test_a_request_is_counted_once_though_the_middleware_is_there_twice(
    observed: Observed,
) -> None:
    converse(observed_app(ObservabilityMiddleware(gives(b"ok"))))
    assert observed.metrics.delta("http_requests_total") == 1


def test_options_are_those_of_asgi(observed: Observed) -> None:
    app = observed_app(
        gives(b"ok"),
        names=HttpNames(requests="shop_requests_total", time_to_headers="shop_headers_seconds"),
        access_log=AccessLog(quiet_paths=["/quiet"]),
        labels={"tier": RequestLabel(lambda environ: environ["HTTP_X_TIER"], one_of=["gold"])},
        new_correlation_id=lambda: "made-here",
    )
    assert converse(app, "/quiet", HTTP_X_TIER="gold").header("x-request-id") == "made-here"
    converse(app, "/loud", HTTP_X_TIER="tin")
    assert observed.metrics.delta("shop_requests_total", tier="gold") == 1
    assert observed.metrics.delta("shop_requests_total", tier="other") == 1
    assert observed.metrics.delta("shop_headers_seconds_count") == 2
    assert line(observed)["path"] == "/loud"


def test_a_wrong_option_is_said_at_once() -> None:
    with pytest.raises(DeclarationError, match="convention"):
        ObservabilityMiddleware(gives(b"ok"), convention="statsd")  # type: ignore[arg-type] # wrong


def test_a_new_configuration_is_taken_up() -> None:
    app = ObservabilityMiddleware(gives(b"ok"))
    for _ in range(2):
        with observing() as observed:
            converse(app)
            assert observed.metrics.delta("http_requests_total") == 1


def test_a_hook_that_fails_leaves_the_request_alone(observed: Observed) -> None:
    app = observed_app(gives(b"ok"), route=lambda environ: environ["no such key"])
    assert converse(app).body == b"ok"
    assert line(observed)["route"] == "unmatched"
    assert {site for site, _ in observed.internal_errors()} == {"http.route"}


def test_a_path_that_is_no_text_leaves_the_request_alone(observed: Observed) -> None:
    app = ObservabilityMiddleware(gives(b"ok"))
    assert list(app(environment(b"/bytes"), unheard)) == [b"ok"]
    assert {site for site, _ in observed.internal_errors()} == {"wsgi.begin"}


def test_a_fault_in_the_beginning_leaves_the_request_alone(observed: Observed) -> None:
    app = ObservabilityMiddleware(gives(b"ok"))
    environ = environment()
    environ["HTTP_X_REQUEST_ID"] = 7  # not what a server may put there
    assert list(app(environ, unheard)) == [b"ok"]
    assert [site for site, _ in observed.internal_errors()] == ["wsgi.begin"]
    assert obskit.current().name == ""


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("odd", [("Content-Type", "text/plain")]),
        ("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "many")]),
        ("200 OK", None),
    ],
)
def test_an_odd_answer_reaches_the_server_as_it_is(
    observed: Observed, status: str, headers: Any
) -> None:
    """To refuse it is the server's business."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, headers)
        return [b"ok"]

    reply = converse(ObservabilityMiddleware(app))
    assert (reply.status, reply.body) == (status, b"ok")
    assert reply.headers is headers or reply.header("x-request-id")
    assert observed.in_flight() == []
    assert {site for site, _ in observed.internal_errors()} == {"wsgi.send"}


def test_the_input_is_counted_as_it_is_read(observed: Observed) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"]
        parts = [body.read(2), body.readline(), *body.readlines(3), *body]
        return gives(*parts)(environ, start_response)  # type: ignore[no-any-return] # a list

    text = b"one\ntwo\nthree\nfour\n"
    reply = converse(ObservabilityMiddleware(app), method="POST", body=text)
    assert reply.body == text
    assert line(observed)["request_bytes"] == len(text)


@pytest.mark.parametrize("way", ["read1", "readinto", "readinto1"])
def test_ways_to_read_that_only_some_servers_have_are_counted(observed: Observed, way: str) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        stream = environ["wsgi.input"]
        assert hasattr(stream, way)
        assert not hasattr(stream, "readelsewhere")
        if way == "read1":
            assert stream.read1(2) == b"ab"
        else:
            assert getattr(stream, way)(bytearray(2)) == 2
        assert stream.tell() == 2
        return gives(b"ok")(environ, start_response)  # type: ignore[no-any-return] # a list

    stream = io.BufferedReader(io.BytesIO(b"abc"))
    converse(
        ObservabilityMiddleware(app),
        method="PUT",
        **{"CONTENT_LENGTH": "3", "wsgi.input": stream},
    )
    assert line(observed)["request_bytes"] == 2


@pytest.mark.parametrize(
    ("given", "is_wrapped"),
    [
        ({}, False),
        ({"method": "DELETE", "CONTENT_LENGTH": "0"}, False),
        ({"CONTENT_LENGTH": "3"}, True),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, True),
        ({"method": "POST"}, True),
    ],
)
def test_only_the_input_of_requests_with_a_body_is_watched(
    observed: Observed, given: dict[str, str], is_wrapped: bool
) -> None:
    stream = io.BytesIO(b"abc")
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ["wsgi.input"] is not stream)
        return gives(b"ok")(environ, start_response)  # type: ignore[no-any-return] # a list

    more: dict[str, Any] = {**given, "wsgi.input": stream}
    converse(ObservabilityMiddleware(app), **more)
    assert seen == [is_wrapped]


def test_nothing_of_a_request_is_kept(observed: Observed) -> None:
    """Neither the error nor the frames: reference counting alone lets go of them."""

    class Big:
        alive = 0

        def __init__(self) -> None:
            type(self).alive += 1

        def __del__(self) -> None:
            type(self).alive -= 1

    def app(environ: Any, start_response: Any) -> Any:
        environ["big"] = Big()
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"ok"

    served = instrument(app)
    converse(served)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            converse(served)
        assert Big.alive == 0
    finally:
        gc.enable()


def test_the_application_is_validated_on_both_sides() -> None:
    """What holds the conversations above to the specification does notice faults."""

    def app(environ: Any, start_response: Any) -> list[Any]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ["text"]

    with pytest.raises(AssertionError):
        converse(validator(app))
