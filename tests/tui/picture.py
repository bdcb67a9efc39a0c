"""Draws the picture of the desk for the README: `python -m tests.tui.picture docs/desk.svg`."""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import replace
from pathlib import Path

from tests.tui.pilots import desk_over, press, ready, screen_text, until
from tests.tui.world import World


async def picture() -> str:
    """The Queue with some rows decided, as SVG."""
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=(80, 20)) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["j", "j", "j", "x", "k", "space", "j", "t"])
        await until(pilot, lambda: "no_effect by you" in screen_text(app))
        world.rows[2046] = replace(
            world.rows[2046],
            version=2,
            verdict="accepted",
            decided_by="carol",
            decided_at=world.rows[2046].detected_at,
        )
        world.rows[3000] = replace(world.rows[2041], id=3000, version=1)
        world.hint("change", 2046, 2)
        world.hint("change", 3000, 1)
        await until(pilot, lambda: "accepted by carol" in screen_text(app) and "+1 new" in screen_text(app))
        svg = app.export_screenshot(title="PolicyWatch", simplify=True)
    return re.sub(r"terminal-\d+", "terminal-desk", svg)


def main() -> None:
    """Write it to the path of the first argument."""
    Path(sys.argv[1]).write_text(asyncio.run(picture()), encoding="utf-8")


if __name__ == "__main__":
    main()
