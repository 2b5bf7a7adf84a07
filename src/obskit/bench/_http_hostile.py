"""Requests that nobody would send in good faith, and what is left of them: a program.

Its arguments are numbers of requests. After each, it writes a JSON line: the bytes that the process
occupies, and the series of its page.
"""

import asyncio
import gc
import json
import resource
import sys
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from obskit.bench._http_rows import EVERYTHING
from obskit.bench._http_traffic import lines_to_nowhere, receive, scopes, send
from obskit.bench._operations import configured, recording_provider
from obskit.metrics import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from obskit.asgi import Scope

ROUTES = 20

NAMES = (
    b"host",
    b"x-request-id",
    b"x-correlation-id",
    b"traceparent",
    b"tracestate",
    b"baggage",
    b"user-agent",
    b"x-forwarded-for",
    b"forwarded",
    b"content-length",
    b"cookie",
)
"""Headers that somebody might read."""

VALUES: "tuple[Callable[[Random], bytes], ...]" = (
    lambda random: b"%032x" % random.getrandbits(128),
    lambda random: b"00-%032x-%016x-01" % (random.getrandbits(128), random.getrandbits(64)),
    lambda random: random.randbytes(random.randrange(40)),
    lambda random: random.randbytes(random.randrange(2_000)),
)
"""What a header may carry: ids, and short and long bytes that are no text."""


def hostile_requests(random: Random) -> "Iterator[Scope]":
    """Yield the scopes of requests, none of which is like another.

    Args:
        random: Where the differences come from.
    """
    (ordinary, _) = scopes(ROUTES)
    while True:
        path = random.choice(("/", "/", "/resource3/")) + _text(random)
        yield {
            **ordinary,
            "method": random.choice(("GET", "POST", _text(random))),
            "path": path,
            "raw_path": path.encode(),
            "query_string": _value(random),
            "headers": [(name, _value(random)) for name in _names(random)],
            "client": (_text(random), random.randrange(65536)),
            "scheme": random.choice(("http", "https", _text(random))),
            "http_version": random.choice(("1.0", "1.1", "2", _text(random))),
            "state": {},
        }


def _text(random: Random) -> str:
    return f"{random.getrandbits(96):x}" + random.choice(
        ("", "-", "ä", "\x00", "'\"{}\\", "\ud7ff")
    )


def _value(random: Random) -> bytes:
    return random.choice(VALUES)(random)


def _names(random: Random) -> list[bytes]:
    foreign = [b"x-%x" % random.getrandbits(64) for _ in range(random.randrange(4))]
    return [*random.sample(NAMES, random.randrange(len(NAMES))), *foreign]


async def _serve(app: Any, requests: "Iterator[Scope]", number: int) -> None:
    for scope in islice(requests, number):
        await app(scope, receive, send)


def _occupied() -> int:
    """Return the bytes that the process has in memory."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def main(numbers: list[int]) -> None:
    """Serve so many requests, and tell after each number what is left.

    Args:
        numbers: Of requests, in all, in rising order.
    """
    requests = hostile_requests(Random(0))  # noqa: S311 - the same ones in each run
    settings = EVERYTHING.settings(recording_provider())
    served = 0
    with configured(**settings) as registry, asyncio.Runner() as runner:
        app = EVERYTHING.application(ROUTES)
        for number in numbers:
            with lines_to_nowhere():
                runner.run(_serve(app, requests, number - served))
            served = number
            page, _ = render(registry)
            series = sum(not line.startswith(b"#") for line in page.splitlines())
            sys.stdout.write(json.dumps({"bytes": _occupied(), "series": series}) + "\n")


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
