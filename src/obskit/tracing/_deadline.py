"""Calls that may hang, made on a thread that is left behind if they do."""

import queue
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class DeadlineCaller:
    """A daemon thread that waits for calls from its making on: at exit no thread can be made.

    Args:
        failed: Takes what a call raises.
    """

    def __init__(self, failed: "Callable[[Exception], object]") -> None:
        self._failed = failed
        self._start()

    def call(self, function: "Callable[[], object]", timeout: float) -> bool:
        """Call a function, and wait for it so long.

        Args:
            function: What to call; its result is not needed.
            timeout: Seconds to wait at the most.

        Returns:
            Whether it has ended in time.
        """
        if not self._thread.is_alive():  # a forked child has none of its parent's threads
            self._start()
        done = threading.Event()
        self._calls.put((function, done))
        return done.wait(timeout)

    def end(self) -> None:
        """Let the thread end, once it has nothing left to do."""
        self._calls.put(None)

    def _start(self) -> None:
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="obskit-deadline", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        for function, done in iter(self._calls.get, None):
            try:
                function()
            except Exception as error:
                self._failed(error)
            finally:
                done.set()
