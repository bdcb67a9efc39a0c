"""A desk over the world in memory, and waiting for conditions instead of seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any
from uuid import UUID

from textual.pilot import Pilot

from policywatch_tui.desk.source import DeskSource
from policywatch_tui.deskapp import DeskApp
from tests.tui.world import World

_DEADLINE_SECONDS = 10.0


class Clock:
    """A monotonic clock that only tests move."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def desk_over(
    world: World, *, person: str = "ben", role: str = "approver", folder: Path | None = None
) -> tuple[DeskApp, Clock]:
    """The app of one person, with a clock, ids and a zone that do not vary."""
    clock, numbers = Clock(), iter(range(1, 10_000))

    async def opener() -> DeskSource:
        world.reach()
        return world.desk(person, role)

    app = DeskApp(
        opener,
        zone=UTC,
        mono=clock,
        new_id=lambda: UUID(int=next(numbers)),
        state_folder=folder,
    )
    return app, clock


def screen_text(app: DeskApp) -> str:
    """What stands on the screen, line by line."""
    return "\n".join(
        "".join(segment.text for segment in strip).rstrip()
        for strip in app.screen._compositor.render_strips()
    )


async def until(pilot: Pilot[Any], condition: Callable[[], bool], what: str = "") -> None:
    """Wait for a condition; fail with the screen after ten seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _DEADLINE_SECONDS
    while not condition():
        app: Any = pilot.app
        assert loop.time() < end, f"{what or 'the condition'} did not come true:\n{screen_text(app)}"
        await pilot.pause(0.01)
    await pilot.pause()


async def ready(pilot: Pilot[Any]) -> None:
    """Wait until everything of the start was read and a listener is there."""
    app: Any = pilot.app
    await until(pilot, lambda: bool(app.session.segments) and not app.session.more, "the first read")


async def press(pilot: Pilot[Any], clock: Clock, keys: Sequence[str]) -> None:
    """Keys as a person presses them: one second apart."""
    for key in keys:
        clock.seconds += 1
        await pilot.press(key)
