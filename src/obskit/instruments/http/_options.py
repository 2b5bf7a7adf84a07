"""What users may say of how requests are recorded."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from obskit._guard import guard
from obskit.errors import DeclarationError
from obskit.instruments.http._access_log import AccessLog
from obskit.instruments.http._captured import captured_header_names
from obskit.instruments.http._names import (
    DEFAULT_HTTP_NAMES,
    FACTS,
    OTEL_HTTP_NAMES,
    HttpNames,
    check_distinct,
)
from obskit.instruments.http._websocket_names import DEFAULT_WEBSOCKET_NAMES, WebSocketNames
from obskit.metrics import AllowedValues, label_text
from obskit.runtime import active_runtime

if TYPE_CHECKING:
    from enum import Enum

Convention = Literal["prometheus", "otel"]
"""Whose names the metrics have, where none are given."""

InboundTrace = Literal["always", "link", "never"]
"""Whether the caller's trace is continued, or linked to, or ignored."""

EXCLUDED_PATHS = ("/metrics", "/health", "/livez", "/readyz", "/version")
"""Paths that are passed through unseen, unless others are given."""

_CONVENTIONS: dict[str, HttpNames] = {"prometheus": DEFAULT_HTTP_NAMES, "otel": OTEL_HTTP_NAMES}


class RequestLabel:
    """A label whose value is read from each request when it ends.

    Args:
        read: Takes the ASGI scope, or the WSGI environment.
        one_of: The values that there are: an Enum class, or texts.
        other: The value in place of any other, and where ``read`` fails or gives None. A
            ``LookupError`` says that there is none; other errors are counted as faults.

    Raises:
        DeclarationError: If ``read`` is no function, or ``one_of`` has no usable values.
    """

    def __init__(
        self,
        read: "Callable[[Any], object]",
        *,
        one_of: "type[Enum] | Iterable[object]",
        other: str = "other",
    ) -> None:
        if not callable(read):
            raise DeclarationError(f"RequestLabel: {read!r} is no function of the scope")
        self.read = read
        self.allowed: AllowedValues = AllowedValues(one_of, other)

    def text(self, scope: Any) -> str:
        """Return the value for a request; never raises an ``Exception``.

        Args:
            scope: The ASGI scope, or the WSGI environment.
        """
        try:
            return self.allowed.text(self.read(scope))
        except LookupError:  # it is not there: no fault of anybody's
            return self.allowed.other
        except Exception as error:
            guard.report("http.label", error)
            return self.allowed.other


class HttpOptions(TypedDict, total=False):
    """What may be said of how requests are recorded, by keyword."""

    names: HttpNames
    """How the metrics are called."""

    convention: Convention
    """Whose names they have where ``names`` is not given: ``prometheus`` or ``otel``."""

    websocket_names: WebSocketNames
    """How the metrics of WebSocket connections are called."""

    access_log: bool | AccessLog
    """Whether to write one line for each request, and which."""

    excluded_paths: Iterable[str]
    """Paths, below the root path, that are passed through unseen; all below one that ends in
    ``/*``. By default those of the metrics and the health endpoints."""

    route: Callable[[Any], str | None] | None
    """Returns the template of the route that a request has taken, or None; it gets the ASGI scope
    or the WSGI environment. For frameworks that obskit does not know."""

    labels: Mapping[str, str | RequestLabel]
    """Further labels of counter and histograms: fixed values, which the gauge of requests in
    progress has, too, or a `RequestLabel`."""

    new_correlation_id: Callable[[], str] | None
    """Makes ids for requests that come without a valid one."""

    inbound_trace: InboundTrace
    """What becomes of the caller's trace: ``always`` continues it, ``link`` begins a new one that
    is linked to it, ``never`` ignores it."""

    request_headers: Iterable[str]
    """Names of request headers that are attributes of the span; secrets are hidden."""

    response_headers: Iterable[str]
    """Names of response headers that are attributes of the span; secrets are hidden."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPlan:
    """`HttpOptions`, checked and complete."""

    names: HttpNames
    websocket_names: WebSocketNames
    access_log: AccessLog | None
    excluded_paths: tuple[str, ...]
    route: Callable[[Any], str | None] | None
    labels: Mapping[str, str | RequestLabel]
    new_correlation_id: Callable[[], str] | None
    inbound_trace: InboundTrace
    request_headers: tuple[str, ...]
    response_headers: tuple[str, ...]

    def fixed_labels(self) -> dict[str, str]:
        """Return the user's labels that are the same for all requests."""
        return {name: value for name, value in self.labels.items() if isinstance(value, str)}

    def check(self) -> None:
        """Tell early of names that mean something else already, where it is known where.

        Raises:
            DuplicateError: If a metric of the same name has another shape.
        """
        runtime = active_runtime()
        if runtime.configured:
            for spec in self.names.specs():
                if spec.kind != "gauge":
                    labels = (*spec.labels, *self.labels)
                    runtime.store.check(replace(spec, labels=labels))

    @classmethod
    def of(cls, options: HttpOptions) -> "HttpPlan":
        """Check what a user has said.

        Args:
            options: Some of them; the others are as by default.

        Raises:
            DeclarationError: If one is unknown, or not as it must be.
        """
        for name in options.keys() - HttpOptions.__annotations__.keys():
            raise DeclarationError(f"{name}= is no option: {_remedy(name)}")
        names = _names(options)
        websocket_names = _websocket_names(options.get("websocket_names", DEFAULT_WEBSOCKET_NAMES))
        return cls(
            names=names,
            websocket_names=websocket_names,
            access_log=_access_log(options.get("access_log", True)),
            excluded_paths=_paths(options.get("excluded_paths", EXCLUDED_PATHS)),
            route=_function("route", options.get("route")),
            labels=_labels(options.get("labels", {}), names, websocket_names),
            new_correlation_id=_function("new_correlation_id", options.get("new_correlation_id")),
            inbound_trace=_inbound_trace(options.get("inbound_trace", "always")),
            request_headers=captured_header_names(
                "request_headers", options.get("request_headers", ())
            ),
            response_headers=captured_header_names(
                "response_headers", options.get("response_headers", ())
            ),
        )


def _remedy(name: str) -> str:
    """Return what may have been meant with an option that there is not."""
    for option, kind in (("access_log", AccessLog), ("names", HttpNames)):
        if name in kind.__dataclass_fields__:
            return f"give {option}={kind.__name__}({name}=...)"
    options = HttpOptions.__annotations__
    close = get_close_matches(name, options, n=1)
    return f"did you mean {close[0]}=?" if close else f"there are {', '.join(options)}"


def _names(options: HttpOptions) -> HttpNames:
    convention: Any = options.get("convention", "prometheus")
    if not isinstance(convention, str) or convention not in _CONVENTIONS:
        raise DeclarationError(f"convention={convention!r}: give 'prometheus' or 'otel'")
    names: Any = options.get("names", _CONVENTIONS[convention])
    if not isinstance(names, HttpNames):
        raise DeclarationError(f"names={names!r}: give an obskit.instruments.HttpNames")
    if "names" in options and "convention" in options:
        raise DeclarationError("names= and convention= both say what metrics are called: give one")
    return names


def _websocket_names(names: Any) -> WebSocketNames:
    if not isinstance(names, WebSocketNames):
        raise DeclarationError(
            f"websocket_names={names!r}: give an obskit.instruments.WebSocketNames"
        )
    return names


def _access_log(given: Any) -> AccessLog | None:
    if not isinstance(given, bool | AccessLog):
        raise DeclarationError(f"access_log={given!r}: give True, False or an AccessLog")
    return AccessLog() if given is True else given or None


def _paths(paths: Any) -> tuple[str, ...]:
    listed: list[Any] = list(paths) if isinstance(paths, Iterable) else [paths]
    if isinstance(paths, str) or not all(isinstance(path, str) for path in listed):
        raise DeclarationError(f"excluded_paths={paths!r}: give a list of paths")
    return tuple(listed)


def _function(option: str, given: Any) -> Any:
    if given is not None and not callable(given):
        raise DeclarationError(f"{option}={given!r}: give a function")
    return given


def _inbound_trace(given: Any) -> InboundTrace:
    choices: tuple[InboundTrace, ...] = get_args(InboundTrace)
    if given not in choices:
        raise DeclarationError(f"inbound_trace={given!r}: give one of {', '.join(choices)}")
    return given  # type: ignore[no-any-return] # one of the choices


def _labels(
    given: Any, names: HttpNames, websocket_names: WebSocketNames
) -> "Mapping[str, str | RequestLabel]":
    if not isinstance(given, Mapping):
        raise DeclarationError(f"labels={given!r}: give names and values")
    for name, value in given.items():
        if not isinstance(value, RequestLabel) and (
            not isinstance(value, str) or label_text(value) != value
        ):
            raise DeclarationError(f"labels={{{name!r}: {value!r}}}: give a text or a RequestLabel")
    check_distinct("labels=", "label", [*names.label_names(FACTS), *given])
    websocket_names.check_labels(given)
    return dict(given)
