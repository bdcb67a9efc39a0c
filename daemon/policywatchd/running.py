"""The daemon's programs once their settings are read: connect, say who we are, run, end with the contract's code."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from policywatch.db import connect
from policywatch.db.pool import Database
from policywatch.settings import Settings
from policywatchd.collect import loop as collect
from policywatchd.once import Report, once
from policywatchd.service import Loop, Network, Service
from policywatchd.upkeep import loop as upkeep
from policywatchd.upkeep.reconcile import Reconciled, reconcile

__all__ = ["open_service", "reconcile_once", "run", "visit_once"]


@asynccontextmanager
async def open_service(
    settings: Settings, *, program: str, network: Network | None = None
) -> AsyncIterator[Service]:
    """The daemon's own login and what its rooms share. ServiceAway where the database does not answer."""
    conninfo = await asyncio.to_thread(connect.daemon, settings)
    size = max(settings.database.pool_size, 3)
    async with await Database.open(conninfo, max_size=size, application=f"policywatchd {program}") as db:
        yield Service(db, settings, network=network, program=program)


def _loops() -> list[Loop]:
    loops = [Loop("collect", collect.run), Loop("upkeep", upkeep.run)]
    if importlib.util.find_spec("policywatchd.publish.loop") is not None:
        from policywatchd.publish import loop as publish

        loops.append(Loop("publish", publish.run))
    return loops


async def run(
    settings: Settings,
    *,
    program: str = "run",
    network: Network | None = None,
    before: Callable[[Service], Awaitable[None]] | None = None,
) -> None:
    """The supervised daemon, until a signal. `before` may refuse to start by raising."""
    async with open_service(settings, program=program, network=network) as service:
        if before is not None:
            await before(service)
        await reconcile(service.db, settings)
        await service.run(_loops())


async def visit_once(settings: Settings, names: Sequence[str], network: Network | None = None) -> Report:
    """One look, then the end."""
    async with open_service(settings, program="once", network=network) as service:
        try:
            return await once(service, names)
        finally:
            await service.reader.close()


async def reconcile_once(settings: Settings) -> Reconciled:
    """Apply the settings, whether their hash stands there or not."""
    async with open_service(settings, program="reconcile") as service:
        return await reconcile(service.db, settings, force=True)
