"""Real HTTP traffic for the demo: what works, and each thing that can go wrong."""

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

FAILING_ID = "demo-declined-card"
"""The correlation id of the request that the demo follows."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    what: str
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client saw of one request."""

    what: str
    request: str
    status: int | None
    correlation_id: str


def _order(number: int, **further: Any) -> dict[str, Any]:
    return {"id": number, "items": ["tea", "biscuits"], **further}


CALLS = (
    Call("an order", "POST", "/orders", {"X-Request-ID": "demo-first-order"}, _order(1)),
    Call("another order, no id", "POST", "/orders", {}, _order(2)),
    Call("a look at it", "GET", "/orders/2", {}),
    Call("a slow call", "GET", "/report", {}),
    Call(
        "a declined card",
        "POST",
        "/orders",
        {"X-Request-ID": FAILING_ID},
        _order(3, card="declined"),
    ),
    Call("a path that is not there", "GET", "/wp-login.php", {}),
    Call("a bad id, which is replaced", "GET", "/orders/1", {"X-Request-ID": "<script>"}),
)


def send_traffic(base: str) -> list[Answer]:
    """Send every call, and one whose client hangs up.

    Args:
        base: The service's base URL.
    """
    with httpx.Client(base_url=base, timeout=10) as client:
        answers = [_send(client, call) for call in CALLS]
    answers.append(_hang_up(base))
    return answers


def get_json(base: str, path: str) -> dict[str, Any]:
    """Return what an endpoint answers.

    Args:
        base: The service's base URL.
        path: The endpoint's path.
    """
    body: dict[str, Any] = httpx.get(base + path, timeout=10).json()
    return body


def _send(client: httpx.Client, call: Call) -> Answer:
    response = client.request(call.method, call.path, headers=call.headers, json=call.body)
    return Answer(
        call.what,
        f"{call.method} {call.path}",
        response.status_code,
        response.headers["X-Request-ID"],
    )


def _hang_up(base: str) -> Answer:
    """Read the beginning of an endless answer, then close the connection."""
    address = urlsplit(base)
    with socket.create_connection(
        (str(address.hostname), address.port or 80), timeout=10
    ) as client:
        client.sendall(b"GET /export HTTP/1.1\r\nHost: demo\r\nX-Request-ID: demo-hang-up\r\n\r\n")
        client.recv(1024)
    return Answer("a client that hangs up", "GET /export", None, "demo-hang-up")
