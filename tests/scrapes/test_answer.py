"""The answer to a scrape without an event loop: for interfaces that have none."""

import gzip
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter
from tests.kits.gate import Gate

import obskit
from obskit._scrapes import Answer, metrics_answer

TOKEN = "s3cr3t-token"


@pytest.fixture(scope="module")
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("visits", "Visits.", registry=registry).inc()
    return registry


def test_a_page(registry: CollectorRegistry) -> None:
    status, headers, body = metrics_answer("GET", {}, registry=registry)
    page = b"".join(body)
    assert status == 200
    assert b"visits_total 1.0\n" in page
    assert headers == [
        ("content-type", "text/plain; version=0.0.4; charset=utf-8"),
        ("vary", "accept, accept-encoding"),
        ("cache-control", "no-store"),
        ("content-length", str(len(page))),
    ]


def test_head_has_the_headers_of_get(registry: CollectorRegistry) -> None:
    got, head = [metrics_answer(method, {}, registry=registry) for method in ("GET", "HEAD")]
    assert head == Answer(200, got.headers, ())


def test_what_headers_and_query_ask_for(registry: CollectorRegistry) -> None:
    asked = {"accept": "application/openmetrics-text", "accept-encoding": "gzip"}
    _, headers, body = metrics_answer("GET", asked, "name[]=other", registry=registry)
    assert ("content-encoding", "gzip") in headers
    assert gzip.decompress(b"".join(body)) == b"# EOF\n"


def test_the_token_is_an_argument_or_a_setting(registry: CollectorRegistry) -> None:
    given = {"authorization": f"Bearer {TOKEN}"}
    assert metrics_answer("GET", {}, token=TOKEN, registry=registry).status == 401
    assert metrics_answer("GET", given, token=TOKEN, registry=registry).status == 200
    with obskit.configure(metrics_token=TOKEN, logging="off"):
        assert metrics_answer("GET", {}, registry=registry).status == 401
        assert metrics_answer("GET", given, registry=registry).status == 200


@given(text=st.text(st.characters()))
@example(text="\ud800")
def test_no_other_text_is_the_token(registry: CollectorRegistry, text: str) -> None:
    """Lone surrogates, which no encoding has bytes for, among them."""
    given = {"authorization": f"Bearer {text}"}
    answer = metrics_answer("GET", given, token=TOKEN, registry=registry)
    assert answer.status == 401
    assert ("www-authenticate", "Bearer") in answer.headers


@given(
    accept=st.text(), encoding=st.text(alphabet="gzip*identy;q=.01, "), query=st.text(max_size=50)
)
def test_any_headers_and_query_get_a_page(
    registry: CollectorRegistry, accept: str, encoding: str, query: str
) -> None:
    headers = {"accept": accept, "accept-encoding": encoding}
    assert metrics_answer("GET", headers, query, registry=registry).status == 200


def test_threads_that_wait_for_the_same_page_share_it() -> None:
    gate = Gate()
    registry = CollectorRegistry()
    registry.register(gate)
    answers: list[Answer] = []
    asked = threading.Barrier(9)

    def scrape() -> None:
        asked.wait()
        answers.append(metrics_answer("GET", {}, registry=registry))

    threads = [threading.Thread(target=scrape) for _ in range(8)]
    for thread in threads:
        thread.start()
    asked.wait()
    assert gate.begun.wait(10)
    gate.open.set()
    for thread in threads:
        thread.join(10)
    assert [answer.status for answer in answers] == [200] * 8
    assert gate.pages <= 8
    assert gate.most_at_once == 1
