"""The metrics of one configuration, and the operations that are in flight."""

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakSet

from obskit._guard import guard
from obskit.errors import DuplicateError
from obskit.metrics import (
    Family,
    declare,
    declared,
    register_internal,
    registered,
    undeclare,
    unregister_internal,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry
    from prometheus_client.registry import Collector

    from obskit.metrics import MetricSpec

C = TypeVar("C", bound="Collector")


class MetricStore:
    """Families of obskit's own in one registry, declared when they are first needed.

    Args:
        registry: Where they are registered.
        namespace: Prefix of their names, without the underscore.
        max_series: Series that one family may have.

    Attributes:
        in_flight: Operations that have begun and not ended.
        told: Those of them that somebody has told something that their end has to heed.
    """

    def __init__(self, registry: "CollectorRegistry", *, namespace: str, max_series: int) -> None:
        self.key: tuple[CollectorRegistry, str, int] = (registry, namespace, max_series)
        self.in_flight: set[Any] = set()
        self.told: set[Any] = set()
        _stores.add(self)
        self._registry = registry
        self._namespace = namespace
        self.max_series = max_series
        self._families: dict[str, Family] = {}
        self._collectors: dict[str, Collector] = {}
        self._promised: dict[str, MetricSpec] = {}
        self._registered = False

    def tell(self, operation: Any) -> None:
        """Note that an operation in flight has been told its outcome, or attributes."""
        if operation in self.in_flight:
            self.told.add(operation)

    def forget(self, operation: Any) -> None:
        """Note that an operation has ended."""
        self.in_flight.discard(operation)
        self.told.discard(operation)

    def keep(self, operations: set[Any]) -> None:
        """Forget all operations in flight but some: in a forked child, the others do not run.

        Who held the registry's lock may not be there either: prometheus_client leaves it locked.
        """
        self._registry._lock = threading.Lock()
        self.in_flight.intersection_update(operations)
        self.told.intersection_update(operations)

    def prefixed(self, name: str) -> str:
        """Return a metric's name with the namespace in front."""
        return f"{self._namespace}_{name}" if self._namespace else name

    def family(self, spec: "MetricSpec") -> Family:
        """Return the family that a specification without namespace means; declare it at first use.

        A name that is taken by something of another shape is reported once, and the family is
        then kept out of the registry: telemetry never breaks the host. See `check`.

        Args:
            spec: The family, under its name without the namespace.
        """
        shape = str(spec)
        known = self._families.get(shape)
        if known is not None:
            return known
        full = self._full(spec)
        try:
            family = declare(self._registry, full, max_series=self.max_series)
        except Exception as error:
            guard.report("metrics.declare", error)
            family = Family(full, max_series=self.max_series)
        self._register()
        return self._families.setdefault(shape, family)

    def check(self, spec: "MetricSpec") -> None:
        """Tell early whether `family` would find the name taken; nothing is registered.

        The name of a `collector` of this store, and a gauge's with other labels, is not taken:
        one gauge of what is in progress serves several declarations.

        Args:
            spec: The family, under its name without the namespace.

        Raises:
            DuplicateError: If the registry, or a family checked before, has another shape
                under that name.
        """
        full = self._full(spec)
        own = self._collectors.get(spec.name)
        if own is not None and registered(self._registry, full.name) is own:
            return
        promised = self._promised.get(full.name, full)
        if not promised.same_shape(full):
            raise DuplicateError(
                f"cannot declare {full}: {full.name!r} is declared as {promised}; choose another "
                "name, or declare both the same way"
            )
        declared(self._registry, full)
        if full.kind != "gauge":
            self._promised.setdefault(full.name, full)

    def collector(self, name: str, make: "Callable[[], C]") -> C:
        """Return the collector of a name; make and register it at first use.

        Args:
            name: Tells collectors apart.
            make: Makes the collector.
        """
        known = self._collectors.get(name)
        if known is None:
            known = self._collectors.setdefault(name, make())
            self._try_register(known, self.prefixed(name))
            self._register()
        return cast("C", known)

    def attach(self) -> None:
        """Register again what `detach` took out; counts have been kept."""
        for family in self._families.values():
            self._try_register(family, str(family.spec))
        for name, collector in self._collectors.items():
            self._try_register(collector, self.prefixed(name))
        if self._families or self._collectors:
            self._register()

    def detach(self) -> None:
        """Take everything out of the registry; counts are kept."""
        for family in self._families.values():
            undeclare(self._registry, family)
        for collector in self._collectors.values():
            try:
                self._registry.unregister(collector)
            except KeyError:  # it never got in, or the host has taken it out
                continue
        if self._registered:
            self._registered = False
            unregister_internal(self._registry)

    def _full(self, spec: "MetricSpec") -> "MetricSpec":
        return replace(spec, name=self.prefixed(spec.name))

    def _register(self) -> None:
        """Show obskit's own counts where there are metrics of its own."""
        if self._registered:
            return
        self._registered = True
        try:
            register_internal(self._registry)
        except Exception as error:
            guard.report("metrics.declare", error)

    def _try_register(self, collector: "Collector | Family", shape: str) -> None:
        try:
            self._registry.register(collector)
        except ValueError as error:
            told = f"cannot declare {shape}: {error}; set namespace=, or choose another name"
            guard.report("metrics.declare", DuplicateError(told))
        except Exception as error:
            guard.report("metrics.declare", error)


_stores: "WeakSet[MetricStore]" = WeakSet()


def keep_in_flight(operations: set[Any]) -> None:
    """Forget, in a forked child, what is in flight in threads that are not there.

    Args:
        operations: Those that run in the child.
    """
    for store in list(_stores):
        store.keep(operations)
