"""The access log: which requests have a line, at which level, and what stands in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kits.requests import answer, new_instrument, new_request

from obskit.errors import DeclarationError
from obskit.instruments import AccessLog
from obskit.testing import Observed, observing


def lines(observed: Observed) -> list[dict[str, Any]]:
    return [dict(entry) for entry in observed.logs.all(event="http request")]


def test_what_stands_in_a_line(observed: Observed) -> None:
    one = new_request(path="/orders/7", route="/orders/{id}", query="page=2&token=s3cret")
    one.request_bytes, one.response_bytes = 3, 17
    answer(one, 201)
    (line,) = lines(observed)
    assert (
        line.items()
        >= {
            "level": "info",
            "logger": "obskit.access",
            "method": "GET",
            "route": "/orders/{id}",
            "path": "/orders/7?page=2&token=REDACTED",
            "status": 201,
            "outcome": "ok",
            "request_bytes": 3,
            "response_bytes": 17,
            "client": "10.0.0.7",
            "correlation_id": one.correlation_id,
        }.items()
    )
    assert line["duration_ms"] >= 0


def test_without_the_query(observed: Observed) -> None:
    answer(new_request(new_instrument(access_log=AccessLog(query=False)), query="a=1"))
    assert lines(observed)[0]["path"] == "/p"


def test_a_long_path_is_cut(observed: Observed) -> None:
    answer(new_request(path="/" + "a" * 9000))
    assert len(lines(observed)[0]["path"]) == 2048


def test_what_is_bound_takes_no_place_of_the_line_s_own_fields(observed: Observed) -> None:
    one = new_request()
    one.fields.update(method="mine", user="ann")
    one.attributes["status"] = "theirs"
    answer(one)
    (line,) = lines(observed)
    assert (line["method"], line["method_"], line["user"]) == ("GET", "mine", "ann")
    assert (line["status"], line["status_"]) == (200, "theirs")


def test_no_lines_at_all(observed: Observed) -> None:
    answer(new_request(new_instrument(access_log=False)))
    assert lines(observed) == []
    assert observed.metrics.value("http_requests_total") == 1


def test_quiet_paths_have_a_line_only_when_something_went_wrong(observed: Observed) -> None:
    instrument = new_instrument(access_log=AccessLog(quiet_paths=["/ping", "/internal/*"]))
    for path in ("/ping", "/ping/", "//ping", "/internal", "/internal/a/b", "/pings", "/shop"):
        answer(new_request(instrument, path=path))
    answer(new_request(instrument, path="/ping"), 503)
    answer(new_request(instrument, path="/v2/ping", root_path="/v2"))
    assert [line["path"] for line in lines(observed)] == ["/pings", "/shop", "/ping"]
    assert observed.metrics.value("http_requests_total") == 9


def test_a_share_of_what_went_well(observed: Observed) -> None:
    instrument = new_instrument(access_log=AccessLog(sample=0.25))
    ids = [f"id-{number}" for number in range(400)]
    for identifier in ids:
        answer(new_request(instrument, headers={"x-request-id": identifier}))
    first = [line["correlation_id"] for line in lines(observed)]
    assert 60 <= len(first) <= 140
    for identifier in ids:  # another service decides the same way
        answer(new_request(instrument, headers={"x-request-id": identifier}))
    assert [line["correlation_id"] for line in lines(observed)] == first * 2


def test_what_went_wrong_is_never_left_out(observed: Observed) -> None:
    instrument = new_instrument(access_log=AccessLog(sample=0))
    answer(new_request(instrument))
    answer(new_request(instrument), 500)
    gone = new_request(instrument)
    gone.disconnected = True
    answer(gone, None)
    assert [line["outcome"] for line in lines(observed)] == ["error", "client_disconnect"]


@pytest.mark.parametrize(
    ("outcome", "level"),
    [("ok", "info"), ("error", "error"), ("cancelled", "warning"), ("client_disconnect", "info")],
)
def test_levels(observed: Observed, outcome: str, level: str) -> None:
    def serve(log: AccessLog) -> dict[str, Any]:
        one = new_request(new_instrument(access_log=log))
        one.disconnected = outcome == "client_disconnect"
        if outcome in {"error", "cancelled"}:
            one.outcome = outcome  # type: ignore[assignment] # one of the outcomes
        answer(one)
        return lines(observed)[-1]

    assert serve(AccessLog()).items() >= {"level": level, "outcome": outcome}.items()
    assert serve(AccessLog(levels={outcome: "critical"}))["level"] == "critical"


@pytest.mark.parametrize(
    "given",
    [
        {"sample": 2},
        {"sample": -0.1},
        {"sample": "half"},
        {"sample": True},
        {"sample": float("nan")},
        {"quiet_paths": "/ping"},
        {"quiet_paths": 3},
        {"quiet_paths": [3]},
        {"levels": {"fine": "info"}},
        {"levels": {"ok": "loud"}},
        {"levels": ["ok"]},
    ],
    ids=str,
)
def test_wrong_values_are_refused_at_once(given: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError):
        AccessLog(**given)


@given(path=st.text(max_size=60).map("/".__add__), query=st.text(max_size=60))
def test_any_path_and_query_give_one_line(path: str, query: str) -> None:
    with observing() as observed:
        answer(new_request(path=path, query=query))
        (line,) = lines(observed)
        assert line["path"].startswith(path)
        assert observed.internal_errors() == []
