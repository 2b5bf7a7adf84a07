"""Flask: instrumented in place, with its own routes, error pages and streams."""

import io
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import flask
import pytest
from flask import Flask, abort, request, send_file, stream_with_context
from opentelemetry.trace import StatusCode
from tests.kits.wsgi import converse, line
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import obskit
from obskit.errors import DeclarationError
from obskit.instruments import AccessLog
from obskit.testing import Observed
from obskit.wsgi import ObservabilityMiddleware, instrument


def shop() -> Flask:
    app = Flask("shop")
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.get("/orders/<int:order_id>")
    def read(order_id: int) -> dict[str, Any]:
        return {"id": order_id, "correlation_id": obskit.correlation_id()}

    @app.post("/orders")
    def create() -> str:
        return str(len(request.get_data()))

    @app.get("/fail")
    def fail() -> str:
        raise ValueError("no")

    @app.get("/gone")
    def gone() -> str:
        abort(410)

    @app.get("/stream/<name>")
    def stream(name: str) -> Any:
        def parts() -> Any:
            for number in range(3):
                yield f"{name} {number} {obskit.current().name} {request.path}\n"

        return stream_with_context(parts())

    return app


def get(app: Any, path: str, **given: Any) -> Any:
    """Ask as a server does: the answer is read, then closed."""
    return app.test_client().open(path, buffered=True, **given)


def test_it_is_the_same_object(observed: Observed) -> None:
    app = shop()
    assert instrument(app) is app
    response = get(app, "/orders/7")
    access = line(observed)
    assert (access["route"], access["path"]) == ("/orders/<int:order_id>", "/orders/7")
    assert response.json == {"id": 7, "correlation_id": access["correlation_id"]}
    assert response.headers.getlist("X-Request-ID") == [access["correlation_id"]]
    observed.operation("GET /orders/<int:order_id>").once().with_outcome("ok")
    assert observed.spans.tree() == {"GET /orders/<int:order_id>": {}}


def test_it_is_instrumented_once() -> None:
    app = instrument(shop())
    with pytest.raises(DeclarationError, match="instrumented already"):
        instrument(app)


def test_the_route_is_known_while_the_request_runs(observed: Observed) -> None:
    app = Flask("shop")

    @app.get("/slow/<name>")
    def slow(name: str) -> str:
        labels = {"method": "GET", "route": "/slow/<name>"}
        return str(observed.metrics.value("http_requests_in_progress", **labels))

    assert get(instrument(app), "/slow/x").text == "1"


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/nowhere", "GET", 404), ("/orders", "PATCH", 405)]
)
def test_what_no_route_matches(observed: Observed, path: str, method: str, status: int) -> None:
    assert get(instrument(shop()), path, method=method).status_code == status
    assert (line(observed)["route"], line(observed)["status"]) == ("unmatched", status)


def test_blueprints_and_static_files(observed: Observed, tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("x")
    app = Flask("shop", static_folder=str(tmp_path), static_url_path="/static")
    blueprint = flask.Blueprint("api", __name__, url_prefix="/api/<tenant>")
    blueprint.add_url_rule("/items/<uuid:item>", view_func=lambda tenant, item: tenant)
    app.register_blueprint(blueprint)
    instrument(app)
    get(app, "/api/acme/items/8f14e45f-ceea-467f-a0d6-1b2c3d4e5f60")
    get(app, "/static/a.css")
    routes = [access["route"] for access in observed.logs.all(event="http request")]
    assert routes == ["/api/<tenant>/items/<uuid:item>", "/static/<path:filename>"]


def test_the_body_is_counted(observed: Observed) -> None:
    assert get(instrument(shop()), "/orders", method="POST", data=b"x" * 300).text == "300"
    assert (line(observed)["request_bytes"], line(observed)["response_bytes"]) == (300, 3)


def test_a_stream_belongs_to_the_request_until_it_is_closed(observed: Observed) -> None:
    response = instrument(shop()).test_client().get("/stream/a")
    assert observed.in_flight() == ["GET"]
    assert response.text == "a 0 GET /stream/a\na 1 GET /stream/a\na 2 GET /stream/a\n"
    assert observed.in_flight() == ["GET"]
    response.close()
    assert line(observed)["route"] == "/stream/<name>"


def test_an_error_page_of_flask_s_own(observed: Observed) -> None:
    """Flask logs the error and answers; line and span name it, and it is logged once."""
    response = get(instrument(shop()), "/fail")
    access = line(observed)
    assert response.status_code == 500
    assert response.headers["X-Request-ID"] == access["correlation_id"]
    assert (access["route"], access["error_type"]) == ("/fail", "ValueError")
    assert "exception" not in access
    flask_line = observed.logs.one(logger="shop")
    assert flask_line["exception"].endswith("ValueError: no")
    assert flask_line["correlation_id"] == access["correlation_id"]
    span = observed.spans.one("GET /fail")
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


def test_an_http_error_is_no_fault(observed: Observed) -> None:
    get(instrument(shop()), "/gone")
    assert (line(observed)["status"], line(observed)["outcome"]) == (410, "ok")


def test_an_error_that_propagates(observed: Observed) -> None:
    app = shop()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ValueError, match="no"):
        get(instrument(app), "/fail")
    access = line(observed)
    assert (access["route"], access["status"], access["outcome"]) == ("/fail", 500, "error")
    assert access["exception"].endswith("ValueError: no")


def test_flask_s_debugger_shows_its_page(observed: Observed) -> None:
    app = shop()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    reply = converse(DebuggedApplication(instrument(app), evalex=True), "/fail")
    assert reply.status == "500 INTERNAL SERVER ERROR"
    assert b"ValueError: no" in reply.body
    assert line(observed)["error_type"] == "ValueError"


def test_files_are_sent_by_the_server(observed: Observed, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"x" * 1000)
    app = Flask("shop")
    app.add_url_rule("/file", view_func=lambda: send_file(path))
    environ: dict[str, Any] = {"wsgi.file_wrapper": FileWrapper}
    assert converse(instrument(app), "/file", **environ).body == b"x" * 1000
    assert (line(observed)["response_bytes"], line(observed)["outcome"]) == (1000, "ok")


def test_middleware_around_and_inside(observed: Observed) -> None:
    """The route is found through other middleware, and an error's route as well."""
    app = shop()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign] # as Flask says
    served = DispatcherMiddleware(ObservabilityMiddleware(app), {})
    converse(served, "/orders/7", HTTP_X_FORWARDED_FOR="203.0.113.9")
    assert line(observed)["route"] == "/orders/<int:order_id>"
    assert line(observed)["client"] == "203.0.113.9"
    with pytest.raises(ValueError, match="no"):
        converse(served, "/fail")
    observed.operation("GET /fail").once()


def test_the_hook_wins_and_can_ask_what_was_found(observed: Observed) -> None:
    """Such as for a Flask that is mounted below another application."""
    served = ObservabilityMiddleware(
        DispatcherMiddleware(Flask("top"), {"/shop": shop()}),
        route=lambda environ: f"/shop{environ['obskit.route']}",
    )
    converse(served, "/shop/orders/7")
    assert line(observed)["route"] == "/shop/orders/<int:order_id>"
    assert line(observed)["path"] == "/shop/orders/7"


def test_requests_that_are_not_recorded_leave_nothing_behind(observed: Observed) -> None:
    app = instrument(shop(), excluded_paths=["/fail"])
    with app.test_client() as client:
        environ = client.get("/fail", buffered=True).request.environ
    assert [key for key in environ if key.startswith("obskit")] == []
    assert observed.logs.all(event="http request") == []


def test_an_error_is_not_kept(observed: Observed) -> None:
    app = instrument(shop())
    environ = get(app, "/fail").request.environ
    assert "obskit.error" not in environ


def test_a_request_within_a_request_is_one_of_its_own(observed: Observed) -> None:
    app = shop()
    app.add_url_rule("/outer", view_func=lambda: get(app, "/orders/7").text)
    get(instrument(app), "/outer", headers={"X-Request-ID": "outer-1"})
    inner, outer = observed.logs.all(event="http request")
    assert (inner["route"], outer["route"]) == ("/orders/<int:order_id>", "/outer")
    assert inner["correlation_id"] != outer["correlation_id"] == "outer-1"


def test_a_sample_of_the_lines(observed: Observed) -> None:
    app = instrument(shop(), access_log=AccessLog(sample=0))
    get(app, "/orders/7")
    get(app, "/fail")
    assert line(observed)["route"] == "/fail"


def test_uploads(observed: Observed) -> None:
    app = Flask("shop")
    app.add_url_rule("/up", view_func=lambda: str(len(request.files["f"].read())), methods=["POST"])
    data = {"f": (io.BytesIO(b"y" * 5000), "y.bin")}
    assert get(instrument(app), "/up", method="POST", data=data).text == "5000"
    assert line(observed)["request_bytes"] > 5000


def test_the_span_inside_is_told_where_the_server_s_is_known(observed: Observed) -> None:
    """The address of a server as a gateway tells it, where the client does not."""
    environ = {"SERVER_NAME": "shop.internal", "SERVER_PORT": "8443", "wsgi.url_scheme": "https"}
    app = instrument(shop())

    def served(given: Any, start_response: Any) -> Any:
        del given["HTTP_HOST"]
        return app(given, start_response)

    converse(served, "/orders/7", **environ)
    attributes = dict(observed.spans.one("GET /orders/<int:order_id>").attributes or {})
    assert (attributes["server.address"], attributes["server.port"]) == ("shop.internal", 8443)
    assert attributes["url.scheme"] == "https"


def test_an_error_that_is_told_outside_of_any_request(observed: Observed) -> None:
    """As a program may that sends Flask's signals by itself."""
    app = instrument(shop())
    flask.got_request_exception.send(app, exception=ValueError("no"))
    assert [site for site, _ in observed.internal_errors()] == ["wsgi.frameworks"]
