"""The collecting room put together for one daemon: wall, lanes, reader, judge, schedule."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from policywatch.db import credentials
from policywatch.domain.changes import Severity
from policywatchd.collect.finish import Finisher
from policywatchd.collect.hosts import Lanes
from policywatchd.collect.ladder import Ladder
from policywatchd.collect.page import PageReader, user_agent
from policywatchd.collect.render import Renderer
from policywatchd.collect.robots import Robots
from policywatchd.collect.sight import Sight
from policywatchd.collect.visit import Visited, Visitor
from policywatchd.collect.wall import Wall
from policywatchd.judge.queue import Queue
from policywatchd.judge.steps import Judge
from policywatchd.schedule import Schedule
from policywatchd.service import Service, lease_for
from policywatchd.unlock import key_of

__all__ = ["open_schedule", "open_sight", "run"]


@asynccontextmanager
async def open_sight(service: Service) -> AsyncIterator[Sight]:
    """What looks at pages for this daemon; its connections are closed at the end."""
    fetch, lease = service.settings.fetch, lease_for(service.settings)
    wall = Wall(service.network.resolver, service.network.allowed)
    transport = service.network.watch(wall)
    lanes = Lanes(service.db, service.worker_id, gap=fetch.min_gap, lease=lease, draw=service.draw)
    agent = user_agent(version("policywatch"), fetch.contact)
    robots = Robots(service.db, transport, lanes, agent, seconds=fetch.timeout.total_seconds())
    keys = key_of(service.settings)

    async def secret(platform: str, name: str) -> str:
        return await credentials.use(service.db, keys, platform, name, "fetch")

    pages = PageReader(transport, robots, service.reader, fetch, agent, secret=secret)
    renderer = Renderer(fetch.render_socket) if fetch.render == "auto" else None
    try:
        yield Sight(service.db, Ladder(pages, service.reader, renderer), service.reader)
    finally:
        await wall.aclose()


@asynccontextmanager
async def open_schedule(service: Service) -> AsyncIterator[Schedule]:
    """The schedule of this daemon; its connections are closed at the end."""
    async with open_sight(service) as sight:
        yield _schedule(service, sight)


def _schedule(service: Service, sight: Sight) -> Schedule:
    fetch, lease = service.settings.fetch, lease_for(service.settings)
    visitor = Visitor(
        service.db,
        service.worker_id,
        sight,
        Judge(service.db, service.reader, service.today),
        Finisher(
            service.db,
            service.worker_id,
            Queue(fetch.second_look, Severity(service.settings.alerts.severity), service.today),
            fetch.second_look,
        ),
        lease=lease,
        second_look=fetch.second_look,
        draw=service.draw,
    )
    visitor.progressed = lambda: service.progress("collect")
    schedule = Schedule(service.db, service.worker_id, visitor, places=fetch.concurrency, lease=lease)

    def count(visited: Visited) -> None:
        service.count("visits")
        service.count(f"visits_{visited.outcome}")

    schedule.on_visited = count
    return schedule


async def run(service: Service) -> None:
    """Visit what is due until the daemon stops; with new settings after the visits that began with the old ones."""
    renewal = service.renewal("collect")
    while not service.stopping.is_set():
        renewal.clear()
        async with open_schedule(service) as schedule:
            await schedule.run(
                service.stopping, service.wake("collect"), lambda: service.progress("collect"), renewal
            )
