"""Every kind of check against a Redis server that is stopped, resumed, killed and started."""

import asyncio
import shutil
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from obskit.health import HealthRegistry

REDIS = shutil.which("redis-server")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(REDIS is None, reason="no redis-server on this machine"),
]

PING, PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"


class Redis:
    """A Redis server on an ephemeral loopback port."""

    def __init__(self, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self._directory = directory
        self.start()

    def start(self) -> None:
        command = [str(REDIS), "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        self._process = subprocess.Popen(
            command, cwd=self._directory, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert any("Ready to accept connections" in line for line in self._process.stdout)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    try:
        yield server
    finally:
        server.kill()


class Client:
    """Two clients in one: over streams, with a plain ``ping`` as redis-py has it, and blocking."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)

    async def execute(self) -> bool:
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(PING)
            return await reader.readline() == PONG
        finally:
            writer.close()

    def ping(self) -> Awaitable[bool]:
        return self.execute()

    def ping_blocking(self) -> bool:
        with socket.create_connection(self._address) as connection:
            connection.sendall(PING)
            return connection.recv(len(PONG)) == PONG


CHECKS: dict[str, Callable[[Client], Callable[[], object]]] = {
    "async": lambda client: client.execute,
    "blocking": lambda client: client.ping_blocking,
    "method that returns an awaitable": lambda client: client.ping,
    "lambda that returns an awaitable": lambda client: lambda: client.ping(),  # noqa: PLW0108 - the kind under test
}


async def reaches(health: HealthRegistry, status: str, code: str | None) -> None:
    """Probe until the answer is the one expected: a blocked check ends a moment after its cause."""
    async with asyncio.timeout(5):
        while True:
            (result,) = (await health.ready()).checks
            if (result.status, result.code) == (status, code):
                return
            await asyncio.sleep(0)


async def is_now(health: HealthRegistry, status: str, code: str | None) -> None:
    (result,) = (await health.ready()).checks
    assert (result.status, result.code) == (status, code)


@pytest.mark.parametrize("kind", CHECKS)
async def test_the_answer_follows_the_server(
    kind: str, redis: Redis, check_threads: object
) -> None:
    health = HealthRegistry(timeout=0.2)
    health.add("redis", CHECKS[kind](Client(redis.port)))

    await reaches(health, "healthy", None)
    redis.stop()
    await is_now(health, "unhealthy", "timeout")
    await is_now(health, "unhealthy", "timeout")
    redis.go_on()
    await reaches(health, "healthy", None)
    redis.kill()
    await reaches(health, "unhealthy", "refused")
    redis.start()
    await reaches(health, "healthy", None)
