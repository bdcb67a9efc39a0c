"""Whoever owns the database changes the log and makes every hash fit again: the anchor kept elsewhere tells.

Each attack is tried three ways: rows alone (their own hash or their seal tells), rows and their hashes (the seal
tells), and rows, hashes and seals (nothing inside the database can tell: only the anchor).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policywatch.domain.audit import Anchor, Seal
from tests.databases import Scratch
from tests.db.audit_world import Attacker, anchor, checked, sealed, write

pytestmark = [pytest.mark.needs_db, pytest.mark.fault]

Attack = Callable[[Attacker, int], None]
_HELD = "id, at, actor, session_id, action, object_kind, object_id, outcome, code, before, after, xid, leaf"


def change(attacker: Attacker, row: int) -> None:
    attacker.run("""UPDATE app.audit_log SET actor = 'somebody else' WHERE id = %s""", row)


def change_content(attacker: Attacker, row: int) -> None:
    attacker.run("""UPDATE app.audit_log SET after = '{"n": 1000}' WHERE id = %s""", row)


def change_time(attacker: Attacker, row: int) -> None:
    attacker.run("UPDATE app.audit_log SET at = at + interval '1 microsecond' WHERE id = %s", row)


def delete(attacker: Attacker, row: int) -> None:
    attacker.run("DELETE FROM app.audit_log WHERE id = %s", row)


def reorder(attacker: Attacker, row: int) -> None:
    attacker.run("UPDATE app.audit_log SET id = -1 WHERE id = %s", row)
    attacker.run("UPDATE app.audit_log SET id = %s WHERE id = %s", row, row + 1)
    attacker.run("UPDATE app.audit_log SET id = %s WHERE id = -1", row + 1)


def insert(attacker: Attacker, row: int) -> None:
    """A row with the number of an aborted act and the transaction of its neighbour."""
    attacker.run(
        f"INSERT INTO app.audit_log ({_HELD}) OVERRIDING SYSTEM VALUE SELECT id - 1000000, at, 'planted',"
        " session_id, action, object_kind, object_id, outcome, code, before, after, xid, leaf"
        " FROM app.audit_log WHERE id = %s",
        row,
    )


def cut(attacker: Attacker, row: int) -> None:
    """Everything from a row on, as if it had never been."""
    attacker.run("DELETE FROM app.audit_log WHERE id >= %s", row)


ATTACKS: list[Attack] = [change, change_content, change_time, delete, reorder, insert, cut]


async def filled(database: Scratch) -> tuple[list[Seal], list[Anchor]]:
    """Five seals of eight rows; an anchor after the second and after the last."""
    seals, anchors = [], []
    for number in range(5):
        write(database, 8)
        made = await sealed(database)
        assert made is not None
        seals.append(made)
        if number in (1, 4):
            anchors.append(await anchor(database))
    return seals, anchors


def victim(seals: list[Seal]) -> int:
    """A row in the middle of the fourth seal."""
    first = seals[3].first_id
    assert first is not None
    return first + 3


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.__name__)
async def test_rows_alone_are_found_without_an_anchor(database: Scratch, attack: Attack) -> None:
    seals, _ = await filled(database)
    row = victim(seals)
    with Attacker(database) as attacker:
        attack(attacker, row)
        if attack is insert:
            attacker.leaves()
    report = await checked(database)
    assert not report.ok
    first = report.faults[0]
    assert first.row == (row - 1_000_000 if attack is insert else row), first.sentence
    assert first.seal == (None if attack is insert else seals[3].n)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.__name__)
async def test_rows_whose_hashes_were_made_anew_are_found_by_their_seal(
    database: Scratch, attack: Attack
) -> None:
    seals, _ = await filled(database)
    row = victim(seals)
    with Attacker(database) as attacker:
        attack(attacker, row)
        attacker.leaves()
    report = await checked(database)
    assert not report.ok
    first = report.faults[0]
    if attack is insert:
        assert first.row == row - 1_000_000
    else:
        assert first.seal == seals[3].n, first.sentence


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.__name__)
async def test_rows_hashes_and_seals_made_anew_are_found_by_the_anchor(
    database: Scratch, attack: Attack
) -> None:
    seals, anchors = await filled(database)
    row = victim(seals)
    with Attacker(database) as attacker:
        attack(attacker, row)
        if attack is insert:  # the planted row gets a number inside the seal
            attacker.run("UPDATE app.audit_log SET id = 1000000 + id WHERE id > %s AND id > 0", row)
            attacker.run("UPDATE app.audit_log SET id = %s WHERE id < 0", row + 1)
            attacker.run("UPDATE app.audit_log SET id = id - 999999 WHERE id > 1000000")
            attacker.run(
                "UPDATE app.audit_seals SET first_id = first_id + CASE WHEN first_id > %s THEN 1 ELSE 0 END,"
                " last_id = last_id + CASE WHEN last_id > %s THEN 1 ELSE 0 END, ids = '{}'"
                " WHERE last_id > %s",
                *(row, row, row),
            )
        if attack is cut:
            attacker.run("DELETE FROM app.audit_seals WHERE id > %s", seals[3].n)
        attacker.leaves()
        attacker.seals()
    # then everything inside the database fits
    inside = await checked(database)
    assert inside.ok, inside.faults
    # and the anchor says between which rows it was
    report = await checked(database, anchors)
    assert not report.ok
    assert report.anchors_good == 1
    assert report.anchored_seal == seals[1].n
    first = report.faults[0]
    assert first.kind in ("anchor_differs", "anchor_missing")
    assert first.row is not None
    assert seals[1].last_id is not None
    assert first.row > seals[1].last_id
    assert "changed" in first.sentence or "cut" in first.sentence


async def test_an_anchor_of_each_seal_names_the_seal(database: Scratch) -> None:
    anchors, seals = [], []
    for _ in range(5):
        write(database, 8)
        made = await sealed(database)
        assert made is not None
        seals.append(made)
        anchors.append(await anchor(database))
    with Attacker(database) as attacker:
        change(attacker, victim(seals))
        attacker.leaves()
        attacker.seals()
    report = await checked(database, anchors)
    assert report.faults[0].seal == seals[3].n
    assert f"rows after id {seals[2].last_id} up to id {seals[3].last_id}" in report.faults[0].sentence
    assert report.anchors_good == 3


async def test_a_seal_that_was_changed_or_cut_out_breaks_the_chain(database: Scratch) -> None:
    seals, _ = await filled(database)
    with Attacker(database) as attacker:
        attacker.run("DELETE FROM app.audit_seals WHERE id = %s", seals[2].n)
    report = await checked(database)
    assert not report.ok
    assert report.faults[0].seal == seals[3].n
    assert report.faults[0].kind == "seal_changed"


async def test_a_seal_that_names_a_world_of_rows_ends_the_check_all_the_same(database: Scratch) -> None:
    seals, _ = await filled(database)
    with Attacker(database) as attacker:
        attacker.run("UPDATE app.audit_seals SET ids = '{[1,9000000000000000000)}' WHERE id = %s", seals[2].n)
    report = await checked(database)
    assert report.faults[0].seal == seals[2].n


async def test_a_row_put_in_with_an_old_time_is_told_as_late(database: Scratch) -> None:
    seals, _ = await filled(database)
    with Attacker(database) as attacker:
        attacker.run(
            f"INSERT INTO app.audit_log ({_HELD}) SELECT * FROM (SELECT nextval('app.audit_log_id_seq'),"
            " at - interval '1 hour', 'planted', session_id, action, object_kind, object_id, outcome, code,"
            " before, after, pg_current_xact_id(), leaf FROM app.audit_log WHERE id = %s) x".replace(
                ") SELECT * FROM", ") OVERRIDING SYSTEM VALUE SELECT * FROM"
            ),
            victim(seals),
        )
        attacker.leaves()
    await sealed(database)
    report = await checked(database)
    assert report.ok
    assert report.late == 1
