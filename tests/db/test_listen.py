"""Hints: heard, parsed, and never relied on alone."""

from __future__ import annotations

import asyncio

import pytest

from policywatch.db.listen import BACK_OFF, Hint, Listener, parse
from tests.databases import Scratch


def test_a_payload_is_kind_id_and_version_and_anything_else_is_nobodys() -> None:
    assert parse("change:42:3") == Hint("change", 42, 3)
    for strange in ("", "change", "change:x:1", "change:1", ":1:2", "a b:1:2", "change:1:2:3", "\x1b[2J:1:1"):
        assert parse(strange) is None, strange


@pytest.mark.needs_db
async def test_hints_come_as_they_are_sent_and_strange_ones_do_not(database: Scratch) -> None:
    listener = Listener(database.daemon)
    hints = listener.hints()
    async with asyncio.timeout(10):
        assert await anext(hints) == Hint("reconnected", 0, 0)
        heard = [listener.connected]
        database.run("SELECT pg_notify('policywatch', 'whatever anybody sends')")
        database.run("SELECT app.hint('change', 7, 2)")
        assert await anext(hints) == Hint("change", 7, 2)
    await hints.aclose()
    assert [*heard, listener.connected] == [True, False]
    listening = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'policywatch listen' AND datname = current_database()"
    async with asyncio.timeout(10):
        while database.run(listening):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.needs_db
async def test_after_a_loss_it_comes_back_and_says_so_first(database: Scratch) -> None:
    pauses = list[float]()

    async def no_pause(seconds: float) -> None:
        pauses.append(seconds)

    hints = Listener(database.daemon, sleep=no_pause, jitter=lambda: 1.0).hints()
    async with asyncio.timeout(10):
        assert (await anext(hints)).kind == "reconnected"
        waiting = asyncio.ensure_future(anext(hints))
        await asyncio.sleep(0)
        database.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'policywatch listen' AND datname = current_database()"
        )
        assert await waiting == Hint("reconnected", 0, 0)
        database.run("SELECT app.hint('publication', 1, 1)")
        assert await anext(hints) == Hint("publication", 1, 1)
    await hints.aclose()
    assert pauses == [1.25]


async def test_while_nothing_answers_it_waits_longer_and_longer() -> None:
    pauses = list[float]()

    async def no_pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 6:
            raise asyncio.CancelledError

    listener = Listener("host=/nonexistent dbname=x", sleep=no_pause, jitter=lambda: 0.0)
    with pytest.raises(asyncio.CancelledError):
        await anext(listener.hints())
    assert pauses == [*BACK_OFF, 10.0, 10.0]
