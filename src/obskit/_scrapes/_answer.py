"""The answer to a request for metrics: who may have which page, and in which form."""

import hmac
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from prometheus_client import CollectorRegistry

from obskit._scrapes._renderer import Scrape, renderer
from obskit.errors import DeclarationError
from obskit.metrics._exposition import negotiated_type
from obskit.runtime import active_runtime
from obskit.settings import is_bearer_token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from obskit._scrapes._renderer import Page

METHODS = ("GET", "HEAD")
"""Those that endpoints answer."""

NOT_STORED = ("cache-control", "no-store")


class Answer(NamedTuple):
    """A response.

    Attributes:
        status: The status code.
        headers: Lower-case names and values.
        body: Its parts.
    """

    status: int
    headers: "list[tuple[str, str]]"
    body: "Sequence[bytes]"


def metrics_answer(
    method: str,
    headers: "Mapping[str, str]",
    query: str = "",
    *,
    token: str | None = None,
    registry: "CollectorRegistry | None" = None,
) -> Answer:
    """Answer a scrape; waits while the page is rendered, so not for event loops.

    Args:
        method: The request's.
        headers: The request's, with lower-case names, decoded as Latin-1.
        query: Its query string.
        token: The bearer token to ask for; by default the setting ``metrics_token``.
        registry: What to show; by default the registry of the configuration.

    Returns:
        The response, complete; without a body for HEAD.
    """
    asked = read_scrape(method, headers, query, token=token, registry=registry)
    if isinstance(asked, Scrape):
        asked = page_answer(asked, renderer.page(asked).result())
    return completed(asked, method)


def read_scrape(
    method: str,
    headers: "Mapping[str, str]",
    query: str,
    *,
    token: str | None,
    registry: "CollectorRegistry | None",
) -> Answer | Scrape:
    """Find out what a request asks for; arguments as for `metrics_answer`.

    Returns:
        The page to render, or a refusal.
    """
    if method not in METHODS:
        return method_not_allowed()
    runtime = active_runtime()
    if not _is_allowed(headers, token or runtime.settings.metrics_token):
        return text_answer(401, "bearer token required", ("www-authenticate", "Bearer"))
    accept = headers.get("accept", "")
    return Scrape(
        runtime=runtime,
        registry=registry,
        content_type=negotiated_type(accept),
        names=frozenset(parse_qs(query).get("name[]", ())),
        zipped=_takes_gzip(headers.get("accept-encoding", "")),
        accept=accept,
    )


def page_answer(scrape: Scrape, page: "Page | None") -> Answer:
    """Answer with a page.

    Args:
        scrape: What was asked for.
        page: What the renderer gave for it.
    """
    if page is None:
        return text_answer(500, "internal error")
    headers = [
        ("content-type", scrape.content_type),
        ("vary", "accept, accept-encoding"),
        NOT_STORED,
    ]
    if scrape.zipped:
        headers.append(("content-encoding", "gzip"))
    return Answer(200, headers, page)


def text_answer(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    """Answer with a line of text.

    Args:
        status: The status code.
        text: The line.
        headers: Further headers.
    """
    kind = ("content-type", "text/plain; charset=utf-8")
    return Answer(status, [kind, NOT_STORED, *headers], (f"{text}\n".encode(),))


def method_not_allowed() -> Answer:
    """Answer a method other than those of `METHODS`."""
    return text_answer(405, "method not allowed", ("allow", ", ".join(METHODS)))


def completed(answer: Answer, method: str) -> Answer:
    """Put the length to an answer, and leave out the body where HEAD was asked for.

    Args:
        answer: What GET gets.
        method: The request's.
    """
    status, headers, body = answer
    length = ("content-length", str(sum(map(len, body))))
    return Answer(status, [*headers, length], () if method == "HEAD" else body)


def check_endpoint(owner: str, registry: object, token: object) -> None:
    """Refuse what an endpoint cannot show or ask for.

    Args:
        owner: The function that the arguments were given to, for people.
        registry: A registry or None.
        token: A bearer token or None.

    Raises:
        DeclarationError: If one of them is something else.
    """
    if registry is not None and not isinstance(registry, CollectorRegistry):
        raise DeclarationError(
            f"{owner}: registry={registry!r}: give a prometheus_client CollectorRegistry"
        )
    if token is not None and not is_bearer_token(token):
        raise DeclarationError(f"{owner}: token= must be a bearer token as RFC 6750 defines it")


def _is_allowed(headers: "Mapping[str, str]", token: str | None) -> bool:
    """Tell whether a request carries the token, in a time that does not tell how nearly."""
    if token is None:
        return True
    scheme, _, given = headers.get("authorization", "").partition(" ")
    text = given.strip().encode("utf-8", "backslashreplace")  # of any text there are some bytes
    return hmac.compare_digest(text, token.encode()) and scheme.lower() == "bearer"


def _takes_gzip(accepted: str) -> bool:
    """Tell whether an ``Accept-Encoding`` header takes gzip, at least as readily as no coding."""
    weights: dict[str, float] = {}
    for coding in accepted.lower().split(","):
        name, *parameters = "".join(coding.split()).split(";")
        weights[name] = _weight(parameters)
    gzip = weights.get("gzip", weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _weight(parameters: "Sequence[str]") -> float:
    """The weight that a header's element has by its parameters; none if it is malformed."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0
