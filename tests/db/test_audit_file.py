"""The exported log: whole enough to be checked by somebody who has neither the database nor a reason to trust us."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from policywatch.db import audit
from policywatch.db.audit import EVERYTHING, Filters
from policywatch.db.pool import Database
from policywatch.domain.audit import GENESIS, Anchor
from policywatch.domain.audit_check import Report
from policywatch.domain.audit_file import Header, check_lines, end_line, header_line
from tests.databases import Scratch
from tests.db.audit_world import anchor, sealed, write

pytestmark = pytest.mark.needs_db

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


async def exported(database: Scratch, filters: Filters = EVERYTHING) -> list[str]:
    async with await Database.open(database.admin) as db:
        return [line async for line in audit.export(db, filters, at=NOW)]


def report(lines: list[str], *anchors: Anchor) -> Report:
    return check_lines(lines, anchors)[1]


def kinds(lines: list[str]) -> list[str]:
    return [json.loads(line)["kind"] for line in lines]


def altered(lines: list[str], number: int, **new: Any) -> list[str]:
    return [json.dumps({**json.loads(x), **new}) if n == number else x for n, x in enumerate(lines)]


async def test_a_whole_export_is_checked_without_the_database(database: Scratch) -> None:
    for count in (4, 1, 7):
        write(database, count)
        await sealed(database)
    kept = await anchor(database)
    write(database, 2)
    lines = await exported(database)
    found = report(lines, kept)
    assert found.ok, found.faults
    assert (found.seals, found.anchors_good, found.bare) == (3, 1, 0)
    assert found.unsealed >= 2
    assert found.rows >= 12
    assert kinds(lines)[0] == "header"
    assert kinds(lines)[-1] == "end"


async def test_an_export_of_some_rows_proves_each_of_them_and_tells_nothing_of_the_others(
    database: Scratch,
) -> None:
    write(database, 5, "quiet.act")
    await sealed(database)
    write(database, 3, "quiet.act")
    write(database, 2, "asked.act")
    await sealed(database)
    kept = await anchor(database)
    lines = await exported(database, Filters(action="asked.%"))
    found = report(lines, kept)
    assert found.ok, found.faults
    assert (found.rows, found.seals, found.anchors_good) == (2, 2, 1)
    assert found.bare >= 3
    assert not any("quiet.act" in line for line in lines)
    # a row of it cannot be changed
    number = kinds(lines).index("row")
    assert not report(altered(lines, number, actor="somebody else")).ok


async def test_an_export_of_a_time_begins_with_the_chain_it_follows(database: Scratch) -> None:
    write(database, 3)
    await sealed(database)
    first = await anchor(database)
    since = database.run("SELECT app.pw_now() AS at")[0]["at"]
    write(database, 3)
    made = await sealed(database)
    assert made is not None
    kept = await anchor(database)
    lines = await exported(database, Filters(since=since))
    header, found = check_lines(lines, [first, kept])
    assert found.ok, found.faults
    assert (header.after, found.seals, found.anchors_good) == (1, 1, 1)
    assert found.rows == 3


async def test_every_changed_missing_or_moved_line_is_noticed(database: Scratch) -> None:
    write(database, 6)
    await sealed(database)
    write(database, 6)
    await sealed(database)
    kept = await anchor(database)
    lines = await exported(database)
    assert report(lines, kept).ok
    draw = random.Random(5)
    for number in range(1, len(lines)):
        if json.loads(lines[number])["kind"] == "unsealed":
            continue
        without = lines[:number] + lines[number + 1 :]
        moved = [*without]
        moved.insert(draw.randrange(1, len(without)), lines[number])
        for spoiled in (without, moved):
            if spoiled == lines:
                continue
            try:
                assert not report(spoiled, kept).ok, lines[number]
            except ValueError as refused:
                assert str(refused).startswith("line ")
    for number, kind in enumerate(kinds(lines)):
        if kind in ("row", "seal"):
            for field, value in json.loads(lines[number]).items():
                if field in ("kind", "first_id", "ids", "has_rows"):
                    continue
                new: Any = value + 1 if isinstance(value, int) else {"other": 1}
                if isinstance(value, str):
                    new = value[:-1] + ("1" if value[-1:] != "1" else "2")
                if field in ("session_id", "code"):
                    new = "planted"
                try:
                    assert not report(altered(lines, number, **{field: new}), kept).ok, (kind, field)
                except ValueError as refused:
                    assert str(refused).startswith("line ")


def test_a_hostile_file_ends_in_a_sentence() -> None:
    header = header_line(Header(NOW, {}, GENESIS, 0, 1))
    row = (
        '{"kind":"unsealed","id":%s,"at":"2026-11-27T12:00:00Z","actor":"a","session_id":null,"action":"a",'
        '"object_kind":"","object_id":"","outcome":"done","code":null,"xid":"1","leaf":"' + "0" * 64 + '",'
        '"before":%s,"after":null}'
    )
    for line in (
        "",
        "[]",
        "nothing",
        "{}",
        '{"kind":"later"}',
        row % ("1e999999999", "null"),
        row % ("1", "1e999999999"),
        row % ("1", "NaN"),
        row % ("1", "[" * 100_000 + "]" * 100_000),
        row % ("9" * 5000, "null"),
        '{"kind":"row"}',
        '{"kind":"leaf","id":1,"leaf":"' + "0" * 64 + '"}',
        end_line({}) + "\n" + end_line({}),
    ):
        with pytest.raises(ValueError, match="line 2"):
            check_lines([header, line])
    for lines in ([], ["{}"], [end_line({})]):
        with pytest.raises(ValueError):
            check_lines(lines)
    assert not check_lines([header])[1].ok
