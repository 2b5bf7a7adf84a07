"""The state: which runtime is active, and what to go back to."""

import atexit
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obskit.runtime._runtime import Backends, Runtime
from obskit.runtime._switches import dependents
from obskit.settings import Settings, load_settings
from obskit.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Generator
    from os import PathLike

    from prometheus_client import CollectorRegistry

    from obskit.runtime._store import MetricStore

STORES_KEPT = 16
"""Metrics of former configurations that go on counting when they are configured again."""

_UNCONFIGURED = Runtime(Settings())
"""Before `configure`: metrics go to the default registry; no logs, no spans."""


class _State:
    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)
        self.base = self.runtime = _UNCONFIGURED
        self.backends: Backends | None = None
        self.detached: dict[tuple[Any, ...], MetricStore] = {}
        self.workers: dict[tuple[str, CollectorRegistry], Worker] = {}
        self.at_exit = False

    def renew(self) -> None:
        """Make the lock anew: in a forked child, who held it may not be there."""
        self.lock = threading.RLock()


state = _State()


def active_runtime() -> Runtime:
    """Return the runtime that `configure` has made, or the one that stands in for it before."""
    return state.runtime


def configure(*, file: "str | PathLike[str] | None" = None, **settings: Any) -> Runtime:
    """Configure obskit for this process: once, in the program's main part.

    A keyword wins over the environment (``OBSKIT_<SETTING>``, then the standard ``OTEL_*``
    variables), which wins over a file. The same settings again change nothing; other settings
    replace the first.

    Args:
        file: A YAML file of settings, or a TOML file with a table ``[tool.obskit]``.
        **settings: Fields of `obskit.Settings`.

    Returns:
        The runtime; as a context manager it undoes the configuration at the end of the block.

    Raises:
        UnknownSettingError: If there is no such setting.
        ConfigurationError: If a setting has a wrong type or value.
        MissingExtraError: If a setting needs a package that is not installed.
    """
    loaded = load_settings(file=file, **settings)
    with state.lock:
        active = state.runtime
        if active.configured and active.settings == loaded and active.backends is state.backends:
            active.holds += 1
            return active
        runtime = Runtime(loaded, state.backends, undo)
        _replace(active, runtime)
        runtime.before = active
        if not active.entered:  # nobody will leave it: it need not know the way back
            active.before = None
        _end_at_exit()
        return runtime


def shutdown() -> None:
    """End what `configure` has begun: flush spans within the deadline, give logging back.

    It runs by itself when the interpreter exits. Calls of decorated functions go on working.
    """
    with state.lock:
        if state.runtime is not state.base:
            _replace(state.runtime, state.base)


@contextmanager
def redirected(backends: Backends) -> "Generator[Runtime]":
    """Send all signals elsewhere while the block runs, whatever is configured inside it.

    Args:
        backends: Where they go.
    """
    with state.lock:
        outer, outer_base, outer_backends = state.runtime, state.base, state.backends
        state.backends = backends
        state.base = runtime = Runtime(outer.settings, backends)
        _replace(outer, runtime)
    try:
        yield runtime
    finally:
        with state.lock:
            state.base, state.backends = outer_base, outer_backends
            _replace(state.runtime, outer)


def undo(runtime: Runtime) -> None:
    """Give up one hold on a runtime; after the last, go back to the one before it.

    Args:
        runtime: The one to leave; nothing happens unless it is the active one.
    """
    with state.lock:
        runtime.holds -= 1
        if state.runtime is runtime and runtime.holds <= 0:
            _replace(runtime, _still_held(runtime.before))


def _still_held(runtime: Runtime | None) -> Runtime:
    """Return the first runtime on the way back that has not been left meanwhile."""
    while runtime is not None and runtime.holds <= 0:
        runtime = runtime.before
    return runtime or state.base


def _replace(old: Runtime, new: Runtime) -> None:
    """Put one runtime in another's place; if it cannot start, the other goes on.

    The old one's spans are flushed last, so that a collector that hangs holds up nothing new.
    """
    if new is _UNCONFIGURED:  # the old one's logging still tells how its end went
        old.stop()
    else:
        _start_in_place_of(old, new)
    _stop_worker(old, new)
    _swap_stores(old, new)
    state.runtime = new
    if new.worker is not None:
        new.worker.start()
    dependents.changed()
    old.stop()


def _start_in_place_of(old: Runtime, new: Runtime) -> None:
    new.start_tracing()
    try:
        new.worker = _worker_of(new)
        old.stop_logging()
        new.start_logging()
    except BaseException:
        new.stop()
        if old is not _UNCONFIGURED:
            old.start_logging()
        raise


def _worker_of(runtime: Runtime) -> "Worker | None":
    """Return this process's part among the workers: the same for the same metrics, always."""
    directory = runtime.settings.workers_dir
    if directory is None or runtime.backends is not None:
        return None
    key = (str(Path(directory).absolute()), runtime.registry)
    if key not in state.workers:
        state.workers[key] = Worker(*key)
    return state.workers[key]


def _stop_worker(old: Runtime, new: Runtime) -> None:
    """Write the metrics for the other workers a last time, while they are there."""
    worker, old.worker = old.worker, None
    if worker is not None and worker is not new.worker:
        worker.stop()


def _swap_stores(old: Runtime, new: Runtime) -> None:
    """Take over the metrics of the same registry and names, from now or from before."""
    if new.store.key == old.store.key:
        new.store = old.store
        return
    old.store.detach()
    state.detached[old.store.key] = old.store
    new.store = state.detached.pop(new.store.key, new.store)
    new.store.attach()
    if len(state.detached) > STORES_KEPT:
        del state.detached[next(iter(state.detached))]


def _end_at_exit() -> None:
    if not state.at_exit:
        state.at_exit = True
        atexit.register(shutdown)
