"""The loop of the upkeep: requests as they come, the rest by the clock of this process."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from policywatch.domain.changes import Severity
from policywatchd.upkeep.digest import Digesting
from policywatchd.upkeep.exposition import serve_metrics
from policywatchd.upkeep.health import Health
from policywatchd.upkeep.measures import forget_old, store_measures
from policywatchd.upkeep.requests import Serving
from policywatchd.upkeep.seals import Sealer
from policywatchd.upkeep.sessions import cut, end_silent, know_people

if TYPE_CHECKING:
    from policywatchd.service import Service

__all__ = ["run"]

_LOOK = 5.0


async def run(service: Service) -> None:
    """Serve requests and figures and keep order until the daemon stops."""
    serving, sealer, health, digesting = Serving(), Sealer(), Health(), Digesting()
    chores: list[tuple[float, Callable[[Service], Awaitable[object]]]] = [
        (_LOOK, lambda service: sealer.look(service.db)),
        # At every turn: a hint wakes the loop when a session is ended and when people change.
        (0.0, lambda service: cut(service.db)),
        (0.0, know_people),
        (10.0, lambda service: end_silent(service.db)),
        (30.0, lambda service: _look_at_sources(service, health)),
        (60.0, digesting.look),
        (30.0, store_measures),
        (3600.0, forget_old),
    ]
    done = [float("-inf")] * len(chores)
    try:
        async with serve_metrics(service):
            while not service.stopping.is_set():
                service.progress("upkeep")
                await serving.look(service)
                for number, (every, chore) in enumerate(chores):
                    if time.monotonic() - done[number] >= every:
                        await chore(service)
                        done[number] = time.monotonic()
                await service.pause("upkeep", _LOOK)
    finally:
        await serving.close()
        await digesting.close()


async def _look_at_sources(service: Service, health: Health) -> None:
    settings = service.settings
    severity = Severity(settings.alerts.severity)
    await health.look(service.db, blind_after=settings.fetch.blind_after, alert_from=severity)
