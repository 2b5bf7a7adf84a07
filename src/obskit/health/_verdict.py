"""What the result or the exception of a check means."""

import socket
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, NamedTuple

from obskit.health._report import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

CODES: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "timeout"),
    (ConnectionRefusedError, "refused"),
    (socket.gaierror, "dns"),
    (PermissionError, "auth"),
)
"""Exception types that say more than ``error``."""

STATUSES: frozenset[str] = frozenset(Status)


class Verdict(NamedTuple):
    """What one run of a check found.

    Attributes:
        status: The status.
        code: Why, for bodies: see `CheckResult`.
        error_type: The class name of the exception, for logs.
        odd_type: The class name of a result that was hardly meant: healthy only because it is
            true, or unhealthy because it is a generator, whose body never ran.
    """

    status: Status
    code: str | None = None
    error_type: str | None = None
    odd_type: str | None = None


TIMED_OUT = Verdict(Status.UNHEALTHY, code="timeout")
ABANDONED = Verdict(Status.UNKNOWN, code="cancelled")


def judge(value: object) -> Verdict:
    """Say what a check's result means.

    Args:
        value: What the check returned, awaited where it could be.
    """
    if value is None or value is True:
        return Verdict(Status.HEALTHY)
    if isinstance(value, str) and value in STATUSES:
        return Verdict(Status(value))
    if not value:
        return Verdict(Status.UNHEALTHY)
    never_ran = isinstance(value, GeneratorType | AsyncGeneratorType)
    status = Status.UNHEALTHY if never_ran else Status.HEALTHY
    return Verdict(status, odd_type=type(value).__name__)


def failed(error: BaseException) -> Verdict:
    """Say what an exception means, without its text.

    Args:
        error: What the check raised. Drivers wrap the errors of the system, so that the code may
            come from its cause or context.
    """
    codes = (code for link in _chain(error) for kind, code in CODES if isinstance(link, kind))
    return Verdict(Status.UNHEALTHY, next(codes, "error"), error_type=type(error).__name__)


def _chain(error: BaseException | None) -> "Iterator[BaseException]":
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = error.__suppress_context__
        error = error.__cause__ or (None if hidden else error.__context__)
