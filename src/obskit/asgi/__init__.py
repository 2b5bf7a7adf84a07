"""ASGI: the middleware, the endpoints, and one call that puts both around an application."""

from obskit.asgi._endpoints import health_app, metrics_app
from obskit.asgi._instrument import instrument
from obskit.asgi._middleware import ObservabilityMiddleware
from obskit.asgi._server_logs import silence_server_access_logs
from obskit.asgi._types import Application, Message, Receive, Scope, Send

__all__ = [
    "Application",
    "Message",
    "ObservabilityMiddleware",
    "Receive",
    "Scope",
    "Send",
    "health_app",
    "instrument",
    "metrics_app",
    "silence_server_access_logs",
]
