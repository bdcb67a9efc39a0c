"""`policywatchd simulate`: the same daemon in the pretend world. The only way to open the wall to loopback.

It refuses every database that was not made by the demo, the benchmarks or the tests, so that no pretend page can
ever enter a real history.
"""

from __future__ import annotations

from collections.abc import Sequence

from policywatch.db import workers
from policywatch.errors import NotAllowed, UsageError
from policywatch.settings import Settings
from policywatch.simulated.world import allowed, simulated_resolver
from policywatchd import running
from policywatchd.once import Report, once
from policywatchd.service import Network, Service

__all__ = ["ORIGINS", "network", "refuse_real", "simulate", "visit_once"]

ORIGINS = frozenset({"demo", "bench", "test"})


def network(web: str) -> Network:
    """The pretend network behind `127.0.0.1:PORT`. UsageError for any other address."""
    host, _, port = web.rpartition(":")
    if host != "127.0.0.1" or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(
            f"{web} is no simulated web.", remedy="Give --web 127.0.0.1:PORT, as the simulated web prints it."
        )
    return Network(simulated_resolver(int(port)), allowed(int(port)))


async def refuse_real(service: Service) -> None:
    """Raise NotAllowed unless this database was made for pretending."""
    origin = await workers.config_value(service.db, "origin")
    if origin not in ORIGINS:
        raise NotAllowed(
            f"This database is a real one (origin: {origin}); nothing is simulated in it.",
            remedy="Use a database made by the demo, a benchmark or a test.",
        )


async def simulate(settings: Settings, web: str) -> None:
    """As `run`, in the pretend world."""
    await running.run(settings, program="simulate", network=network(web), before=refuse_real)


async def visit_once(settings: Settings, names: Sequence[str], web: str) -> Report:
    """As `once`, in the pretend world."""
    async with running.open_service(settings, program="simulate", network=network(web)) as service:
        try:
            await refuse_real(service)
            return await once(service, names)
        finally:
            await service.reader.close()
