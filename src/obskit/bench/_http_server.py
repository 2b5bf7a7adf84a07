"""A server with one of the applications that are compared over loopback: a program.

Its arguments are the name of a set-up and the descriptor of a socket that listens.
"""

import socket
import sys
from contextlib import ExitStack
from typing import Any

from obskit.bench._http_peers import STACK, TRACED_STACK, middleware_of
from obskit.bench._http_rows import EVERYTHING, METRICS_AND_LINE
from obskit.bench._http_traffic import application, lines_to_nowhere
from obskit.bench._operations import configured, recording_provider

ROUTES = 20

OURS = {"obskit": METRICS_AND_LINE, "obskit, span": EVERYTHING}

PEERS = {"stack": STACK, "stack, span": TRACED_STACK}

SET_UPS = ("bare", *OURS, *PEERS)


def set_up(name: str, held: ExitStack) -> Any:
    """Make an application.

    Args:
        name: One of `SET_UPS`.
        held: Keeps what it needs.
    """
    provider = recording_provider()
    if name in OURS:
        held.enter_context(configured(**OURS[name].settings(provider)))
        return OURS[name].application(ROUTES)
    return application(ROUTES, middleware_of(PEERS.get(name, ()), provider))


def serve(name: str, descriptor: int) -> None:
    """Serve until the process is told to end.

    Args:
        name: One of `SET_UPS`.
        descriptor: Of a socket that listens.
    """
    import uvicorn  # noqa: PLC0415 - optional

    with ExitStack() as held:
        held.enter_context(lines_to_nowhere())
        config = uvicorn.Config(
            set_up(name, held), http="httptools", log_config=None, access_log=False
        )
        listening = held.enter_context(socket.socket(fileno=descriptor))
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
