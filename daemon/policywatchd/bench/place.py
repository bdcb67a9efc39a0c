"""Where a benchmark takes place: settings of a scenario, the collecting side of a daemon, its failures counted."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic import ValidationError

from policywatch.db.pool import Database
from policywatch.db.scratch import Scratch
from policywatch.errors import PolicyWatchError, UsageError
from policywatch.settings import Settings
from policywatch.simulated.scenario import Scenario
from policywatchd.collect.loop import open_schedule
from policywatchd.schedule import Schedule
from policywatchd.service import Network, Service
from policywatchd.upkeep.reconcile import reconcile

__all__ = ["QUICK", "Failures", "beside", "collector", "settings_of", "until_ended"]

T = TypeVar("T")

#: Server settings of a scratch server: nothing here has to survive a power cut.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Failures(logging.Handler):
    """Counts visits that ended by a failure of ours: whatever a page does, there must be none."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what the pool of visits says."""
        if record.msg in ("visit_failed", "visit_overdue seconds=%g"):
            fault = record.exc_info[1] if record.exc_info else None
            self.told.append(f"{record.msg}: {fault!r}"[:300])

    def __enter__(self) -> Failures:
        logging.getLogger("policywatch.collect").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("policywatch.collect").removeHandler(self)


def settings_of(scenario: Scenario, platforms: Mapping[str, Any]) -> Settings:
    """The settings of the daemon that visits a scenario; nothing of a real installation is in them.

    Raises UsageError for values of `fetch` or `rule` that no settings file may hold.
    """
    fetch = {
        "min_gap": "0.05 s",
        "timeout": "2 s",
        "concurrency": 8,
        "second_look": "20 min",
        "render": "off",
    }
    fetch |= {"cadence": f"{scenario.cadence.total_seconds():g} s", **scenario.fetch}
    try:
        # Not by a file: five thousand documents are more than one may hold.
        return Settings.model_validate({"catalogue": "none", "platforms": platforms, "fetch": fetch})
    except ValidationError as fault:
        first = fault.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UsageError(f"The scenario's settings are faulty: {key}: {first['msg']}.") from None


@asynccontextmanager
async def collector(
    made: Scratch, settings: Settings, network: Network, seed: int
) -> AsyncIterator[tuple[Service, Schedule]]:
    """The collecting side of a daemon in the pretend network."""
    size = max(settings.database.pool_size, 3)
    async with await Database.open(made.daemon, max_size=size, application="policywatchd bench") as db:
        draw = random.Random(seed)  # noqa: S311 (waits and spreads; no secret)
        service = Service(db, settings, network=network, program="bench", draw=draw)
        try:
            await reconcile(db, settings, force=True)
            async with open_schedule(service) as schedule:
                yield service, schedule
        finally:
            await service.reader.close()


async def beside(schedule: Schedule, service: Service, work: Coroutine[Any, Any, T]) -> T:
    """The work, beside the schedule that visits what is due; whichever fails ends the other."""
    visits = asyncio.create_task(schedule.run(service.stopping, service.wake("collect"), lambda: None))
    working = asyncio.create_task(work)
    try:
        await asyncio.wait({visits, working}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await visits
            raise PolicyWatchError("The schedule ended before the benchmark did.")
        return working.result()
    finally:
        service.stopping.set()
        service.wake("collect").set()
        working.cancel()
        await asyncio.gather(visits, working, return_exceptions=True)


async def until_ended(work: Coroutine[Any, Any, T]) -> T:
    """The work; SIGTERM ends it as Ctrl-C does, so that server and database go with it."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
