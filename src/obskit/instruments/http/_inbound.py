"""Work that a client asks a server for: what requests and WebSocket connections share."""

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.context import CORRELATION_ID, current_context, unit_correlation_id
from obskit.instruments.http._paths import UNMATCHED, below_root
from obskit.instruments.http._span import (
    begin_server_span,
    complete_server_span,
    describe_host_span,
    enter_own_span,
    pass_on_trace,
)
from obskit.instruments.http._span_values import last_values
from obskit.operation import Operation
from obskit.tracing import swap_trace_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Span, Tracer

    from obskit.context import Record
    from obskit.instruments.http._instrument import InboundInstrument


NO_LABELS: "Mapping[str, str]" = MappingProxyType({})
"""What there is of labels of the user's before they are read."""


class Inbound(Operation):
    """A request or a connection: a unit of work of its own, with the ids that it came with.

    Servers reuse their contexts, so nothing that is found there belongs to it.

    Args:
        instrument: Where it is counted.
        scope: What the server says of it: an ASGI scope, or a WSGI environment.
        path: As the client sent it, without the query.
        headers: Headers that are of interest: names in lower case, and their values.
        find_route: Returns the template of the route that a scope has taken.

    Attributes:
        scope: The same.
        path: The same.
        headers: The same.
        host_span: The server span of a framework or of other middleware, if there is one.
        awaited: While telemetry of the host's inside is to begin a span: the current one before.
        response_headers: Headers of the answer that the span is to have.
        extra_labels: Labels that the user has added, once it has ended.
    """

    __slots__ = (
        "_find_route",
        "_instrument",
        "_route",
        "awaited",
        "extra_labels",
        "headers",
        "host_span",
        "path",
        "response_headers",
        "scope",
    )

    _instrument: "InboundInstrument"

    def __init__(
        self,
        instrument: "InboundInstrument",
        scope: Any,
        path: str,
        headers: dict[str, str],
        find_route: "Callable[[Any], str | None]",
    ) -> None:
        self._instrument = instrument  # pyright: ignore[reportIncompatibleVariableOverride] # set once
        self._find_route = find_route
        self.scope: Any = scope
        self.path: str = path
        self.headers: dict[str, str] = headers
        self.fields: dict[str, Any] = {CORRELATION_ID: instrument.correlation_id(headers)}
        self.attributes: dict[str, Any] = {}
        self.extra_labels: Mapping[str, str] = NO_LABELS
        self.response_headers: dict[str, str] | None = None
        self.host_span: Span | None = None
        self.awaited: Span | None = None
        self._ended: bool = False
        self._route: str | None = None
        self.error: BaseException | None = None
        self.span: Span | None = None
        self._token = self._outcome = self._trace = None
        self._outer_trace = None

    # What a carrier knows

    @property
    def client(self) -> str:
        """The client's address; empty where it is not known."""
        raise NotImplementedError

    @property
    def server(self) -> tuple[str, int | None] | None:
        """The server's address and port, where they are known."""
        raise NotImplementedError

    @property
    def scheme(self) -> str:
        """``http``, ``https``, ``ws`` or ``wss``."""
        raise NotImplementedError

    @property
    def protocol_version(self) -> str:
        """The version of HTTP."""
        raise NotImplementedError

    @property
    def query(self) -> str:
        """The query, without the question mark and as it was sent."""
        raise NotImplementedError

    @property
    def root_path(self) -> str:
        """Where the application is mounted; empty at the top."""
        raise NotImplementedError

    def may_be_traced_around(self) -> bool:
        """Whether telemetry of the host's may have begun a span that is not sampled."""
        return False

    # What follows from that

    @property
    def ending(self) -> str:
        """How it has ended, or ``ok`` while it runs."""
        return self.outcome

    @property
    def correlation_id(self) -> str:
        """The id that log lines carry: the one it came with, or what the application has bound."""
        return unit_correlation_id(self.fields)

    @property
    def path_below_root(self) -> str:
        """The path below the root path."""
        return below_root(self.path, self.root_path)

    @property
    def route(self) -> str:
        """The route's template as far as it is known now, or ``unmatched``."""
        if self._route is not None:
            return self._route
        try:
            found = self._find_route(self.scope)
        except Exception as error:
            guard.report("http.route", error)
            return UNMATCHED
        if type(found) is str or found is None:
            return found or UNMATCHED
        guard.report("http.route", TypeError(f"a route is a text, not {type(found)}"))
        return UNMATCHED

    def read_labels(self) -> None:
        """Read the labels that the user has added, and keep the route: it has ended."""
        self._route = self.route
        if self._instrument.options.labels:
            self.extra_labels = self._instrument.read_labels(self.scope)

    def begin(self) -> None:
        """Begin its span and its clock."""
        self._tracing = tracing = self._instrument.tracing
        if tracing is not None:
            self._begin_span(tracing.tracer)
        elif self.headers:
            pass_on_trace(self)
        self.started: float = self._instrument.runtime.clock.monotonic()

    def enter(self) -> None:
        """Become the current operation of this thread or task, and be in flight until the end."""
        self._instrument.runtime.store.in_flight.add(self)
        self._token = current_context.set(self)
        if self._trace is not None:
            self._outer_trace = swap_trace_context(self._trace)

    def end(self, error: BaseException | None = None) -> None:
        """End as any operation does, with its own span as the current one.

        Args:
            error: What ended it, if anything did.
        """
        outer = None
        if self._tracing is not None or self.host_span is not None:
            outer = enter_own_span(self)
        try:
            super().end(error)
        finally:
            if outer is not None:
                swap_trace_context(outer)

    def leave(self) -> None:
        """Stop being current, and make current again what was before."""
        token = self._token
        if token is None or current_context.get() is not self:
            super().leave()
            return
        self._token = None
        try:
            current_context.reset(token)
        except ValueError:  # another context than the one that it came in
            return
        if self._outer_trace is not None:
            swap_trace_context(self._outer_trace)

    def _join(self, outer: "Record | None") -> None:
        """Join nothing: it is a unit of work of its own."""

    def _begin_span(self, tracer: "Tracer") -> None:
        begin_server_span(self, tracer)

    def _end_span(self) -> None:
        if self.host_span is not None:
            describe_host_span(self, self.ending)
        super()._end_span()

    def _describe(self, span: "Span") -> None:
        super()._describe(span)
        complete_server_span(self, span)

    def _span_values(self) -> dict[str, Any]:
        return last_values(self)
