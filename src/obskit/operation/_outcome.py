"""How operations end."""

import sys
from typing import Literal

Outcome = Literal["ok", "error", "cancelled", "closed"]
"""How an operation ended; ``closed`` is a generator that its consumer dropped early."""

OUTCOMES: tuple[Outcome, ...] = ("ok", "error", "cancelled", "closed")


def outcome_of(error: BaseException | None) -> Outcome:
    """Return the outcome that an error means when nobody says otherwise.

    Args:
        error: What ended the operation; None when nothing did.
    """
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return "ok"
    if isinstance(error, _cancellations()):
        return "cancelled"
    return "closed" if isinstance(error, GeneratorExit) else "error"


def _cancellations() -> tuple[type[BaseException], ...]:
    """Return the exceptions that mean cancellation in the event loops that are loaded."""
    asyncio, trio = sys.modules.get("asyncio.exceptions"), sys.modules.get("trio")
    of_asyncio = () if asyncio is None else (asyncio.CancelledError,)
    return of_asyncio if trio is None else (*of_asyncio, trio.Cancelled)
