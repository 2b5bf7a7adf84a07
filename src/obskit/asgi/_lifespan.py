"""The lifespan protocol, spoken for applications that do not know it.

https://asgi.readthedocs.io/en/latest/specs/lifespan.html. Waiting spans are sent before the server
hears that the application is done: it may then end the process without ``atexit``, as uvicorn does,
which raises again the signal that has stopped it.
"""

from typing import TYPE_CHECKING

from obskit.runtime import active_runtime

if TYPE_CHECKING:
    from obskit.asgi._types import Application, Message, Receive, Scope, Send


class Lifespan:
    """One lifespan connection.

    Args:
        receive: The server's.
        send: The server's.
    """

    def __init__(self, receive: "Receive", send: "Send") -> None:
        self._receive = receive
        self._send = send
        self._received = False
        self._answered = False

    async def run(self, app: "Application", scope: "Scope") -> None:
        """Run an application; where it takes no part, answer the server in its place.

        One that raises after it has received a message has failed rather than declined: the error
        is the server's to see.
        """
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            if self._received or self._answered:
                raise
        if not self._answered:
            await self._answer()

    async def receive(self) -> "Message":
        """Hand a message to the application."""
        message = await self._receive()
        self._received = True
        return message

    async def send(self, message: "Message") -> None:
        """Hand a message to the server, after the spans that wait."""
        self._answered = True
        if message["type"].startswith("lifespan.shutdown."):
            active_runtime().flush()
        await self._send(message)

    async def _answer(self) -> None:
        if not self._received:
            await self._receive()
        await self._send({"type": "lifespan.startup.complete"})
        await self._receive()
        await self.send({"type": "lifespan.shutdown.complete"})
