"""The daemon's programs once their settings are read: connect, say who we are, run, end with the contract's code."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from policywatch.db import connect, setup
from policywatch.db.pool import Database
from policywatch.settings import Settings
from policywatchd.collect import loop as collect
from policywatchd.collect.archives import following
from policywatchd.once import Report, once
from policywatchd.service import Loop, Network, Service
from policywatchd.unlock import prove_keys, tell_openly
from policywatchd.upkeep import loop as upkeep
from policywatchd.upkeep import reload
from policywatchd.upkeep.reconcile import Reconciled, reconcile

__all__ = ["import_archive", "open_service", "reconcile_once", "run", "visit_once"]


@asynccontextmanager
async def open_service(
    settings: Settings, *, program: str, network: Network | None = None
) -> AsyncIterator[Service]:
    """The daemon's own login and what its rooms share.

    ServiceAway where the database does not answer; SettingsError, and nothing written, for a wrong master key.
    """
    conninfo = await _ready(settings)
    size = max(settings.database.pool_size, 3)
    async with await Database.open(conninfo, max_size=size, application=f"policywatchd {program}") as db:
        await prove_keys(db, settings)
        yield Service(db, settings, network=network, program=program)


async def _ready(settings: Settings) -> str:
    """The connection string of a database whose schema is this program's.

    The keeper of an embedded server has it made and brought up; anybody else only gets told what is missing.
    """
    if settings.database.mode == "embedded" and connect.server(settings).is_keeper():
        await setup.prepare(settings)
        return await asyncio.to_thread(connect.daemon, settings)
    conninfo = await asyncio.to_thread(connect.daemon, settings)
    await setup.require_current(conninfo)
    return conninfo


def _loops() -> list[Loop]:
    loops = [
        Loop("collect", collect.run),
        Loop("archives", following.run, following.LIMIT),
        Loop("upkeep", upkeep.run),
        Loop("settings", reload.run),
    ]
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
        await tell_openly(service.db, settings)
        await reload.reconcile_at_start(service.db, settings)
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
        return await reload.reconcile_at_start(service.db, settings, force=True)


async def import_archive(
    settings: Settings,
    source: str,
    *,
    queue: bool = False,
    dry_run: bool = False,
    platforms: Sequence[str] = (),
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Read a history into the database, whose catalogue is brought to the settings first."""
    from policywatchd.collect.archives.importing import import_source

    async with open_service(settings, program="import") as service:
        await reconcile(service.db, settings)
        report = await import_source(
            settings,
            service.db,
            source,
            queue=queue,
            dry_run=dry_run,
            platforms=platforms,
            progress=progress,
        )
    return report.to_json()
