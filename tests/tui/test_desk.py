"""What a person does at the desk, on a screen without a terminal: keys in, rows of the server out.

Long on purpose: the desk's keys in the order in which a reviewer meets them.
"""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from policywatch.domain.changes import Severity
from policywatch_tui.desk.rows import Hint
from policywatch_tui.screens.change import ChangeScreen
from tests.tui.pilots import desk_over, press, ready, screen_text, until
from tests.tui.world import World, queue_rows

SIZE = (80, 24)


def first_id(world: World) -> int:
    """The change on the first row."""
    return max(world.rows.values(), key=lambda row: (row.severity.rank, -row.detected_at.timestamp())).id


async def test_a_verdict_is_stored_shown_and_taken_back() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        row_id = first_id(world)

        await press(pilot, clock, ["a"])
        await until(pilot, lambda: world.rows[row_id].verdict == "accepted")
        await until(pilot, lambda: "accepted by you" in screen_text(app))
        assert "11 undecided" in screen_text(app)

        await press(pilot, clock, ["u"])
        await until(pilot, lambda: world.rows[row_id].verdict == "")
        await until(pilot, lambda: "12 undecided" in screen_text(app))

        await press(pilot, clock, ["U"])
        await until(pilot, lambda: world.rows[row_id].verdict == "accepted")


async def test_a_decided_row_keeps_its_place_and_the_cursor_stays() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["j", "j", "x"])
        await until(pilot, lambda: "no_effect by you" in screen_text(app))
        lines = screen_text(app).splitlines()
        assert lines[4].startswith("> +")


async def test_another_persons_verdict_appears_without_moving_anything() -> None:
    world = World()
    app, _clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await until(pilot, lambda: bool(world.listeners))
        row = world.rows[2043]
        world.rows[2043] = replace(
            row, version=2, verdict="no_effect", decided_by="carol", decided_at=row.detected_at
        )
        world.hint("change", 2043, 2)
        await until(pilot, lambda: "no_effect by carol" in screen_text(app))
        assert screen_text(app).splitlines()[2].startswith(">   CRIT")


async def test_the_second_one_is_told_who_decided_first() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        row_id = first_id(world)
        row = world.rows[row_id]
        world.rows[row_id] = replace(
            row, version=2, verdict="no_effect", decided_by="carol", decided_at=row.detected_at
        )
        await press(pilot, clock, ["a"])
        await until(pilot, lambda: "carol decided" in screen_text(app))
        assert world.rows[row_id].decided_by == "carol"
        assert screen_text(app).splitlines()[2].startswith("> o")


async def test_a_new_change_is_counted_and_shown_on_i() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await until(pilot, lambda: bool(world.listeners))
        world.rows[3000] = replace(queue_rows(1)[0], id=3000, summary="Something new and critical.")
        world.hint("change", 3000, 1)
        await until(pilot, lambda: "+1 new: i" in screen_text(app))
        assert "Something new" not in screen_text(app)
        await press(pilot, clock, ["i"])
        await until(pilot, lambda: "Something new" in screen_text(app))
        assert "+1 new" not in screen_text(app)


async def test_after_a_reconnection_everything_known_is_read_again() -> None:
    world = World()
    app, _clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await until(pilot, lambda: bool(world.listeners))
        row = world.rows[2043]
        world.rows[2043] = replace(
            row, version=2, verdict="accepted", decided_by="dora", decided_at=row.detected_at
        )
        world.rows[3000] = replace(queue_rows(1)[0], id=3000)
        world.listeners[0].put_nowait(Hint("reconnected", 0, 0))
        await until(pilot, lambda: "accepted by dora" in screen_text(app))
        await until(pilot, lambda: "+1 new: i" in screen_text(app))


async def test_marked_rows_are_decided_together_after_y_and_undone_as_one() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["space", "space", "x"])
        assert "2 changes -> no_effect? y/n" in screen_text(app)
        await press(pilot, clock, ["enter"])
        assert not any(row.verdict for row in world.rows.values())
        await press(pilot, clock, ["y"])
        await until(pilot, lambda: sum(row.verdict == "no_effect" for row in world.rows.values()) == 2)
        await press(pilot, clock, ["u"])
        await until(pilot, lambda: not any(row.verdict for row in world.rows.values()))


async def test_a_held_verdict_key_decides_one_row() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        clock.seconds += 1
        await pilot.press("a", "j", "a", "a", "a")
        await until(pilot, lambda: "undo" in screen_text(app))
        assert [kind for kind, _ in world.log].count("accepted") <= 2


async def test_severity_asks_which_and_why() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        row_id = first_id(world)
        await press(pilot, clock, ["!", "h", "b", "i", "g", "enter"])
        await until(pilot, lambda: world.rows[row_id].severity is Severity.HIGH)
        await press(pilot, clock, ["u"])
        await until(pilot, lambda: world.rows[row_id].severity is Severity.CRITICAL)


async def test_a_snoozed_row_sleeps_until_its_time() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["s", "4", "h", "enter"])
        await until(pilot, lambda: "snoozed to 16:03" in screen_text(app))


async def test_a_change_is_opened_walked_and_decided() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["j", "enter"])
        await until(pilot, lambda: isinstance(app.screen, ChangeScreen) and "--- 1/3" in screen_text(app))
        await press(pilot, clock, ["]"])
        assert "passage 1/3" in screen_text(app)
        await press(pilot, clock, ["]"])
        assert "passage 2/3" in screen_text(app)
        await press(pilot, clock, ["a"])
        await until(pilot, lambda: "accepted by you" in screen_text(app))
        await press(pilot, clock, ["q"])
        await until(pilot, lambda: "Queue" in screen_text(app).splitlines()[0])
        assert screen_text(app).splitlines()[3].startswith("> +")


async def test_an_accepted_change_becomes_a_draft() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["d"])
        await until(pilot, lambda: "is not accepted" in screen_text(app))
        await press(pilot, clock, ["a", "d"])
        await until(pilot, lambda: "G-89 is open" in screen_text(app))
        assert screen_text(app).startswith("Drafts")


async def test_a_draft_is_edited_in_the_persons_editor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    app, clock = desk_over(world, folder=tmp_path)
    seen: list[str] = []

    def editor(text: str) -> tuple[str, Path]:
        seen.append(text)
        path = tmp_path / "draft.txt"
        path.write_text("kept")
        return text.replace("asks for", "demands"), path

    monkeypatch.setattr(app, "edit", editor)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["3"])
        await until(pilot, lambda: "G-88" in screen_text(app))
        await press(pilot, clock, ["e"])
        await until(pilot, lambda: "demands" in world.drafts[88].subject)
        assert seen[0].startswith("Subject: TikTok now asks")
        assert not (tmp_path / "draft.txt").exists()

        await press(pilot, clock, ["w", "enter"])
        await until(pilot, lambda: world.drafts[88].state == "submitted")


async def test_a_yes_is_the_typed_number_of_recipients() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["2"])
        await until(pilot, lambda: "YOU SIGN A-12" in screen_text(app))
        await press(pilot, clock, ["a", "enter", *"4813", "enter"])
        assert "is not the number of recipients" in screen_text(app)
        assert 12 in world.approvals
        await press(pilot, clock, ["a", *"4812", "enter"])
        await until(pilot, lambda: 12 not in world.approvals)
        await until(pilot, lambda: "G-87 is approved" in screen_text(app))


async def test_the_author_is_refused_in_the_servers_words() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["2"])
        await until(pilot, lambda: "YOU SIGN" in screen_text(app))
        await press(pilot, clock, ["j", "a", *"4812", "enter"])
        await until(pilot, lambda: "a second person must approve it" in screen_text(app))
        assert 13 in world.approvals


async def test_a_return_needs_its_reason() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["2"])
        await until(pilot, lambda: "YOU SIGN" in screen_text(app))
        await press(pilot, clock, ["r", "enter", *"why", "enter"])
        await until(pilot, lambda: ("return: why", 12) in world.log)


async def test_a_publication_is_taken_back_by_x_and_y_and_by_nothing_else() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["4"])
        await until(pilot, lambda: "sends in 12m" in screen_text(app))
        await press(pilot, clock, ["x", "enter", "n"])
        assert world.publications[7].state == "grace"
        await press(pilot, clock, ["x", "y"])
        await until(pilot, lambda: world.publications[7].state == "withdrawn")
        await until(pilot, lambda: "WITHDRAWN" in screen_text(app))


async def test_without_a_server_the_desk_says_so_reads_on_and_stores_nothing() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        world.away = True
        await press(pilot, clock, ["R"])
        await until(pilot, lambda: "OFFLINE" in screen_text(app).splitlines()[0])
        await press(pilot, clock, ["j", "a"])
        assert "nothing was stored" in screen_text(app)
        world.away = False
        await press(pilot, clock, ["R"])
        await until(pilot, lambda: "live" in screen_text(app).splitlines()[0])
        assert not world.log


async def test_a_lost_answer_is_asked_again_with_the_same_id_and_stored_once() -> None:
    world = World()
    world.lose_answers = 1
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert app.session.clerk is not None
        app.session.clerk.retry_every = 0.01
        await press(pilot, clock, ["a"])
        await until(pilot, lambda: bool(app.session.triage.done))
        assert [kind for kind, _ in world.log] == ["accepted"]


async def test_a_desk_that_starts_without_a_server_waits_and_connects() -> None:
    world = World()
    world.away = True
    app, _clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "Start it: policywatch db start" in screen_text(app))
        world.away = False
        await ready(pilot)
        await until(pilot, lambda: "12 undecided" in screen_text(app))


async def test_a_desk_whose_session_was_ended_leaves_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policywatch_tui.desk.fresh.POLL_SECONDS", 0.05)
    world = World()
    app, _clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        world.session_ended = True
        await until(pilot, lambda: app.return_code == 4)


async def test_an_ended_session_is_heard_of_by_a_hint_and_not_only_by_the_next_poll() -> None:
    world = World()
    app, _clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        world.session_ended = True
        world.hint("session", 0, 0)
        await until(pilot, lambda: app.return_code == 4)


async def test_work_that_fails_is_a_sentence_and_not_the_end_of_the_desk() -> None:
    world = World()
    app, clock = desk_over(world)

    async def broken() -> None:
        raise RuntimeError("a fault of ours")

    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.start(broken())
        await until(pilot, lambda: "this failed: RuntimeError" in screen_text(app))
        await press(pilot, clock, ["j"])
        assert app.is_running


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (20, 5), (59, 15), (200, 60)])
async def test_nothing_fails_at_any_size(size: tuple[int, int]) -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["j", "G", "enter"])
        await until(pilot, lambda: isinstance(app.screen, ChangeScreen))
        await press(pilot, clock, ["]", "G", "q", "2", "enter", "j", "q", "3", "4", "?", "G", "q", "1"])
        await press(pilot, clock, ["s", "x", "escape"])
        assert app.is_running


async def test_q_goes_back_and_at_the_root_it_leaves_with_zero() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["4", "?", "q"])
        assert screen_text(app).startswith("Publications")
        await press(pilot, clock, ["q"])
        await until(pilot, lambda: screen_text(app).startswith("Queue"))
        await press(pilot, clock, ["q"])
        await pilot.pause()
    assert app.return_code == 0


async def test_a_screens_line_says_the_minute_as_it_passes() -> None:
    world = World()
    app, clock = desk_over(world)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await press(pilot, clock, ["4"])
        await until(pilot, lambda: "sends in 12m" in screen_text(app))
        clock.seconds += 12 * 60
        app._tick()
        await until(pilot, lambda: "sends in 3" in screen_text(app) or "sends in 4" in screen_text(app))


def test_the_editors_file_is_the_persons_own_and_a_failed_editor_changes_nothing(tmp_path: Path) -> None:
    import contextlib

    from policywatch.errors import PolicyWatchError
    from policywatch_tui import editing

    away = contextlib.nullcontext
    script = tmp_path / "editor"
    script.write_text('#!/bin/sh\necho more >> "$1"\n')
    script.chmod(0o755)
    edited = editing.edit("text\n", tmp_path / "drafts", {"EDITOR": str(script)}, away)
    assert edited is not None
    assert edited[0] == "text\nmore\n"
    assert stat.S_IMODE(edited[1].stat().st_mode) == 0o600

    assert editing.edit("text\n", tmp_path / "drafts", {"EDITOR": "true"}, away) is None
    with pytest.raises(PolicyWatchError, match="ended with 1"):
        editing.edit("text\n", tmp_path / "drafts", {"EDITOR": "false"}, away)
    with pytest.raises(PolicyWatchError, match="cannot be started"):
        editing.edit("text\n", tmp_path / "drafts", {"EDITOR": "/no/such/editor"}, away)
