"""The metrics of one configuration, and the operations that are in flight."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from obskit._guard import guard
from obskit.metrics import Family, declare, register_internal, undeclare

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
    """

    def __init__(self, registry: "CollectorRegistry", *, namespace: str, max_series: int) -> None:
        self.key: tuple[CollectorRegistry, str, int] = (registry, namespace, max_series)
        self.in_flight: dict[int, Any] = {}
        self._registry = registry
        self._namespace = namespace
        self.max_series = max_series
        self._families: dict[str, Family] = {}
        self._collectors: dict[str, Collector] = {}
        self._registered = False

    def prefixed(self, name: str) -> str:
        """Return a metric's name with the namespace in front."""
        return f"{self._namespace}_{name}" if self._namespace else name

    def family(self, spec: "MetricSpec") -> Family:
        """Return the family that a specification without namespace means; declare it at first use.

        A name that the host uses for something else is reported, and the family is then kept out
        of the registry: telemetry never breaks the host.

        Args:
            spec: The family, under its name without the namespace.
        """
        shape = str(spec)
        known = self._families.get(shape)
        if known is not None:
            return known
        full = replace(spec, name=self.prefixed(spec.name))
        try:
            family = declare(self._registry, full, max_series=self.max_series)
            self._register()
        except Exception as error:
            guard.report("metrics.declare", error)
            family = Family(full, max_series=self.max_series)
        return self._families.setdefault(shape, family)

    def collector(self, name: str, make: "Callable[[], C]") -> C:
        """Return the collector of a name; make and register it at first use.

        Args:
            name: Tells collectors apart.
            make: Makes the collector.
        """
        known = self._collectors.get(name)
        if known is None:
            known = self._collectors.setdefault(name, make())
            self._try_register(known)
        return cast("C", known)

    def attach(self) -> None:
        """Register again what `detach` took out; counts have been kept."""
        for family in self._families.values():
            self._try_register(family)
        for collector in self._collectors.values():
            self._try_register(collector)

    def detach(self) -> None:
        """Take everything out of the registry."""
        for family in self._families.values():
            undeclare(self._registry, family)
        for collector in self._collectors.values():
            try:
                self._registry.unregister(collector)
            except KeyError:  # it never got in, or the host has taken it out
                continue

    def _register(self) -> None:
        if not self._registered:
            self._registered = True
            register_internal(self._registry)

    def _try_register(self, collector: "Collector | Family") -> None:
        try:
            self._registry.register(collector)
        except Exception as error:
            guard.report("metrics.declare", error)
