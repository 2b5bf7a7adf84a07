"""What every test here starts from: nothing configured, nothing left over."""

import os
from typing import TYPE_CHECKING

import pytest
from tests.kits.isolation import alone

import obskit

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests under asyncio unless a test asks for another event loop."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _unconfigured(monkeypatch: pytest.MonkeyPatch) -> "Generator[None]":
    """Leave no configuration behind, and take none from the environment."""
    for name in os.environ:
        if name.startswith(("OBSKIT_", "OTEL_")):
            monkeypatch.delenv(name)
    yield
    obskit.shutdown()


@pytest.fixture(name="alone")
def _alone() -> "Generator[None]":
    """Functions that other tests have decorated do not show their metrics in this one."""
    with alone():
        yield
