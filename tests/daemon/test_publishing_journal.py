"""The hand-over journal: what it proves after a crash, and when it proves nothing."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest

from policywatchd.publish.journal import Journal, Left, left_behind

BOOT, INSTALL = "boot-1", "install-1"


def _begin(folder: Path, worker: str = "w") -> Journal:
    return Journal.begin(folder, worker, boot=BOOT, install=INSTALL)


def _die(journal: Journal) -> None:
    """As the kernel does for a killed process: the file is closed, what was written stays."""
    os.close(journal._descriptor)


def _left(folder: Path, *, boot: str = BOOT, install: str = INSTALL) -> list[Left]:
    with left_behind(folder, boot=boot, install=install) as left:
        return left


def test_a_dead_daemons_journal_names_claims_handed_over_and_accepted_rows(tmp_path: Path) -> None:
    claim = uuid4()
    journal = _begin(tmp_path)
    journal.claim(claim)
    journal.hand_over(1)
    journal.accepted(1)
    journal.hand_over(2)
    _die(journal)
    assert _left(tmp_path) == [Left("w", frozenset({claim}), frozenset({1, 2}), frozenset({1}))]
    assert list(tmp_path.iterdir()) == []  # read once


def test_the_journal_of_a_daemon_that_lives_is_not_read(tmp_path: Path) -> None:
    journal = _begin(tmp_path)
    assert _left(tmp_path) == []
    journal.end(settled=True)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_stays_when_its_outcome_could_not_be_stored(tmp_path: Path) -> None:
    _die(_begin(tmp_path))
    with pytest.raises(RuntimeError), left_behind(tmp_path, boot=BOOT, install=INSTALL):
        raise RuntimeError("the database went away")
    assert len(_left(tmp_path)) == 1


@pytest.mark.parametrize(("boot", "install"), [("boot-2", INSTALL), (BOOT, "install-2"), ("", INSTALL)])
def test_a_journal_of_another_boot_or_installation_proves_nothing(
    tmp_path: Path, boot: str, install: str
) -> None:
    _die(_begin(tmp_path))
    assert _left(tmp_path, boot=boot, install=install) == []


def test_a_torn_last_record_is_not_counted(tmp_path: Path) -> None:
    journal = _begin(tmp_path)
    journal.hand_over(1)
    os.write(journal._descriptor, b"2\0\0\0")
    _die(journal)
    assert _left(tmp_path) == [Left("w", frozenset(), frozenset({1}), frozenset())]


def test_a_journal_that_is_damaged_in_the_middle_proves_nothing(tmp_path: Path) -> None:
    journal = _begin(tmp_path)
    os.write(journal._descriptor, b"?" * 9)
    journal.hand_over(1)
    _die(journal)
    assert _left(tmp_path) == []


def test_what_is_settled_leaves_the_journal(tmp_path: Path) -> None:
    journal = _begin(tmp_path)
    journal.claim(uuid4())
    journal.hand_over(1)
    journal.clear()
    later = uuid4()
    journal.claim(later)
    _die(journal)
    assert _left(tmp_path) == [Left("w", frozenset({later}), frozenset(), frozenset())]


def test_two_daemons_have_a_journal_each(tmp_path: Path) -> None:
    living, dead = _begin(tmp_path, "a"), _begin(tmp_path, "b")
    _die(dead)
    assert [left.worker for left in _left(tmp_path)] == ["b"]
    living.end(settled=True)
