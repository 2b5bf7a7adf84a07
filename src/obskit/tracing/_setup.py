"""Tracing as the settings ask for it: a provider of the host's, or an SDK provider of ours."""

import sys
import weakref
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from obskit._guard import guard
from obskit._version import __version__
from obskit.errors import MissingExtraError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Tracer
    from opentelemetry.trace import TracerProvider as AnyTracerProvider

    from obskit.settings import Settings
    from obskit.tracing._deadline import DeadlineCaller

_providers_of_ours: "weakref.WeakSet[Any]" = weakref.WeakSet()
"""Global providers that obskit has installed: they are not "the host's own" next time."""


class Tracing:
    """A tracer, and the provider behind it when that is ours to end.

    Args:
        provider: Where spans go.
        owned: Whether to shut the provider down with the runtime.

    Attributes:
        ended: Whether a provider of ours has been shut down, so that it takes no more spans.
    """

    def __init__(self, provider: "AnyTracerProvider", *, owned: bool) -> None:
        self.provider = provider
        self.tracer: Tracer = provider.get_tracer("obskit", __version__)
        self.ended: bool = False
        self._hangs = False
        self._caller = _deadline_caller() if owned else None

    def flush(self, timeout: float) -> None:
        """Send the spans that wait in a provider of ours; give up on a back end that hangs.

        Args:
            timeout: Seconds to wait at the most.
        """
        self._within(timeout, "force_flush")

    def shut_down(self, timeout: float) -> None:
        """Flush and end a provider of ours; give up on a back end that hangs.

        Args:
            timeout: Seconds to wait at the most; not at all where `flush` has waited in vain.
        """
        self._within(0.0 if self._hangs else timeout, "shutdown")
        if self._caller is not None:
            self._caller.end()
            self.ended = True

    def _within(self, timeout: float, method: str) -> None:
        """Call a method of our SDK provider, but wait only so long."""
        if self._caller is None:
            return
        self._hangs = not self._caller.call(getattr(self.provider, method), timeout)
        if self._hangs:
            _report(TimeoutError(f"spans not flushed in {timeout} s"))


def _deadline_caller() -> "DeadlineCaller":
    from obskit.tracing._deadline import DeadlineCaller  # noqa: PLC0415 - providers of ours only

    return DeadlineCaller(_report)


def _report(error: Exception) -> None:
    guard.report("tracing.shutdown", error)


def host_provider() -> "AnyTracerProvider | None":
    """Return the global provider that the host has set, or None."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    return None if provider in _providers_of_ours else provider


def set_up_tracing(
    settings: "Settings", processor: "SpanProcessor | None" = None
) -> Tracing | None:
    """Do what ``settings.tracing`` says.

    Args:
        settings: ``off``, ``auto``, ``otlp``, ``console`` or a provider, and the resource's names.
        processor: Send spans here instead of to an exporter: for test suites.

    Returns:
        The tracing, or None when it is off.

    Raises:
        MissingExtraError: If the exporter asked for is not installed.
    """
    wanted = settings.tracing
    if wanted == "off":
        return None
    if processor is not None:
        return Tracing(_new_provider(settings, processor), owned=False)
    if not isinstance(wanted, str):
        return Tracing(wanted, owned=False)
    existing = host_provider()
    if existing is not None:
        return Tracing(existing, owned=False)
    if wanted == "auto":
        return None
    provider = _new_provider(settings, _PROCESSORS[wanted]())
    _install(provider)
    return Tracing(provider, owned=True)


def _install(provider: "TracerProvider") -> None:
    """Make a provider of ours the global one, unless there has been one in this process."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        _providers_of_ours.add(provider)
        trace.set_tracer_provider(provider)


def _new_provider(settings: "Settings", processor: "SpanProcessor") -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - the SDK loads when needed
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same

    names = {
        "service.name": settings.service,
        "service.version": settings.version,
        "deployment.environment.name": settings.environment,
    }
    resource = Resource.create({name: value for name, value in names.items() if value})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider


def _otlp_processor() -> "SpanProcessor":
    from obskit.tracing._export import (  # noqa: PLC0415 - the same
        CountingBatchProcessor,
        CountingExporter,
    )

    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - the same
            OTLPSpanExporter,
        )
    except ImportError as error:
        raise MissingExtraError("tracing='otlp'", "otlp") from error
    return CountingBatchProcessor(CountingExporter(OTLPSpanExporter()))


def _console_processor() -> "SpanProcessor":
    from opentelemetry.sdk.trace.export import (  # noqa: PLC0415 - the same
        ConsoleSpanExporter,
        SimpleSpanProcessor,
    )

    return SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr))


_PROCESSORS = {"otlp": _otlp_processor, "console": _console_processor}
