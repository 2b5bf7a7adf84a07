"""What an ASGI scope says of a request or a connection, and what is put into the answer."""

from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.asgi._foreign import may_be_around
from obskit.context import CORRELATION_ID, unit_correlation_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from obskit.asgi._types import Scope
    from obskit.instruments import Inbound

    Headers = list[tuple[bytes, bytes]]


def interesting_headers(scope: "Scope", wanted: dict[bytes, str]) -> dict[str, str]:
    """Return some of the request's headers; the first of several values counts.

    What follows a malformed one is not read.

    Args:
        scope: The request's; ASGI has header names in lower case.
        wanted: Names as bytes and as text.
    """
    found: dict[str, str] = {}
    try:
        for name, value in scope.get("headers") or ():
            if name in wanted:
                found.setdefault(wanted[name], value.decode("latin-1"))
    except Exception as error:
        guard.report("asgi.headers", error)
    return found


def put_id_in_state(request: "Inbound") -> None:
    """Leave the correlation id where applications keep what belongs to a request.

    Args:
        request: One that has just been made.
    """
    state = request.scope.setdefault("state", {})
    try:
        state[CORRELATION_ID] = request.fields[CORRELATION_ID]
    except TypeError:  # it is something of the host's own
        return


class AsgiInbound:
    """What an ASGI scope says of a request or a connection."""

    __slots__ = ()

    scope: "Scope"
    fields: dict[str, Any]
    response_headers: dict[str, str] | None
    _instrument: Any

    @property
    def client(self) -> str:
        """The client's address."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    @property
    def server(self) -> tuple[str, int | None] | None:
        """The server's address and port; of a UNIX socket the path alone."""
        server = self.scope.get("server")
        return (str(server[0]), server[1]) if server else None

    @property
    def scheme(self) -> str:
        """``http``, ``https``, ``ws`` or ``wss``."""
        return str(self.scope.get("scheme", "http"))

    @property
    def protocol_version(self) -> str:
        """The version of HTTP."""
        return str(self.scope.get("http_version", "1.1"))

    @property
    def query(self) -> str:
        """The query as it was sent."""
        sent: bytes = self.scope.get("query_string", b"")
        return sent.decode("latin-1") if sent else ""

    @property
    def root_path(self) -> str:
        """Where the application is mounted by the server."""
        return str(self.scope.get("app_root_path", self.scope.get("root_path", "")))

    def may_be_traced_around(self) -> bool:
        """Whether telemetry of the host's may have begun a span that is not sampled."""
        return may_be_around(self.scope)

    def answer_headers(self, headers: "Iterable[Any]") -> "Headers":
        """Return the answer's headers with the correlation id in the place of any other.

        Args:
            headers: The application's.
        """
        instrument = self._instrument
        name = instrument.response_header
        kept = [pair for pair in headers if pair[0].lower() != name]
        if instrument.options.response_headers:
            self.response_headers = _captured(kept, instrument.options.response_headers)  # type: ignore[misc] # a slot of what it is mixed into
        kept.append((name, unit_correlation_id(self.fields).encode()))
        return kept


def _captured(headers: "Headers", names: tuple[str, ...]) -> dict[str, str]:
    """Return some of an answer's headers; the first of several values counts."""
    found: dict[str, str] = {}
    for key, value in headers:
        name = bytes(key).decode("latin-1").lower()
        if name in names:
            found.setdefault(name, bytes(value).decode("latin-1"))
    return found
