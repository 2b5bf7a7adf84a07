"""Families in registries: get or create, and take out again."""

from typing import TYPE_CHECKING

from obskit.errors import DuplicateError
from obskit.metrics._family import MAX_SERIES, Family
from obskit.metrics._spec import SUFFIXES, MetricSpec

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from obskit.metrics._engine import Engine


def declare(
    registry: "CollectorRegistry",
    spec: MetricSpec,
    *,
    max_series: int = MAX_SERIES,
    engine: "Engine | None" = None,
) -> Family:
    """The family of this shape in a registry, registered if it is new.

    Args:
        registry: Any prometheus_client registry.
        spec: What the family is. Help texts may differ between declarations; the first stays.
        max_series: Series a new family may have.
        engine: Where a new family's observations go.

    Raises:
        DuplicateError: If the registry holds something of another shape under that name.
    """
    family = declared(registry, spec)
    if family is not None:
        return family
    family = Family(spec, max_series=max_series, engine=engine)
    try:
        registry.register(family)
    except ValueError:  # another thread was first
        winner = declared(registry, spec)
        if winner is None:
            raise
        return winner
    return family


def undeclare(registry: "CollectorRegistry", family: Family) -> None:
    """Take a family out of a registry; nothing happens if it is not in there.

    Args:
        registry: Where it was declared.
        family: What `declare` returned.
    """
    try:
        registry.unregister(family)
    except KeyError:
        return


def registered(registry: "CollectorRegistry", name: str) -> object | None:
    """The collector that a registry holds under a name, if any.

    Args:
        registry: Any prometheus_client registry.
        name: The name of a family or of one of its samples.
    """
    return registry._names_to_collectors.get(name)  # no public method tells who holds a name


def declared(registry: "CollectorRegistry", spec: MetricSpec) -> Family | None:
    """The family of this shape that a registry holds already, if any.

    Args:
        registry: Any prometheus_client registry.
        spec: What the family is.

    Raises:
        DuplicateError: If the registry holds something of another shape under that name.
    """
    for suffix in SUFFIXES[spec.kind]:
        holder = registered(registry, spec.name + suffix)
        if holder is None:
            continue
        family = getattr(holder, "family", holder)  # an instrument that was registered itself
        if isinstance(family, Family) and family.spec.same_shape(spec):
            return family
        raise DuplicateError(_explain(spec, spec.name + suffix, family))
    return None


def _explain(spec: MetricSpec, name: str, holder: object) -> str:
    return (
        f"cannot declare {spec}: {name!r} is taken in this registry by {_described(holder)}; "
        "set namespace=, choose another name, or declare both the same way"
    )


def _described(holder: object) -> str:
    if isinstance(holder, Family):
        return str(holder.spec)
    labels = ",".join(getattr(holder, "_labelnames", ()))  # prometheus_client's metrics have them
    return f"a {type(holder).__qualname__}" + (f" with the labels {{{labels}}}" if labels else "")
