"""WSGI: the middleware, the endpoints, and one call that puts both around an application."""

from obskit.wsgi._endpoints import health_app, metrics_app
from obskit.wsgi._instrument import instrument
from obskit.wsgi._middleware import ObservabilityMiddleware

__all__ = ["ObservabilityMiddleware", "health_app", "instrument", "metrics_app"]
