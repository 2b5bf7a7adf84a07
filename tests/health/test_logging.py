"""What a registry says in the log: first results and transitions, nothing else."""

import logging
from collections.abc import Iterator

import pytest

from obskit._guard import guard
from obskit.health import HealthRegistry, Status

pytestmark = pytest.mark.anyio


class Dependency:
    """Fails while it is told to."""

    error: Exception | None = None

    async def ping(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def health() -> HealthRegistry:
    return HealthRegistry()


@pytest.fixture
def db(health: HealthRegistry) -> Dependency:
    dependency = Dependency()
    health.add("db", dependency.ping)
    return dependency


@pytest.fixture
def broken_logging() -> Iterator[None]:
    """A filter of the host's that raises."""

    def refuse(record: logging.LogRecord) -> bool:
        raise RuntimeError("filter")

    logger = logging.getLogger("obskit.health")
    logger.addFilter(refuse)
    try:
        yield
    finally:
        logger.removeFilter(refuse)


async def test_the_first_result_and_each_transition_are_logged(
    health: HealthRegistry, db: Dependency, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for error in (None, None, ConnectionRefusedError(), TimeoutError(), None, None):
        db.error = error
        await health.ready()

    lines = [record for record in caplog.records if record.name == "obskit.health"]
    fields = ("levelname", "check", "status", "previous", "code", "error_type")
    assert [tuple(vars(line)[field] for field in fields) for line in lines] == [
        ("INFO", "db", "healthy", None, None, None),
        ("WARNING", "db", "unhealthy", "healthy", "refused", "ConnectionRefusedError"),
        ("INFO", "db", "healthy", "unhealthy", None, None),
    ]
    assert [line.getMessage() for line in lines] == [
        "health check db is healthy",
        "health check db is unhealthy (refused)",
        "health check db is healthy",
    ]


async def test_a_log_that_fails_changes_no_answer(
    health: HealthRegistry,
    db: Dependency,
    broken_logging: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with guard.recording() as faults:
        report = await health.ready()

    assert report.status is Status.HEALTHY
    assert [(site, str(error)) for site, error in faults] == [("health.record", "filter")]
