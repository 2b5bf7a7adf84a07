"""A bare ASGI application, and the parts of obskit put together by hand.

``instrument(greetings, health=health, route=template_of)`` would do the same in one line; the
parts are for those who mount them elsewhere, behind other middleware or on another port.
"""

import argparse
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

import obskit
from obskit.asgi import ObservabilityMiddleware, health_app, metrics_app
from obskit.health import HealthRegistry

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

health = HealthRegistry(version="1.0.0")


@obskit.observe("greet", attributes={"guest": obskit.arg("name")})
def greet(name: str) -> str:
    return f"Hello, {name}!\n"


ROUTES: dict[str, Callable[..., str]] = {
    "/": lambda: "Try /greetings/you\n",
    "/greetings/{name}": greet,
}
PATTERNS = {
    template: re.compile(template.replace("{", "(?P<").replace("}", ">[^/]+)"))
    for template in ROUTES
}


async def greetings(scope: Scope, _: Receive, send: Send) -> None:
    """Answer by the routes, and leave the template of the one taken in the scope."""
    status, body = 404, "not found\n"
    for template, pattern in PATTERNS.items():
        if found := pattern.fullmatch(scope["path"]):
            scope["greetings.template"] = template
            status, body = 200, ROUTES[template](**found.groupdict())
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


def template_of(scope: Scope) -> str | None:
    """Tell obskit the route, as a label value: the template, not the path."""
    template: str | None = scope.get("greetings.template")
    return template


service = ObservabilityMiddleware(greetings, route=template_of)
metrics = metrics_app()
probes = health_app(health)
INTERNAL: dict[str | None, Any] = {
    "/metrics": metrics,
    "/health": probes,
    "/livez": probes,
    "/readyz": probes,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the internal paths; all else is the service's, the lifespan protocol too.

    `greetings` knows nothing of that: the middleware answers it, and so loses no span at the end.
    """
    path = scope["path"] if scope["type"] == "http" else None
    await INTERNAL.get(path, service)(scope, receive, send)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    port: int = parser.parse_args().port
    obskit.configure(service="greetings", version="1.0.0")
    uvicorn.run(app, port=port, access_log=False, log_config=None)


if __name__ == "__main__":
    main()
