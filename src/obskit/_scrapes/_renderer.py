"""Renders pages on a thread, one at a time; scrapes that wait for the same page share it.

Threads share one lock, so a rendering that never let go of it would hold up an event loop as if it
were on it. Ours rests after every `WORK_SECONDS`, long enough for a loop that waits to go on.
"""

import time
import zlib
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from obskit._guard import guard
from obskit._threads import Locked, call_on_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import CollectorRegistry

    from obskit.runtime import Runtime

    Page = tuple[bytes, ...]

CHUNK = 65_536
"""Bytes of a page's part, at most: sending one takes well below a millisecond."""

WORK_SECONDS = 0.001
"""A rendering lets others run when it has worked for so long."""

REST_SECONDS = 0.0002
"""How long it does: until a thread that waits has noticed, with time to spare."""

GZIP_LEVEL = 1
"""The quickest; pages become a twentieth of their size with it."""

GZIP_BITS = 31
"""The largest window, in gzip's format."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """A request for a page of metrics. Those that are equal get the same page.

    Attributes:
        runtime: Whose metrics to show.
        registry: What to show instead of the runtime's registry, if anything.
        content_type: The format.
        names: Names of the samples to show; all unless there are some.
        zipped: Whether to compress the page.
        accept: The ``Accept`` header that asked for the format.
    """

    runtime: "Runtime"
    registry: "CollectorRegistry | None"
    content_type: str
    names: frozenset[str]
    zipped: bool
    accept: str = field(compare=False)

    def render(self) -> "Page":
        """The page, in chunks; takes its time, so that other threads have theirs."""
        pace = _Pace()
        arguments = (self.accept, self.names, self.registry, pace.rest)
        pieces: Iterable[bytes] = self.runtime.render_pieces(*arguments)[0]
        cut = _chunks(pieces)
        return tuple(pace.through(_chunks(_zipped(cut)) if self.zipped else cut))


class Renderer(Locked):
    """Renders what is asked for, one page after the other, on a daemon thread."""

    def __init__(self) -> None:
        self._waiting: dict[Scrape, Future[Page | None]] = {}
        self._at_work = False
        super().__init__()

    def page(self, scrape: Scrape) -> "Future[Page | None]":
        """Ask for a page that is rendered from now on: never one that has been begun before.

        Args:
            scrape: Which.

        Returns:
            The page, shared with others, so not to be cancelled; None if the rendering failed,
            which has been reported.
        """
        page: Future[Page | None] = Future()
        try:
            with self._lock:
                page = self._waiting.setdefault(scrape, page)
                if not self._at_work:
                    call_on_thread(self._work, "obskit-metrics")
                    self._at_work = True
        except Exception as error:  # no thread to spare
            guard.report("metrics.scrape", error)
            self._give_up()
        return page

    def _give_up(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for page in waiting.values():
            page.set_result(None)

    def _work(self) -> None:
        while (following := self._following()) is not None:
            scrape, page = following
            page.set_result(_rendered(scrape))

    def _following(self) -> "tuple[Scrape, Future[Page | None]] | None":
        """Return the one that has waited longest; without any, the thread is to end."""
        with self._lock:
            for scrape in self._waiting:
                return scrape, self._waiting.pop(scrape)
            self._at_work = False
            return None

    def _renew(self) -> None:
        """Begin, also in a forked child: the thread and those who wait are the parent's."""
        super()._renew()
        self._waiting = {}
        self._at_work = False


class _Pace:
    """Stops now and then to let other threads run."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def rest(self) -> None:
        """Rest if it is time to."""
        if time.perf_counter() - self._since > WORK_SECONDS:
            time.sleep(REST_SECONDS)
            self._since = time.perf_counter()

    def through(self, pieces: "Iterable[bytes]") -> "Iterator[bytes]":
        """Go through pieces that take time to make."""
        for piece in pieces:
            yield piece
            self.rest()


def _rendered(scrape: Scrape) -> "Page | None":
    try:
        return scrape.render()
    except BaseException as error:  # a collector's sys.exit() must not end the thread others need
        guard.report("metrics.scrape", cast("Exception", error))
        return None


def _chunks(pieces: "Iterable[bytes]") -> "Iterator[bytes]":
    """Cut what is large, and put together what is small."""
    waiting = bytearray()
    for piece in pieces:
        for start in range(0, len(piece), CHUNK):
            waiting += piece[start : start + CHUNK]
            if len(waiting) >= CHUNK:
                yield bytes(waiting[:CHUNK])
                del waiting[:CHUNK]
    if waiting:
        yield bytes(waiting)


def _zipped(pieces: "Iterable[bytes]") -> "Iterator[bytes]":
    compressor = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_BITS)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


renderer = Renderer()
"""The process's own: pages are rendered one at a time, whoever asks."""
