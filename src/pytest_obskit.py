"""The pytest plugin: fixtures that record what a test emits.

It lives outside of the package ``obskit`` because pytest loads it in every suite of an environment
where obskit is installed, and importing a module of a package imports the package. Here obskit is
imported by a fixture, when a test asks for one.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from obskit.testing import Observed


@pytest.fixture
def observed() -> "Generator[Observed]":
    """Everything obskit emits during the test; see `obskit.testing.Observed`.

    Metrics, logs and spans go to this test alone. At its end no operation may be in flight, and
    obskit itself must have had no fault.
    """
    from obskit.testing import observing  # noqa: PLC0415 - free for suites that do not use it

    with observing() as recorder:
        yield recorder
