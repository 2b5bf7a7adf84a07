"""However an answer is made and however it ends, it is counted once, when it is closed."""

import gc
import io
import sys
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from opentelemetry.trace import StatusCode
from tests.kits.wsgi import Reply, converse, environment, gives, line, observed_app, unheard

import obskit
from obskit.clock import ManualClock
from obskit.testing import Observed, observing
from obskit.wsgi import ObservabilityMiddleware

PLAIN = [("Content-Type", "text/plain")]


class Closing:
    """An iterable that says when it is closed."""

    def __init__(self, *parts: bytes, error: BaseException | None = None) -> None:
        self.parts = iter(parts)
        self.error = error
        self.seen: list[Any] = []

    def __iter__(self) -> Any:
        self.seen.append(("iter", obskit.current().name))
        return self

    def __next__(self) -> bytes:
        self.seen.append(("next", obskit.current().name))
        return next(self.parts)

    def close(self) -> None:
        self.seen.append(("close", obskit.current().name))
        if self.error is not None:
            raise self.error


def returns(iterable: Any, status: str = "200 OK", headers: Any = PLAIN) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, list(headers))
        return iterable

    return app


def close_while_handling(iterable: Any, error: BaseException) -> None:
    """As servers do in their ``finally``."""
    try:
        raise error
    except type(error):
        iterable.close()


def test_the_request_is_current_in_each_step_and_lasts_until_it_is_closed(
    observed: Observed,
) -> None:
    body = Closing(b"one", b"two")
    iterable: Any = ObservabilityMiddleware(returns(body))(environment(), unheard)
    assert obskit.current().name == ""
    assert list(iterable) == [b"one", b"two"]
    assert obskit.current().name == ""
    assert observed.in_flight() == ["GET"]
    assert observed.logs.all(event="http request") == []
    iterable.close()
    assert body.seen == [
        *(("iter", "GET"), ("next", "GET"), ("next", "GET"), ("next", "GET")),
        ("close", "GET"),
    ]
    assert observed.in_flight() == []
    assert obskit.current().name == ""
    assert observed.metrics.delta("http_requests_total", status="200") == 1
    assert line(observed)["response_bytes"] == 6


def test_the_clock_runs_until_the_answer_is_closed() -> None:
    clock = ManualClock()

    def app(environ: Any, start_response: Any) -> Any:
        clock.advance(1)
        start_response("200 OK", PLAIN)
        clock.advance(1)
        yield b"one"
        clock.advance(1)

    with observing(clock) as observed:
        iterable: Any = ObservabilityMiddleware(app)(environment(), unheard)
        assert list(iterable) == [b"one"]
        clock.advance(4)
        iterable.close()
        assert line(observed)["duration_ms"] == 7000


def test_a_generator_starts_its_answer_late(observed: Observed) -> None:
    ids: list[str | None] = []

    def app(environ: Any, start_response: Any) -> Any:
        ids.append(obskit.correlation_id())
        start_response("201 Created", PLAIN)
        obskit.bind(step=1)
        yield b"one"
        ids.append(obskit.correlation_id())
        yield b"two"

    reply = converse(ObservabilityMiddleware(app))
    assert (reply.status, reply.body) == ("201 Created", b"onetwo")
    assert ids == [reply.header("x-request-id")] * 2
    assert (line(observed)["status"], line(observed)["step"]) == (201, 1)


def test_what_a_step_leaves_current_is_current_in_the_next(observed: Observed) -> None:
    """A block around a ``yield`` holds inside of the generator, and nowhere else."""
    seen: list[str] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        with obskit.observe("rendering"):
            yield b"one"
            seen.append(obskit.current().name)
        seen.append(obskit.current().name)

    iterable: Any = ObservabilityMiddleware(app)(environment(), unheard)
    assert next(iterable) == b"one"
    assert obskit.current().name == ""
    assert list(iterable) == []
    iterable.close()
    assert seen == ["rendering", "GET"]
    assert observed.spans.tree() == {"GET unmatched": {"rendering": {}}}


def test_the_old_way_to_write(observed: Observed) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"one")
        write(b"two")
        return [b"three"]

    assert converse(observed_app(app)).body == b"onetwothree"
    assert line(observed)["response_bytes"] == 11


def test_an_answer_begun_anew_for_an_error(observed: Observed) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raises(environ, start_response)
        except ValueError:
            start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"sorry"]

    reply = converse(observed_app(app))
    assert (reply.status, reply.body) == ("500 Oops", b"sorry")
    assert reply.header("x-request-id") == line(observed)["correlation_id"]
    assert (line(observed)["status"], line(observed)["outcome"]) == (500, "error")


def test_an_answer_begun_anew_too_late(observed: Observed) -> None:
    """The server raises the error then; what was sent is what counts."""
    error = ValueError("no")

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"half")
        info = (ValueError, error, error.__traceback__)
        start_response("500 Oops", [("Content-Type", "text/plain")], info)
        return []

    with pytest.raises(ValueError, match="no") as raised:
        converse(observed_app(app))
    assert raised.value is error
    access = line(observed)
    assert (access["status"], access["outcome"], access["response_bytes"]) == (200, "error", 4)


def test_an_answer_never_begun_is_left_to_the_server(observed: Observed) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        return []

    assert converse(ObservabilityMiddleware(app)).status is None
    assert (line(observed)["status"], line(observed)["outcome"]) == (500, "error")


def test_an_error_before_the_start_is_answered_and_goes_on(observed: Observed) -> None:
    error = ValueError("no")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        raise error

    reply = Reply({})
    with pytest.raises(ValueError, match="no") as raised:
        converse(observed_app(app), reply=reply)
    assert raised.value is error
    assert (reply.status, reply.body) == ("500 Internal Server Error", b"Internal Server Error")
    access = line(observed)
    assert reply.header("x-request-id") == access["correlation_id"]
    assert (access["level"], access["error_type"]) == ("error", "ValueError")
    assert access["exception"].endswith("ValueError: no")
    span = observed.spans.one("GET unmatched")
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]
    assert obskit.current().name == ""


def raises(environ: Any, start_response: Any) -> Any:
    raise ValueError("no")


def test_the_error_page_of_a_head_request_has_no_body(observed: Observed) -> None:
    reply = Reply({})
    with pytest.raises(ValueError, match="no"):
        converse(observed_app(raises), reply=reply, method="HEAD")
    assert (reply.body, reply.header("content-length")) == (b"", "21")


@pytest.mark.parametrize(
    "given",
    [{"HTTP_UPGRADE": "websocket"}, {"werkzeug.debug.preserve_context": [].append}],
    ids=["upgrade", "debugger"],
)
def test_errors_that_others_answer_for(observed: Observed, given: dict[str, Any]) -> None:
    reply = Reply({})
    with pytest.raises(ValueError, match="no"):
        converse(ObservabilityMiddleware(raises), reply=reply, **given)
    assert reply.status is None


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_belongs_to_the_host_is_never_swallowed_nor_answered(
    observed: Observed, kind: type[BaseException]
) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise kind

    reply = Reply({})
    with pytest.raises(kind):
        converse(ObservabilityMiddleware(app), reply=reply)
    assert reply.status is None
    assert observed.metrics.delta("http_requests_total") == 1
    assert obskit.correlation_id() is None


@pytest.mark.parametrize(
    ("fault", "sites"), [(BrokenPipeError(), []), (RuntimeError("not now"), ["wsgi.send"])]
)
def test_an_error_page_that_the_server_does_not_take(
    observed: Observed, fault: Exception, sites: list[str]
) -> None:
    def start_response(*_: Any) -> Any:
        def write(data: bytes) -> None:
            raise fault

        return write

    with pytest.raises(ValueError, match="no"):
        ObservabilityMiddleware(raises)(environment(), start_response)
    assert observed.metrics.delta("http_requests_total") == 1
    assert [site for site, _ in observed.internal_errors()] == sites


def test_an_error_in_the_middle(observed: Observed) -> None:
    error = ValueError("no")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        yield b"half"
        raise error

    with pytest.raises(ValueError, match="no") as raised:
        converse(ObservabilityMiddleware(app))
    assert raised.value is error
    access = line(observed)
    assert (access["status"], access["outcome"], access["response_bytes"]) == (200, "error", 4)
    assert access["error_type"] == "ValueError"
    assert access["correlation_id"]
    assert observed.metrics.delta("http_requests_total") == 1


def test_an_error_in_a_generator_before_the_start(observed: Observed) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        if environ:
            raise ValueError("no")
        yield b"never"

    reply = Reply({})
    with pytest.raises(ValueError, match="no"):
        converse(ObservabilityMiddleware(app), reply=reply)
    assert reply.status is None, "too late for the old way to write"
    assert (line(observed)["status"], line(observed)["outcome"]) == (500, "error")


def test_an_error_when_it_is_closed(observed: Observed) -> None:
    body = Closing(b"all", error=ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        converse(ObservabilityMiddleware(returns(body)))
    assert (line(observed)["status"], line(observed)["outcome"]) == (200, "error")
    assert obskit.current().name == ""


def test_an_error_that_an_operation_inside_has_logged_is_not_logged_again(
    observed: Observed,
) -> None:
    @obskit.observe("inner")
    def inner() -> None:
        raise ValueError("no")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        yield b"half"
        inner()

    with pytest.raises(ValueError, match="no"):
        converse(ObservabilityMiddleware(app))
    assert observed.logs.one(event="operation failed", operation="inner")["exception"]
    assert "exception" not in line(observed)
    assert line(observed)["error_type"] == "ValueError"


@pytest.mark.parametrize("fault", [None, BrokenPipeError(), ConnectionResetError()])
def test_a_client_that_goes_away_in_the_middle(observed: Observed, fault: OSError | None) -> None:
    body = Closing(b"one", b"two", b"three")
    app = ObservabilityMiddleware(returns(body))
    if fault is None:
        converse(app, take=1)
    else:
        with pytest.raises(type(fault)):
            converse(app, take=1, fault=fault)
    access = line(observed)
    assert (access["status"], access["outcome"]) == (499, "client_disconnect")
    assert body.seen[-1] == ("close", "GET")
    assert observed.metrics.delta("http_requests_total", status="499") == 1


def test_a_client_that_goes_away_before_the_first_part(observed: Observed) -> None:
    with pytest.raises(BrokenPipeError):
        converse(ObservabilityMiddleware(gives(b"one")), take=0, fault=BrokenPipeError())
    assert line(observed)["outcome"] == "client_disconnect"


def test_a_client_that_goes_away_while_the_last_part_is_sent(observed: Observed) -> None:
    iterable: Any = ObservabilityMiddleware(gives(b"all"))(environment(), unheard)
    assert list(iterable) == [b"all"]
    close_while_handling(iterable, BrokenPipeError())
    assert line(observed)["outcome"] == "client_disconnect"


def test_a_client_that_goes_away_while_it_is_written_to(observed: Observed) -> None:
    def start_response(*_: Any) -> Any:
        def write(data: bytes) -> None:
            raise ConnectionResetError

        return write

    def app(environ: Any, start: Any) -> Any:
        start("200 OK", PLAIN)(b"one")

    with pytest.raises(ConnectionResetError):
        ObservabilityMiddleware(app)(environment(), start_response)
    assert line(observed)["outcome"] == "client_disconnect"


def test_a_client_that_goes_away_while_it_is_read(observed: Observed) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError

    def app(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].read(3)

    with pytest.raises(ConnectionResetError):
        converse(ObservabilityMiddleware(app), **{"CONTENT_LENGTH": "3", "wsgi.input": Broken()})
    assert (line(observed)["status"], line(observed)["outcome"]) == (499, "client_disconnect")


def test_servers_have_names_of_their_own_for_a_client_that_has_gone(observed: Observed) -> None:
    class ClientDisconnected(Exception):  # noqa: N818 - as waitress calls it
        pass

    with pytest.raises(ClientDisconnected):
        converse(ObservabilityMiddleware(gives(b"1", b"2")), take=1, fault=ClientDisconnected())
    assert line(observed)["outcome"] == "client_disconnect"


def test_a_server_s_generator_that_is_closed(observed: Observed) -> None:
    """As middleware further out may be one: closed by what closes it."""
    app = ObservabilityMiddleware(gives(b"one", b"two"))

    def outer(environ: Any, start_response: Any) -> Any:
        iterable: Any = app(environ, start_response)
        try:
            yield from list(iter(iterable.__next__, b"two"))
        finally:
            iterable.close()

    converse(outer, take=1)
    assert line(observed)["outcome"] == "client_disconnect"


@pytest.mark.parametrize(
    ("app", "given", "take"),
    [
        (gives(b"one", b"two"), {"method": "HEAD"}, 1),
        (returns([], "304 Not Modified", []), {}, 0),
        (gives(b"one", headers=[*PLAIN, ("Content-Length", "3")]), {}, 1),
        (gives(b"one", b"two"), {}, 0),
    ],
    ids=["head", "not modified", "all that was announced", "never begun"],
)
def test_an_answer_that_is_not_exhausted_and_all_the_same_complete(
    observed: Observed, app: Any, given: dict[str, str], take: int
) -> None:
    converse(ObservabilityMiddleware(app), take=take, **given)
    assert line(observed)["outcome"] == "ok"


@pytest.mark.parametrize(
    ("fault", "outcome"), [(SystemExit(1), "error"), (TypeError("not bytes"), "error")]
)
def test_a_server_that_stops_for_another_reason(
    observed: Observed, fault: BaseException, outcome: str
) -> None:
    """Such as its own end, or a part that is not bytes: no client has gone."""
    with pytest.raises(type(fault)):
        converse(ObservabilityMiddleware(gives(b"one", b"two")), take=1, fault=fault)
    assert (line(observed)["status"], line(observed)["outcome"]) == (200, outcome)
    assert line(observed)["error_type"] == type(fault).__name__


def test_a_fault_of_the_server_s_after_the_answer_is_none_of_the_request_s(
    observed: Observed,
) -> None:
    iterable: Any = ObservabilityMiddleware(gives(b"all"))(environment(), unheard)
    assert list(iterable) == [b"all"]
    close_while_handling(iterable, RuntimeError())
    assert line(observed)["outcome"] == "ok"


def test_an_answer_that_nobody_closes_ends_when_it_is_let_go(observed: Observed) -> None:
    """As by test clients; the line carries the id all the same."""
    iterable: Any = ObservabilityMiddleware(gives(b"all"))(environment(), unheard)
    assert list(iterable) == [b"all"]
    assert observed.in_flight() == ["GET"]
    del iterable
    gc.collect()
    assert observed.in_flight() == []
    assert (line(observed)["outcome"], line(observed)["status"]) == ("ok", 200)
    assert line(observed)["correlation_id"]


def test_closing_twice_counts_once(observed: Observed) -> None:
    iterable: Any = ObservabilityMiddleware(gives(b"all"))(environment(), unheard)
    assert list(iterable) == [b"all"]
    iterable.close()
    iterable.close()
    assert observed.metrics.delta("http_requests_total") == 1


def test_a_length_is_kept_for_the_server(observed: Observed) -> None:
    """From a length of one, servers know the length of the body."""
    sized: Any = ObservabilityMiddleware(gives(b"all"))(environment(), unheard)
    assert len(sized) == 1
    unsized: Any = ObservabilityMiddleware(returns(iter([b"all"])))(environment(), unheard)
    assert not hasattr(unsized, "__len__")
    for iterable in (sized, unsized):
        iterable.close()


def test_what_is_not_bytes_is_left_to_the_server(observed: Observed) -> None:
    iterable: Any = ObservabilityMiddleware(returns([7]))(environment(), unheard)
    assert list(iterable) == [7]
    iterable.close()
    assert line(observed)["response_bytes"] == 0


def test_what_is_no_iterable_fails_as_without(observed: Observed) -> None:
    with pytest.raises(TypeError):
        converse(ObservabilityMiddleware(returns(None)))
    assert line(observed)["error_type"] == "TypeError"


def test_an_application_that_takes_the_connection(observed: Observed) -> None:
    """As one for WebSockets: what it returns may be a mark for the server."""
    mark = object()

    def app(environ: Any, start_response: Any) -> Any:
        return mark

    app = ObservabilityMiddleware(app)
    assert app(environment(HTTP_UPGRADE="websocket"), unheard) is mark
    assert (line(observed)["status"], line(observed)["outcome"]) == (101, "ok")
    assert obskit.current().name == ""


def test_an_application_that_takes_the_connection_and_raises(observed: Observed) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise StopIteration

    reply = Reply({})
    with pytest.raises(StopIteration):
        converse(ObservabilityMiddleware(app), reply=reply, HTTP_UPGRADE="websocket")
    assert reply.status is None
    assert line(observed)["outcome"] == "ok"


# Files


def sends_file(file: Any, headers: Any = PLAIN) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(headers))
        return environ["wsgi.file_wrapper"](file, 2)

    return app


def test_a_file_is_the_server_s_own_wrapper_and_ends_the_request(observed: Observed) -> None:
    """So that the server may send it by the operating system."""
    file = io.BytesIO(b"hello")
    app = ObservabilityMiddleware(sends_file(file, [*PLAIN, ("Content-Length", "5")]))
    environ = environment(**{"wsgi.file_wrapper": FileWrapper})
    iterable: Any = app(environ, unheard)
    assert type(iterable) is FileWrapper
    assert obskit.current().name == ""
    assert observed.in_flight() == ["GET"]
    iterable.close()
    assert file.closed
    assert (line(observed)["response_bytes"], line(observed)["outcome"]) == (5, "ok")
    assert observed.in_flight() == []


def test_a_file_whose_client_goes_away(observed: Observed) -> None:
    app = ObservabilityMiddleware(sends_file(io.BytesIO(b"hello")))
    given: dict[str, Any] = {"wsgi.file_wrapper": FileWrapper}
    with pytest.raises(BrokenPipeError):
        converse(app, take=1, fault=BrokenPipeError(), **given)
    assert line(observed)["outcome"] == "client_disconnect"


def test_a_file_for_a_head_request(observed: Observed) -> None:
    app = ObservabilityMiddleware(
        sends_file(io.BytesIO(b"hello"), [*PLAIN, ("Content-Length", "5")])
    )
    given: dict[str, Any] = {"method": "HEAD", "wsgi.file_wrapper": FileWrapper}
    converse(app, take=0, **given)
    assert line(observed)["response_bytes"] == 0


def test_another_iterable_where_the_server_can_send_files(observed: Observed) -> None:
    given: dict[str, Any] = {"wsgi.file_wrapper": FileWrapper}
    assert converse(ObservabilityMiddleware(gives(b"all")), **given).body == b"all"
    assert line(observed)["response_bytes"] == 3


def test_a_server_s_wrapper_that_takes_no_attributes_is_iterated_over(observed: Observed) -> None:
    class Rigid:
        __slots__ = ("_file",)

        def __init__(self, file: Any, size: int) -> None:
            self._file = file

        def __iter__(self) -> Any:
            return iter([self._file.read()])

        def close(self) -> None:
            self._file.close()

    file = io.BytesIO(b"hello")
    given: dict[str, Any] = {"wsgi.file_wrapper": Rigid}
    assert converse(ObservabilityMiddleware(sends_file(file)), **given).body == b"hello"
    assert file.closed
    assert line(observed)["response_bytes"] == 5


def test_a_server_that_knows_the_very_file(observed: Observed) -> None:
    """As uWSGI does: the request ends when it gets it."""
    file = io.BytesIO(b"hello")
    environ = environment(**{"wsgi.file_wrapper": lambda file, size: file})
    app = ObservabilityMiddleware(sends_file(file, [*PLAIN, ("Content-Length", "5")]))
    assert app(environ, unheard) is file
    assert line(observed)["response_bytes"] == 5
    assert observed.in_flight() == []


def test_a_wrapper_that_is_odd_does_no_harm(observed: Observed) -> None:
    class Odd(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            raise RuntimeError("odd")

    given: dict[str, Any] = {"wsgi.file_wrapper": Odd("Wrapper", (), {})}
    assert converse(ObservabilityMiddleware(gives(b"all")), **given).body == b"all"
    assert [site for site, _ in observed.internal_errors()] == ["wsgi.file"]


def test_an_upgrade_that_nobody_takes_hides_no_error(observed: Observed) -> None:
    reply = Reply({})
    with pytest.raises(ValueError, match="no"):
        converse(ObservabilityMiddleware(raises), reply=reply, HTTP_UPGRADE="websocket")
    assert observed.metrics.delta("http_requests_total", status="500") == 1


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
def test_an_upgrade_is_no_matter_for_an_application_that_begins_late(
    observed: Observed, protocol: str
) -> None:
    def late(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("content-type", "text/plain")])
        yield b"late"

    assert converse(observed_app(late), HTTP_UPGRADE=protocol).body == b"late"
    assert observed.metrics.delta("http_requests_total", status="200") == 1


def test_start_response_takes_its_arguments_by_name_too(observed: Observed) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status="200 OK", headers=[], exc_info=None)
        return [b"named"]

    assert converse(ObservabilityMiddleware(app)).body == b"named"
