"""Spans on the wire: what an OTLP collector gets from programs that use obskit."""

import json
import signal
import sys
import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from .otlp_receiver import OtlpReceiver, ReceivedSpan
from .programs import EXAMPLES, free_port, run_example, running, stop, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator
    from pathlib import Path

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
SLACK = 3.0
"""Seconds that a busy machine may add to a deadline; without one the exporter gives up after 10."""


@pytest.fixture
def receiver() -> "Generator[OtlpReceiver]":
    with OtlpReceiver() as receiver:
        yield receiver
        assert receiver.faults == []


def exporting_to(receiver: OtlpReceiver) -> dict[str, str]:
    return {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
    }


def log_lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def tree(spans: list[ReceivedSpan], parent: str = "") -> list[Any]:
    """Return names nested as the parent links say, sorted."""
    return sorted(
        [span.name, *tree(spans, span.span_id)] for span in spans if span.parent_id == parent
    )


def test_every_span_of_a_program_arrives_with_its_parent_and_its_service(
    receiver: OtlpReceiver,
) -> None:
    run_example("quickstart", **exporting_to(receiver))

    whole = ["job", ["invoice.render", ["invoice.lines"]], ["invoice.send"]]
    spans = receiver.spans()
    assert tree(spans) == [whole] * 3
    for span in spans:
        assert span.resource["service.name"] == "invoicing"
        assert span.resource["service.version"] == "1.0.0"


def test_log_lines_name_the_trace_and_the_span_that_arrive(receiver: OtlpReceiver) -> None:
    lines = log_lines(run_example("quickstart", **exporting_to(receiver)))

    spans = {(span.trace_id, span.span_id): span for span in receiver.spans()}
    named = [
        (line["event"], spans[line["trace_id"], line["span_id"]].name)
        for line in lines
        if "trace_id" in line
    ]
    assert sorted(named) == [
        ("invoice sent", "invoice.send"),
        ("invoice sent", "invoice.send"),
        ("operation failed", "invoice.send"),
        ("operation slow", "invoice.render"),
    ]
    assert len({span.trace_id for span in spans.values()}) == 3


def test_labels_attributes_and_errors_are_on_the_spans(receiver: OtlpReceiver) -> None:
    run_example("quickstart", **exporting_to(receiver))

    failed = [s for s in receiver.spans() if s.attributes.get("obskit.outcome") == "error"]
    assert sorted(span.name for span in failed) == ["invoice.send", "job"]
    assert {span.attributes["error.type"] for span in failed} == {"NothingToBillError"}
    (job,) = [span for span in failed if span.name == "job"]
    assert job.attributes["kind"] == "invoice"
    assert job.attributes["order_id"] == 2


def test_without_the_environment_nothing_is_sent(receiver: OtlpReceiver) -> None:
    lines = log_lines(run_example("quickstart", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint))

    assert not receiver.asked.is_set()
    assert not any("trace_id" in line for line in lines)


@contextmanager
def serving(
    receiver: OtlpReceiver, tmp_path: "Path"
) -> "Generator[tuple[subprocess.Popen[bytes], str]]":
    """Keep the order service running, with its log in ``service.log``; give its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(
        [sys.executable, "app.py", "--port", str(port)],
        tmp_path / "service.log",
        EXAMPLES / "fastapi_service",
        OBSKIT_SHUTDOWN_TIMEOUT="4",
        **exporting_to(receiver),
    ) as service:
        until("the service is ready", lambda: httpx.get(f"{url}/readyz").is_success)
        yield service, url


def test_a_service_continues_its_clients_trace_and_loses_no_span_when_it_is_stopped(
    receiver: OtlpReceiver, tmp_path: "Path"
) -> None:
    with serving(receiver, tmp_path) as (service, url):
        response = httpx.post(
            f"{url}/orders",
            json={"item": "mug", "quantity": 2},
            headers={"traceparent": f"00-{TRACE}-{CALLER}-01"},
        )
        assert response.status_code == 201
        stop(service)

    spans = receiver.spans()
    assert tree(spans, CALLER) == [["POST /orders", ["charge_card"], ["price_order"]]]
    assert {span.trace_id for span in spans} == {TRACE}
    lines = log_lines((tmp_path / "service.log").read_text())
    traced = [line["event"] for line in lines if line.get("trace_id") == TRACE]
    assert traced == ["order placed", "http request"]


def test_an_application_without_lifespan_loses_no_span_when_it_is_stopped(
    receiver: OtlpReceiver, tmp_path: "Path"
) -> None:
    """A signal that has stopped uvicorn is raised again: no ``atexit`` runs."""
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port)]
    log, folder = tmp_path / "log", EXAMPLES / "plain_asgi"
    with running(command, log, folder, **exporting_to(receiver)) as service:
        url = f"http://127.0.0.1:{port}"
        until("the service is ready", lambda: httpx.get(f"{url}/readyz").is_success)
        assert httpx.get(f"{url}/greetings/ann").text == "Hello, ann!\n"
        stop(service)

    assert tree(receiver.spans()) == [["GET /greetings/{name}", ["greet"]]]
    assert "Traceback" not in log.read_text()


def test_a_slow_collector_still_gets_every_span() -> None:
    with OtlpReceiver(delay=1.0) as receiver:
        began = time.monotonic()
        lines = log_lines(run_example("quickstart", **exporting_to(receiver)))
        took = time.monotonic() - began

    assert [span.name for span in receiver.spans()].count("job") == 3
    assert len(receiver.spans()) == 12
    assert any(line["event"] == "batch done" for line in lines)
    assert took >= 1.0  # it has waited for the answer


def test_a_collector_that_hangs_holds_up_the_exit_no_longer_than_the_deadline() -> None:
    with OtlpReceiver(hangs=True) as receiver:
        lines = log_lines(
            run_example("quickstart", OBSKIT_SHUTDOWN_TIMEOUT="1.5", **exporting_to(receiver))
        )
        ended = time.time()
        assert receiver.asked.is_set()

    done, gave_up = lines[-2:]
    assert done["event"] == "batch done"
    assert gave_up["event"].startswith("obskit had an internal error in tracing.shutdown")
    assert 1.5 <= ended - datetime.fromisoformat(done["timestamp"]).timestamp() < 1.5 + SLACK


def test_a_service_stopped_before_a_collector_that_hangs_ends_within_the_deadline(
    tmp_path: "Path",
) -> None:
    with OtlpReceiver(hangs=True) as receiver, serving(receiver, tmp_path) as (service, url):
        assert httpx.get(f"{url}/orders/1").status_code == 404
        service.send_signal(signal.SIGINT)  # the way out through atexit: it must not wait twice
        began = time.monotonic()
        service.wait(10)

        assert receiver.asked.is_set()
        assert 4 <= time.monotonic() - began < 4 + SLACK


def test_a_collector_that_is_not_there_changes_nothing() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    output = run_example(
        "quickstart",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=nobody,
        OBSKIT_SHUTDOWN_TIMEOUT="1.5",
    )

    assert (
        'operations_total{error_type="",kind="invoice",operation="job",outcome="ok"} 2.0' in output
    )
