"""The members file on its way to a count: bad rows, missing files, columns, segments."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policywatch.errors import UsageError
from policywatch.settings import Settings
from policywatchd.publish.audience import read_members
from tests.daemon.mailing import World, members_csv, world
from tests.databases import Scratch


@pytest.fixture
async def scene(database: Scratch, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database, tmp_path) as made:
        yield made


def _settings(file: Path | None, **columns: str) -> Settings:
    return Settings.model_validate({"members": {"file": file and str(file), "columns": columns}})


@pytest.mark.needs_db
async def test_the_count_is_that_of_the_segment(scene: World) -> None:
    scene.members.write_text(members_csv(4) + "j1@members.test,journalist,FR\n", encoding="utf-8")
    async with scene.room() as room:
        request = await scene.submit("journalists")
        room.woken.set()
        shown = await scene.counted(request)
    assert (shown["recipient_count"], shown["suppressed_count"], shown["count_fault"]) == (1, 0, None)
    asked = (await scene.rows("SELECT state, result FROM app.requests"))[0]
    assert asked == {"state": "done", "result": {"count": 1, "suppressed": 0, "fault": None}}


@pytest.mark.needs_db
async def test_a_bad_row_is_named_by_its_line_and_the_rest_is_counted(scene: World) -> None:
    scene.members.write_text(members_csv(3) + "nobody at all,creator,DE\n", encoding="utf-8")
    async with scene.room() as room:
        request = await scene.submit()
        room.woken.set()
        assert (await scene.counted(request))["recipient_count"] == 3
        alert = (await scene.rows("SELECT * FROM app.alerts WHERE closed_at IS NULL"))[0]
        assert (alert["kind"], "line 5" in alert["sentence"]) == ("members_rows", True)
        assert "nobody at all" not in alert["sentence"]
        scene.members.write_text(members_csv(3), encoding="utf-8")
        async with scene.owner.transaction():
            await scene.owner.execute(
                "UPDATE app.approval_requests SET state = 'voided', decided_at = app.pw_now()"
            )
            await scene.owner.execute("UPDATE app.guidance_drafts SET state = 'open'")
        again = await scene.submit()
        room.woken.set()
        await scene.counted(again)
    assert await scene.value("SELECT count(*) FROM app.alerts WHERE closed_at IS NULL") == 0


@pytest.mark.needs_db
async def test_a_missing_members_file_is_the_answer_to_the_request(scene: World) -> None:
    scene.members.unlink()
    async with scene.room() as room:
        request = await scene.submit()
        room.woken.set()
        shown = await scene.counted(request)
    assert shown["recipient_count"] is None
    assert "cannot be read: no such file or directory" in shown["count_fault"]
    assert await scene.value("SELECT state FROM app.requests") == "failed"


@pytest.mark.needs_db
async def test_a_members_file_that_is_missing_at_release_holds_the_publication(scene: World) -> None:
    async with scene.room() as room:
        publication = await scene.approved(room)
        kept = scene.members.read_text(encoding="utf-8")
        scene.members.unlink()
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until(
            "SELECT count(*) = 1 FROM app.alerts WHERE kind = 'release_held' AND closed_at IS NULL"
        )
        assert await scene.value("SELECT state FROM app.guidance_publications") == "grace"
        scene.members.write_text(kept, encoding="utf-8")
        room.woken.set()
        await scene.until_state(publication, "releasing")
        await scene.until(
            "SELECT count(*) = 0 FROM app.alerts WHERE kind = 'release_held' AND closed_at IS NULL"
        )


def test_no_members_file_is_a_sentence_with_a_remedy() -> None:
    with pytest.raises(UsageError) as told:
        read_members(_settings(None))
    assert "members.file" in told.value.remedy


def test_a_folder_is_no_members_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no file"):
        read_members(_settings(tmp_path))


def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "members.csv"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="is no file"):
        read_members(_settings(pipe))


def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_bytes(b"email,kind\na@members.test,creator\nb@members.test,cr\xe9ateur\n")
    with pytest.raises(UsageError, match="line 3: this is not UTF-8"):
        read_members(_settings(file))


def test_columns_are_called_what_the_settings_say(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text("Adresse;Art\na@members.test;creator\n", encoding="utf-8")
    read = read_members(_settings(file, email="Adresse", kind="Art"))
    assert [member.values("kind") for member in read.members] == [("creator",)]


def test_a_named_address_column_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text("email\na@members.test\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no column 'Adresse'"):
        read_members(_settings(file, email="Adresse"))


def test_columns_that_are_not_there_are_missed_by_a_segment_alone(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text("address\na@members.test\n", encoding="utf-8")
    every = {
        "name": "name",
        "kind": "kind",
        "country": "country",
        "platforms": "platforms",
        "language": "language",
    }
    assert len(read_members(_settings(file, email="email", **every)).members) == 1
