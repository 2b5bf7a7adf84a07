"""The demo's service under uvicorn, on a loopback port."""

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn

import obskit
from obskit.cli._service import new_service

if TYPE_CHECKING:
    from collections.abc import Generator

HOST = "127.0.0.1"
START_SECONDS = 10.0


def listen(port: int) -> socket.socket:
    """Return a socket that listens on loopback.

    Args:
        port: The port; 0 takes a free one.

    Raises:
        OSError: If the port is in use or not allowed; the message names it.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # whoever reads that we serve may connect at once
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {HOST}:{port}: {error.strerror}") from None
    return listener


def _new_server() -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            new_service(obskit.__version__),
            log_config=None,  # its lines go through the root logger: one stream
            access_log=False,  # obskit writes the access line
            timeout_graceful_shutdown=2,
        )
    )


@contextmanager
def running() -> "Generator[str]":
    """Serve on a free port, in a thread, while the block runs.

    Yields:
        The service's base URL.

    Raises:
        OSError: If it does not start in time.
    """
    with listen(0) as listener:
        server = _new_server()
        thread = threading.Thread(target=server.run, args=([listener],), name="demo-server")
        try:
            thread.start()
            deadline = time.monotonic() + START_SECONDS
            while not server.started and thread.is_alive() and time.monotonic() < deadline:
                time.sleep(0.005)
            if not server.started:
                raise OSError("the demo's service did not start")
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            if thread.ident is not None:  # else it has never begun
                thread.join()


def serve(port: int) -> int:
    """Serve until Ctrl-C.

    Args:
        port: The port; 0 takes a free one.

    Returns:
        The exit code.

    Raises:
        OSError: If the port cannot be had.
    """
    with (
        listen(port) as listener,
        obskit.configure(service="demo-orders", version=obskit.__version__, environment="demo"),
    ):
        base = f"http://{HOST}:{listener.getsockname()[1]}"
        obskit.get_logger("demo").info(
            "serving until Ctrl-C",
            url=base,
            paths="/orders /orders/{id} /report /export /metrics /health /livez /readyz /version",
        )
        with suppress(KeyboardInterrupt):  # uvicorn has ended cleanly and passes the signal on
            _new_server().run([listener])
    return 0
