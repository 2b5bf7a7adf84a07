"""What tests of configurations share."""

import pytest

from obskit.runtime import dependents


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that other tests have decorated do not show their metrics in this one."""
    monkeypatch.setattr(dependents, "_known", {})
