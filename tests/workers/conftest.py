"""Workers for tests of theirs."""

from tests.kits.workers import faults, start

__all__ = ["faults", "start"]
