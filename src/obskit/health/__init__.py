"""Health checks: is this process alive, can it serve, and which dependency is at fault.

    from obskit.health import HealthRegistry

    health = HealthRegistry(version="1.0.0")

    @health.check("postgres", timeout=1.5)
    async def postgres():
        await pool.fetchval("select 1")

    health.add("cache", redis.ping, critical=False)

    report = await health.ready()        # report.http_status is 200 or 503

What a check may be:

* A **coroutine function** (also a method, partial or object of that kind) is called on the event
  loop.
* **Everything else callable** is called on a daemon thread of its own, since it may block. When
  it returns an awaitable, as ``redis.asyncio``'s ``ping`` does, that is awaited on the event loop.
  A plain function that asks for the running loop itself (``asyncio.create_task``) must therefore
  be an ``async def``.

What its result means: ``None`` and ``True`` are healthy, ``False`` is unhealthy, a `Status` or its
value counts as given, anything else by its truth. An exception is unhealthy with a code; its text
goes nowhere, since it may hold a password. That holds for ``sys.exit()`` too: no check ends the
process. Only a Ctrl-C that meets the event loop in a check passes through.

A check runs at most once at a time, however many probes ask, and each answer comes within the
check's timeout whatever the check does. Probes are awaited under asyncio, from any number of loops.
"""

from obskit.health._registry import HealthRegistry
from obskit.health._report import CheckResult, HealthReport, Status

__all__ = ["CheckResult", "HealthRegistry", "HealthReport", "Status"]
