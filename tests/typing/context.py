"""Blocks, operations and what crosses boundaries have types. Never run: mypy and pyright check."""

from typing import assert_type

import obskit
from obskit import MetricNames, Operation, Runtime, Settings
from obskit.operation import Outcome


def blocks() -> None:
    with obskit.observe("cache.refresh", tier="l2") as operation:
        assert_type(operation, Operation)
        operation.set(rows=1, anything=object())
        operation.event("evicted", count=3)
        assert_type(operation.outcome, Outcome)
        operation.outcome = "error"
    with obskit.bound(tenant="acme") as nothing:
        assert_type(nothing, None)
    with obskit.extract({"X-Request-ID": "c-1"}) as identifier:
        assert_type(identifier, str)


async def async_blocks() -> None:
    async with obskit.observe("cache.refresh") as operation:
        assert_type(operation, Operation)


def a_nonsense_outcome_is_found() -> None:
    obskit.current().outcome = "splendid"  # type: ignore[assignment] # not one of the four


def errors_reach_the_code_behind_a_block() -> int:
    """A block never swallows an error, so nothing is missing here."""
    with obskit.observe("work"):
        return 1


def predicates() -> None:
    def outcome(result: int, error: BaseException | None) -> Outcome | None:
        return "ok" if result else None

    obskit.observe("work", outcome=outcome)
    obskit.observe("work", names=MetricNames(total="jobs_total", operation=None))


def headers() -> None:
    assert_type(obskit.inject({}), dict[str, str])
    assert_type(obskit.correlation_id(), str | None)
    with obskit.extract([(b"x-request-id", b"c-1")]):
        pass


def runtimes() -> None:
    with obskit.configure(service="orders") as runtime:
        assert_type(runtime, Runtime)
        assert_type(runtime.settings, Settings)
        assert_type(runtime.settings.shutdown_timeout, float)
