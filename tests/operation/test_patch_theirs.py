"""`instrument_object` on real code of others: the standard library's."""

import array
import asyncio
import http.client
import http.server
import inspect
import json
import queue
import sqlite3
import string
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import obskit
from obskit.errors import DeclarationError
from obskit.testing import Observed


def test_a_function_of_a_module(observed: Observed) -> None:
    bare = json.dumps
    with obskit.instrument_object(json, "dumps"):
        assert json.dumps({"a": 1}, indent=None) == '{"a": 1}'
        with pytest.raises(TypeError) as caught:
            json.dumps(object())
        assert "not JSON serializable" in str(caught.value)
    assert json.dumps is bare
    observed.operation("json.dumps").times(2)
    observed.operation("json.dumps").with_error("TypeError").once()


def test_a_builtin_function_of_a_module(observed: Observed) -> None:
    """It binds to nothing, also as the attribute of a class."""
    bare = time.monotonic

    class Holder:
        clock = time.monotonic

    with (
        obskit.instrument_object("time:monotonic"),
        obskit.instrument_object(Holder, "clock", name="clock"),
    ):
        assert time.monotonic() <= time.monotonic()
        assert Holder().clock() > 0  # type: ignore[misc] # a builtin does not bind
        assert Holder.clock() > 0
    assert time.monotonic is bare
    assert vars(Holder)["clock"] is bare
    observed.operation("time.monotonic").times(2)
    observed.operation("clock").times(2)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - it is called so
        """Say nothing."""


@pytest.fixture
def server() -> Generator[int]:
    """Serve on a port of the loopback interface."""
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield serving.server_address[1]
    serving.shutdown()
    thread.join()
    serving.server_close()


def test_a_class_of_the_standard_library_against_a_real_server(
    server: int, observed: Observed
) -> None:
    with obskit.instrument_object(
        http.client,
        "HTTPConnection.request",
        "HTTPConnection.getresponse",
        attributes={},
        labels={},
    ):
        connection = http.client.HTTPConnection("127.0.0.1", server)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"ok"
        connection.close()
        refused = http.client.HTTPConnection("127.0.0.1", 1)
        with pytest.raises(ConnectionRefusedError):
            refused.request("GET", "/")
    requests = observed.operation("http.client.HTTPConnection.request").times(2)
    requests.with_error("ConnectionRefusedError").once()
    observed.operation("http.client.HTTPConnection.getresponse").once().with_outcome("ok")


def test_coroutines_of_the_standard_library(observed: Observed) -> None:
    async def main() -> list[bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(b"a\nb\n")
        reader.feed_eof()
        return [await reader.readline(), await reader.readline()]

    with obskit.instrument_object("asyncio:StreamReader", "readline", name="readline"):
        assert inspect.iscoroutinefunction(asyncio.StreamReader.readline)
        assert asyncio.run(main()) == [b"a\n", b"b\n"]

        async def cancelled() -> None:
            waiting = asyncio.ensure_future(asyncio.StreamReader().readline())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

        asyncio.run(cancelled())
    observed.operation("readline").times(3)
    observed.operation("readline").with_outcome("cancelled").once()


class Database(sqlite3.Connection):
    """Inherits methods that are written in C."""


def test_methods_written_in_c_are_patched_on_a_subclass(observed: Observed) -> None:
    class Numbers(array.array):  # type: ignore[type-arg] # as it is written at run time
        """Inherits a classmethod that is written in C, too."""

    class Keys(dict[str, int]):
        """The same."""

    with (
        obskit.instrument_object(Database, "execute", name="execute"),
        obskit.instrument_object(Keys, "fromkeys", "__len__", name="keys.{method}"),
        obskit.instrument_object(Numbers, "append", name="append"),
    ):
        connection = sqlite3.connect(":memory:", factory=Database)
        assert connection.execute("select 1").fetchone() == (1,)
        assert Database.execute(connection, "select 2").fetchone() == (2,)
        connection.close()
        keys = Keys.fromkeys("ab", 1)
        assert type(keys) is Keys
        assert len(keys) == 2
        numbers = Numbers("i")
        numbers.append(1)
        assert numbers[0] == 1
    assert "execute" not in vars(Database)
    assert {"fromkeys", "__len__"}.isdisjoint(vars(Keys))
    observed.operation("execute").times(2)
    observed.operation("keys.fromkeys").once()
    observed.operation("keys.__len__").once()
    observed.operation("append").once()


def test_what_is_written_in_c_and_closed_is_an_error_that_says_what_to_do(
    observed: Observed,
) -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(DeclarationError, match=r"sqlite3\.Connection\.execute cannot be"):
        obskit.instrument_object(sqlite3.Connection, "execute")
    with pytest.raises(DeclarationError, match="instrument its class"):
        obskit.instrument_object(connection, "execute")
    with obskit.instrument_object("sqlite3:connect"):
        sqlite3.connect(":memory:").close()
    connection.close()
    observed.operation("sqlite3.connect").once()


def test_queues_of_the_standard_library_work_patched(observed: Observed) -> None:
    """A class whose methods wait for each other in several threads."""
    with obskit.instrument_object(queue.Queue, "put", "get", name="queue.{method}"):
        line: queue.Queue[int] = queue.Queue(1)
        with ThreadPoolExecutor(1) as pool:
            filling = pool.map(line.put, range(50))
            assert [line.get(timeout=60) for _ in range(50)] == list(range(50))
            assert list(filling) == [None] * 50
    observed.operation("queue.put").times(50)
    observed.operation("queue.get").times(50)


def test_a_template_of_the_standard_library(observed: Observed) -> None:
    """A class with a metaclass-like hook, ``__init_subclass__``, which runs for later classes."""
    with obskit.instrument_object(string.Template, "substitute", "__init_subclass__"):

        class Own(string.Template):
            pass

        assert Own("$a").substitute(a=1) == "1"
    observed.operation("string.Template.__init_subclass__").once()
    observed.operation("string.Template.substitute").once()
