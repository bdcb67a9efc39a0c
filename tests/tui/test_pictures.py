"""Pictures of the screens at 80x24 (one at 120x40); `make snapshots` makes them anew after a wanted change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from policywatch.domain.changes import Passage, PassageKind, Span
from policywatch_tui.desk.rows import Change
from policywatch_tui.deskapp import DeskApp
from tests.tui.pilots import Clock, desk_over, press, ready, screen_text, until
from tests.tui.world import NOW, FakeSource, World

Compare = Callable[..., bool]
HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07 [/nope] [@click=app.quit]x[/] \u202eevil\u200b \x9bH caf\u00e9 \u6771\u4eac"
)


def steps(clock: Clock, *keys: str, shows: str = "") -> Callable[[Pilot[Any]], Any]:
    """Wait for the start, press, wait for what must stand on the screen; then time stands still."""

    async def run(pilot: Pilot[Any]) -> None:
        app: Any = pilot.app
        await ready(pilot)
        for key in keys:
            await pilot.press(key)
        await until(pilot, lambda: shows in screen_text(app), shows)

    return run


@pytest.mark.parametrize(
    ("keys", "shows"),
    [
        pytest.param(("j",), "row  2/12", id="queue"),
        pytest.param(("j", "enter"), "--- 1/3", id="change"),
        pytest.param(("2",), "YOU SIGN A-12", id="approvals"),
        pytest.param(("3",), "Dear member", id="drafts"),
        pytest.param(("4",), "sends in 12m", id="publications"),
        pytest.param(("?",), "Keys of Queue", id="help"),
        pytest.param(("space", "space", "x"), "2 changes -> no_effect?", id="marks"),
    ],
)
def test_a_screen_looks_as_drawn(snap_compare: Compare, keys: tuple[str, ...], shows: str) -> None:
    app, clock = desk_over(World())
    assert snap_compare(app, terminal_size=(80, 24), run_before=steps(clock, *keys, shows=shows))


def test_the_queue_looks_as_drawn_on_a_large_terminal(snap_compare: Compare) -> None:
    app, clock = desk_over(World(60))
    assert snap_compare(app, terminal_size=(120, 40), run_before=steps(clock, "j", shows="row  2/60"))


def test_an_empty_queue_with_unread_sources_does_not_look_healthy(snap_compare: Compare) -> None:
    world = World(0)
    world.documents_good = 15
    app, clock = desk_over(world)
    assert snap_compare(app, terminal_size=(80, 24), run_before=steps(clock, shows="BUT 6 of 21"))


def test_a_lost_server_is_seen_at_the_top(snap_compare: Compare) -> None:
    world = World()
    app, clock = desk_over(world)

    async def run(pilot: Pilot[Any]) -> None:
        await ready(pilot)
        world.away = True
        await press(pilot, clock, ["R"])
        await until(pilot, lambda: "OFFLINE: the database" in screen_text(app))

    assert snap_compare(app, terminal_size=(80, 24), run_before=run)


def test_the_verdict_of_another_is_seen_on_its_row(snap_compare: Compare) -> None:
    world = World()
    world.rows[2041] = replace(
        world.rows[2041], version=2, verdict="no_effect", decided_by="carol", decided_at=NOW
    )
    app, _clock = desk_over(world)

    async def run(pilot: Pilot[Any]) -> None:
        world.rows[2042] = replace(
            world.rows[2042], version=2, verdict="accepted", decided_by="carol", decided_at=NOW
        )
        await ready(pilot)
        world.rows[2044] = replace(
            world.rows[2044], version=2, verdict="no_effect", decided_by="dora", decided_at=NOW
        )
        await until(pilot, lambda: bool(world.listeners))
        world.hint("change", 2044, 2)
        await until(pilot, lambda: "no_effect by dora" in screen_text(app))

    assert snap_compare(app, terminal_size=(80, 24), run_before=run)


class HostileSource(FakeSource):
    """Every foreign text of a change tries something."""

    async def change(self, change_id: int) -> Change:
        change = await super().change(change_id)
        passage = Passage(
            PassageKind.REWORDED, (HOSTILE,), HOSTILE + " old", HOSTILE + " new", (Span(0, 4),), (Span(0, 4),)
        )
        return replace(change, passages=(passage,), notes=(HOSTILE,), topics=(HOSTILE,), change_type=HOSTILE)


def hostile_desk() -> tuple[DeskApp, Clock]:
    world = World()
    world.rows = {
        row.id: replace(row, summary=HOSTILE, platform=HOSTILE, document=HOSTILE)
        for row in world.rows.values()
    }
    world.desk = lambda person="ben", role="approver": HostileSource(world, person, role)  # type: ignore[method-assign]
    return desk_over(world)


def test_hostile_text_is_shown_and_not_obeyed(snap_compare: Compare) -> None:
    app, clock = hostile_desk()
    assert snap_compare(app, terminal_size=(80, 24), run_before=steps(clock, "enter", shows="--- 1/1"))


async def test_no_control_character_reaches_a_strip() -> None:
    app, clock = hostile_desk()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        seen = screen_text(app)
        await press(pilot, clock, ["enter"])
        await until(pilot, lambda: "--- 1/1" in screen_text(app))
        seen += screen_text(app)
        assert "<U+001B>" in seen
        assert not [sign for sign in seen if sign != "\n" and (ord(sign) < 32 or 127 <= ord(sign) < 160)]
