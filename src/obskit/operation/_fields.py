"""Names and values of an operation, as log lines and spans take them."""

from typing import TYPE_CHECKING, Any

from obskit.logs import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def with_fixed(fixed: "Mapping[str, Any]", given: "Mapping[str, Any]") -> dict[str, Any]:
    """Return fixed log fields and given ones; a given name that is taken gets a ``_`` behind.

    Args:
        fixed: Names and values of obskit's own.
        given: Names and values of a caller.
    """
    free = {f"{name}_" if name in fixed else name: value for name, value in given.items()}
    return {**fixed, **free}


def span_attributes(attributes: "Mapping[str, Any]") -> dict[str, Any]:
    """Return attributes as OpenTelemetry takes them: plain values as they are, others as text."""
    return {
        name: value if isinstance(value, str | bool | int | float) else text_of(value)
        for name, value in attributes.items()
        if value is not None
    }
