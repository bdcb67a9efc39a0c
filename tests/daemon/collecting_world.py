"""A daemon in the pretend world, in this process: one database, one simulated web, the collecting room.

Helpers of the tests of collecting; the database is read as its superuser, the daemon works as its own login.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from policywatch.db.pool import Database
from policywatch.settings import Settings
from policywatch.simulated.texts import PLATFORMS, Platform
from policywatch.simulated.web import SimulatedWeb
from policywatch.simulated.world import allowed, platforms_settings, simulated_resolver
from policywatchd.once import Report, once
from policywatchd.service import Network, Service
from tests.databases import Scratch

__all__ = ["TODAY", "World", "open_world", "settings_of"]

TODAY = date(2026, 11, 27)
Row = dict[str, Any]


@dataclass
class World:
    """What a test of collecting holds in its hands."""

    scratch: Scratch
    web: SimulatedWeb
    settings: Settings
    stack: AsyncExitStack
    platforms: Sequence[Platform]
    services: list[Service] = field(default_factory=list)

    async def service(self, settings: Settings | None = None) -> Service:
        """A daemon of its own: login, name, reader."""
        db = await Database.open(self.scratch.daemon, max_size=4, application="test daemon")
        self.stack.push_async_callback(db.close)
        service = Service(
            db,
            settings or self.settings,
            network=Network(simulated_resolver(self.web.port), allowed(self.web.port)),
            program="test",
            draw=random.Random(1),
            today=lambda: TODAY,
        )
        self.stack.push_async_callback(service.reader.close)
        self.services.append(service)
        return service

    async def once(self, *names: str, service: Service | None = None) -> Report:
        """One look at what is due, or at what is named."""
        service = service or (self.services[0] if self.services else await self.service())
        return await once(service, names)

    async def all_once(self) -> Report:
        """One look at every document, due or not."""
        return await self.once(*[platform.key for platform in self.platforms])

    def rows(self, statement: str, *values: Any) -> list[Row]:
        """Rows as the superuser sees them."""
        return self.scratch.run(statement, *values)

    def value(self, statement: str, *values: Any) -> Any:
        """The one value of the one row."""
        (row,) = self.rows(statement, *values)
        (value,) = row.values()
        return value

    async def until(self, statement: str, *, seconds: float = 20.0) -> None:
        """Wait until the statement's one value is true."""
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(self.value, statement):  # noqa: ASYNC110 (rows send no event)
                await asyncio.sleep(0.05)


def settings_of(platforms: Sequence[Platform], **fetch: Any) -> Settings:
    """Settings of the pretend platforms, with hourly visits so that nothing is due by itself."""
    return Settings.model_validate(
        {
            "catalogue": "none",
            "platforms": platforms_settings(platforms, cadence="1 h"),
            "fetch": {"min_gap": "1 ms", "timeout": "2 s", "second_look": "off", **fetch},
        }
    )


@asynccontextmanager
async def open_world(
    scratch: Scratch, platforms: Sequence[Platform] = PLATFORMS[:2], **fetch: Any
) -> AsyncIterator[World]:
    """A running web and a database whose origin is `test`."""
    scratch.run("UPDATE app.system_config SET value = '\"test\"' WHERE key = 'origin'")
    async with AsyncExitStack() as stack:
        web = await stack.enter_async_context(SimulatedWeb(seed=7, platforms=platforms, today=TODAY))
        yield World(scratch, web, settings_of(platforms, **fetch), stack, platforms)
