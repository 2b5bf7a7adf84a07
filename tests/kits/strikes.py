"""Exceptions of signal handlers, at every place where CPython may run a handler in obskit's code.

Those places are the beginnings of functions, the ends of calls of C functions, and the ends of
loops' rounds. A timer finds some of them by chance; this kit goes through all of them, in order.
"""

import dis
import functools
import gc
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import obskit

_OURS = str(Path(obskit.__file__).parent)
_STRUCK_AFTER = ("RESUME", "JUMP_BACKWARD", "CALL")
"""Beginnings of the names of instructions after which CPython runs signal handlers."""

_RETURN = "RETURN"

_ROUNDS = 2
"""Rounds of a loop in which a place is struck."""


class Strike(Exception):  # noqa: N818 - it is no error
    """What the handler raises."""


def strikes(call: Callable[[], object], prepare: Callable[[], object]) -> Iterator[str]:
    """Yield where an exception has struck, after each of the calls that were struck.

    Args:
        call: Does the same each time.
        prepare: Is called before each call.

    Raises:
        AssertionError: If an exception has not come out of the call, as the same object.
    """
    number = 1
    while True:
        prepare()
        striker = _Striker(number)
        raised = striker.strike(call)
        if striker.place is None:
            return
        assert raised is striker.raised, f"{striker.place} keeps the exception"
        yield striker.place
        number += 1


class _Striker:
    """Raises at one place, counted from the beginning of a call."""

    def __init__(self, number: int) -> None:
        self.raised = Strike()
        self.place: str | None = None
        self._left = number
        self._before = _RETURN
        self._visits: Counter[tuple[CodeType, int]] = Counter()

    def strike(self, call: Callable[[], object]) -> Strike | None:
        handler = signal.signal(signal.SIGUSR1, self._handle)
        traced, collects = sys.gettrace(), gc.isenabled()
        gc.disable()  # a finaliser keeps what is raised in it: it is not the call that is struck
        sys.settrace(self._trace)
        try:
            call()
        except Strike as strike:
            return strike
        finally:
            sys.settrace(traced)
            signal.signal(signal.SIGUSR1, handler)
            if collects:
                gc.enable()
        return None

    def _handle(self, *_: object) -> None:
        raise self.raised

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "return":
            self._before = _RETURN  # handlers wait after the call of a Python function
        elif event == "opcode":
            if self._before.startswith(_STRUCK_AFTER):
                self._reached(frame.f_code, frame.f_lasti)
            self._before = _opcodes(frame.f_code)[frame.f_lasti]
        elif event == "call":
            self._before = "RESUME"
            frame.f_trace_lines = False
            frame.f_trace_opcodes = frame.f_code.co_filename.startswith(_OURS)
        return self._trace

    def _reached(self, code: CodeType, offset: int) -> None:
        self._visits[code, offset] += 1
        if self._visits[code, offset] > _ROUNDS:
            return
        self._left -= 1
        if self._left == 0:
            name = code.co_qualname.replace("<locals>.", "")
            self.place = f"{Path(code.co_filename).name}:{_line(code, offset)} in {name}"
            signal.raise_signal(signal.SIGUSR1)


@functools.cache
def _opcodes(code: CodeType) -> dict[int, str]:
    """Return the names of a function's instructions by their offsets."""
    return {step.offset: step.opname for step in dis.get_instructions(code)}


def _line(code: CodeType, offset: int) -> int | None:
    return next(line for start, end, line in code.co_lines() if start <= offset < end)
