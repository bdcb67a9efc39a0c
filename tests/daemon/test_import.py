"""An archive's history becomes ours: in the order of its commits, once, resumable, and silently.

Long on purpose: one history, imported in all the ways in which that may be repeated, cut or refused.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pygit2
import pytest
import pytest_asyncio

from policywatch.db import contents, judging
from policywatch.db.judging import NewSnapshot
from policywatch.db.pool import Database
from policywatch.errors import Conflict, UsageError
from policywatch.settings import Settings, load
from policywatchd.collect.archives import children, plan
from policywatchd.collect.archives.importing import import_source
from policywatchd.upkeep.reconcile import reconcile
from tests.daemon.archives import History, text, told_history
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db
Row = dict[str, Any]

VERSIONS = """
SELECT s.id, p.key AS platform, d.key AS document, s.kind, s.previous_id, s.fetched_at, s.origin, k.source_ref, s.text_sha256
FROM app.policy_snapshots s JOIN app.snapshot_keys k ON k.id = s.id
JOIN app.policy_documents d ON d.id = s.document_id JOIN app.platforms p ON p.id = d.platform_id
WHERE s.source = 'archive' ORDER BY s.id
"""
CHANGES = """
SELECT s.change_id, s.status, s.historical, s.detected_at, c.noise_kind, c.before_snapshot, c.after_snapshot,
       c.before_sha256, c.after_sha256, a.change_type, a.severity, a.summary, jsonb_array_length(c.passages) AS passages
FROM app.change_states s JOIN app.policy_changes c ON c.id = s.change_id AND c.detected_at = s.detected_at
LEFT JOIN app.change_analyses a ON a.change_id = s.change_id ORDER BY s.change_id
"""


@pytest_asyncio.fixture
async def db(database: Scratch) -> AsyncIterator[Database]:
    async with await Database.open(database.daemon) as opened:
        await reconcile(opened, SETTINGS)
        yield opened


SETTINGS: Settings = load(None, {})


@pytest.fixture(autouse=True)
def one_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process would only cost its start."""
    monkeypatch.setattr(children, "_CHILDREN", 1)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three versions a transaction, so that chains run over the edges of batches."""
    monkeypatch.setattr(plan, "_BATCH", 3)


def of(rows: list[Row], platform: str) -> list[Row]:
    return [row for row in rows if row["platform"] == platform]


def bundled(clone: Path, bundle: Path) -> bytes:
    """A git bundle of a repository; its bytes."""
    argv = ["git", "-C", str(clone), "bundle", "create", "--quiet", str(bundle), "HEAD", "main"]
    subprocess.run(argv, check=True, capture_output=True)
    return bundle.read_bytes()


async def test_every_version_is_stored_in_the_order_of_the_commits(
    db: Database, database: Scratch, tmp_path: Path, small_batches: None
) -> None:
    history, commits = told_history(tmp_path)

    report = await import_source(SETTINGS, db, str(tmp_path))

    rows = database.run(VERSIONS)
    assert [row["source_ref"] for row in rows] == commits[1:]
    assert (report.versions, report.first, report.changes, report.technical) == (12, 4, 6, 2)
    assert (report.snapshots_added, report.skipped, report.documents) == (12, 0, 3)
    for row in rows:
        blob = history.repository.revparse_single(f"{row['source_ref']}:{row['origin']['path']}")
        assert await contents.fetch(db, bytes(row["text_sha256"])) == blob.peel(pygit2.Blob).data
    # The dates are the archive's own, also where they go back
    assert [row["fetched_at"].hour for row in of(rows, "bluesky")] == [3, 1, 11]


async def test_a_version_follows_the_one_before_it_and_a_new_name_begins_anew(
    db: Database, database: Scratch, tmp_path: Path, small_batches: None
) -> None:
    told_history(tmp_path)

    await import_source(SETTINGS, db, str(tmp_path))

    x = of(database.run(VERSIONS), "x")
    assert {row["document"] for row in x} == {"terms-of-service"}
    assert [row["kind"] for row in x] == [
        "first",
        "change",
        "technical",
        "change",
        "change",
        "first",
        "change",
    ]
    twitter, renamed = x[:5], x[5:]
    assert [row["previous_id"] for row in twitter] == [None, *[row["id"] for row in twitter[:-1]]]
    assert [row["previous_id"] for row in renamed] == [None, renamed[0]["id"]]
    assert {row["origin"]["path"] for row in renamed} == {"X/Terms of Service.md"}


async def test_changes_are_historical_explained_and_outside_the_queue(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    told_history(tmp_path)

    report = await import_source(SETTINGS, db, str(tmp_path))

    # Six versions say that they are changes; a fresh token in a link is noise; technical and first are no change
    changes = database.run(CHANGES)
    assert [row["status"] for row in changes] == ["historical", "noise"] + ["historical"] * 4
    assert all(row["historical"] for row in changes)
    assert (report.changes_added, dict(report.noise), report.queued) == (5, {"link_targets": 1}, 0)
    snapshots = {row["id"]: row for row in database.run(VERSIONS)}
    for row in changes:
        before, after = snapshots[row["before_snapshot"]], snapshots[row["after_snapshot"]]
        assert after["previous_id"] == before["id"]
        assert after["kind"] == "change"
        assert row["detected_at"] == after["fetched_at"]
        assert (row["before_sha256"], row["after_sha256"]) == (before["text_sha256"], after["text_sha256"])
        assert row["summary"]
        assert row["change_type"]
    assert all(row["passages"] for row in changes if row["status"] == "historical")
    # Silently: nothing to review, no alert, no request, no mail
    assert database.run("SELECT * FROM read.recent_unreviewed_changes") == []
    for table in ("alerts", "requests", "guidance_publications", "publication_recipients"):
        assert database.run(f"SELECT * FROM app.{table}") == []


async def test_a_second_run_adds_nothing(db: Database, database: Scratch, tmp_path: Path) -> None:
    told_history(tmp_path)
    await import_source(SETTINGS, db, str(tmp_path))
    before = database.run(VERSIONS), database.run(CHANGES), database.run("SELECT * FROM app.policy_documents")

    again = await import_source(SETTINGS, db, str(tmp_path))

    after = database.run(VERSIONS), database.run(CHANGES), database.run("SELECT * FROM app.policy_documents")
    assert after == before
    assert (again.versions, again.skipped, again.snapshots_added, again.changes_added) == (12, 12, 0, 0)


async def test_what_the_archive_grew_by_is_added_to_what_is_there(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    history, _ = told_history(tmp_path)
    await import_source(SETTINGS, db, str(tmp_path))
    history.commit("Record new changes of X Terms of Service", {"X/Terms of Service.md": text()})

    report = await import_source(SETTINGS, db, str(tmp_path))

    assert (report.snapshots_added, report.skipped, report.changes_added) == (1, 12, 1)
    *_, before, last = of(database.run(VERSIONS), "x")
    assert last["previous_id"] == before["id"]


async def test_a_bundle_gives_what_its_repository_gives(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    told_history(tmp_path / "clone")
    bundle = tmp_path / "archive.bundle"
    bundled(tmp_path / "clone", bundle)

    report = await import_source(SETTINGS, db, str(bundle))
    again = await import_source(SETTINGS, db, str(tmp_path / "clone"))

    assert (report.snapshots_added, again.snapshots_added) == (12, 0)
    assert {row["origin"]["repository"] for row in database.run(VERSIONS)} == {"archive.bundle"}


async def test_documents_beyond_the_catalogue_are_created_paused(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    told_history(tmp_path)

    report = await import_source(SETTINGS, db, str(tmp_path))
    await reconcile(db, SETTINGS, force=True)

    assert report.documents_created == 1
    (made,) = database.run("SELECT * FROM app.policy_documents WHERE key = 'shop-rules'")
    assert (made["name"], made["state"], made["paused_reason"]) == (
        "Shop Rules",
        "paused",
        "known from an archive alone",
    )
    assert made["archive"]["path"] == "TikTok/Shop Rules.md"


async def test_the_newest_version_is_searchable_and_the_next_base(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    told_history(tmp_path)

    await import_source(SETTINGS, db, str(tmp_path))

    (document,) = database.run(
        "SELECT d.* FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id"
        " WHERE p.key = 'x' AND d.key = 'terms-of-service'"
    )
    newest = of(database.run(VERSIONS), "x")[-1]
    assert document["newest_snapshot"] == newest["id"]
    assert document["last_change_at"] == newest["fetched_at"]
    (found,) = database.run(
        "SELECT document_id, snapshot_id FROM app.document_search WHERE document_id = %s"
        " AND words @@ websearch_to_tsquery('english', 'appeal within 7 days')",
        document["id"],
    )
    assert found["snapshot_id"] == newest["id"]


async def test_what_the_daemon_collected_later_stays_the_newest(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    (document,) = database.run(
        "SELECT d.id FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id"
        " WHERE p.key = 'x' AND d.key = 'terms-of-service'"
    )
    async with db.transaction() as tx:
        sha256 = await contents.store(tx, text().encode())
        own = await judging.add_snapshot(
            tx,
            NewSnapshot(document["id"], None, "platform", "first", sha256, sha256, sha256),
        )
    assert own is not None
    told_history(tmp_path)

    await import_source(SETTINGS, db, str(tmp_path))

    (row,) = database.run("SELECT * FROM app.policy_documents WHERE id = %s", document["id"])
    assert row["newest_snapshot"] == own.id
    assert row["last_change_at"] is None
    assert len(of(database.run(VERSIONS), "x")) == 7


async def test_imported_changes_are_queued_only_where_that_is_asked_for(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    told_history(tmp_path)

    report = await import_source(SETTINGS, db, str(tmp_path), queue=True)

    changes = database.run(CHANGES)
    assert [row["status"] for row in changes] == ["queued", "noise"] + ["queued"] * 4
    assert all(row["historical"] for row in changes)
    assert report.queued == 5
    assert database.run("SELECT * FROM app.alerts") == []


async def test_a_dry_run_tells_all_and_stores_nothing(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    told_history(tmp_path)

    dry = (await import_source(SETTINGS, db, str(tmp_path), dry_run=True)).to_json()

    assert database.run(VERSIONS) == []
    assert database.run("SELECT * FROM app.contents") == []
    assert database.run("SELECT * FROM app.policy_documents WHERE key = 'shop-rules'") == []
    real = (await import_source(SETTINGS, db, str(tmp_path))).to_json()
    assert {**dry, "dry_run": False, "seconds": 0} == {**real, "seconds": 0}


async def test_a_run_leaves_one_audit_row_with_its_figures(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    told_history(tmp_path)

    await import_source(SETTINGS, db, str(tmp_path))
    await import_source(SETTINGS, db, str(tmp_path))

    rows = database.run("SELECT * FROM app.audit_log WHERE action LIKE 'archive.import%' ORDER BY id")
    assert [row["action"] for row in rows] == ["archive.import_begun", "archive.import", "archive.import"]
    assert [row["outcome"] for row in rows] == ["done"] * 3
    assert [row["after"]["snapshots_added"] for row in rows[1:]] == [12, 0]


async def test_progress_reaches_the_number_of_versions(
    db: Database, tmp_path: Path, small_batches: None
) -> None:
    told_history(tmp_path)
    told: list[tuple[int, int]] = []

    await import_source(
        SETTINGS, db, str(tmp_path), progress=lambda done, total, _text: told.append((done, total))
    )

    assert told == [(0, 12), (3, 12), (6, 12), (9, 12), (12, 12)]


async def test_foreign_services_files_and_faults_are_counted_and_left_out(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    history = History(tmp_path)
    history.commit("First record of Bluesky Terms of Service", {"Bluesky/Terms of Service.md": text()})
    history.commit("First record of Reddit Terms of Service", {"Reddit/Terms of Service.md": text()})
    history.commit("First record of Bluesky \x1b[2JBad\nName", {"Bluesky/Terms\x1b[2J.md": text()})
    history.commit("Start tracking Bluesky Large Policy", {"Bluesky/Large Policy.md": text() * 20})
    history.commit_raw({"Bluesky/Old Policy.md": text()}, 99_999_999_999_999)
    history.commit("Add notes", {"Bluesky/notes/Deep.md": text(), "Bluesky/notes.txt": text()})
    history.commit("Tidy", {"Bluesky/Terms of Service.md": text().encode() + b"\x00"})
    limited = SETTINGS.model_copy(update={"fetch": SETTINGS.fetch.model_copy(update={"max_decoded": 5000})})

    report = await import_source(limited, db, str(tmp_path))

    assert report.snapshots_added == 2
    assert dict(report.unknown_services) == {"Reddit": 1}
    assert report.unforetold == 1  # "Tidy" is of no known kind and counts as a change
    assert sorted(one["reason"] for one in report.refused_versions) == [
        "its date is outside the calendar",
        "its path is no printable name",
        f"its text has {len(text()) * 20} bytes, the limit is 5000",
    ]
    assert len(database.run(CHANGES)) == 1


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("missing", "is not there"),
        ("folder", "neither a git repository nor a git bundle"),
        ("file.txt", "neither a git repository nor a git bundle"),
        ("nonsense.bundle", "has no commit"),
        ("cut.bundle", "no bundle that git can unpack"),
        ("empty", "has no commit"),
        ("code", "holds no document version"),
        ("foreign", r"no platforms here \(Reddit\)"),
        ("https://example.org/archive.git", "is an address"),
    ],
)
async def test_what_is_no_archive_is_told_with_a_remedy_and_nothing_is_written(
    module_database: Scratch, tmp_path: Path, source: str, told: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("hello")
    (tmp_path / "nonsense.bundle").write_bytes(b"# v2 git bundle\nnonsense")
    told_history(tmp_path / "whole")
    (tmp_path / "cut.bundle").write_bytes(bundled(tmp_path / "whole", tmp_path / "whole.bundle")[:-200])
    History(tmp_path / "empty")
    History(tmp_path / "code").commit("Initial commit", {"README.md": "x", "src/a/b.md": "y"})
    History(tmp_path / "foreign").commit("First record of Reddit Terms", {"Reddit/Terms.md": text()})

    async with await Database.open(module_database.daemon) as db:
        with pytest.raises(UsageError, match=told) as raised:
            await import_source(SETTINGS, db, source if "://" in source else str(tmp_path / source))

    assert raised.value.remedy
    assert module_database.run(VERSIONS) == []
    assert module_database.run("SELECT * FROM app.audit_log WHERE action LIKE 'archive%'") == []


async def test_two_imports_at_once_store_every_version_once(
    db: Database, database: Scratch, tmp_path: Path, small_batches: None
) -> None:
    told_history(tmp_path)

    async with await Database.open(database.daemon) as other:
        both = await asyncio.gather(
            import_source(SETTINGS, db, str(tmp_path)),
            import_source(SETTINGS, other, str(tmp_path)),
            return_exceptions=True,
        )

    refused = [one for one in both if isinstance(one, BaseException)]
    assert len(refused) < 2
    assert all(isinstance(one, Conflict) for one in refused)
    assert len(database.run(VERSIONS)) == 12
    assert len(database.run(CHANGES)) == 6


WALL = "# Log in\n\nYou must log in to continue. Please sign in to see this page.\n"


async def test_a_wall_in_a_history_is_kept_aside_and_never_compared(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    # Given an archive that recorded a login page for half a day
    sky, shorter = "Bluesky/Privacy Policy.md", text(Appeals="You may appeal within 7 days. A person looks.")
    history = History(tmp_path)
    history.commit("First record of Bluesky Privacy Policy", {sky: text()}, hours=0)
    wall = history.commit("Record new changes of Bluesky Privacy Policy", {sky: WALL}, hours=1)
    history.commit("Record new changes of Bluesky Privacy Policy", {sky: text()}, hours=2)
    history.commit("Record new changes of Bluesky Privacy Policy", {sky: shorter}, hours=3)

    report = await import_source(SETTINGS, db, str(tmp_path))

    # Then it is no version, its text is kept, it is written down, and no change comes of it
    assert (report.suspect, report.snapshots_added, report.changes_added) == (1, 3, 1)
    assert wall not in {row["source_ref"] for row in database.run(VERSIONS)}
    (row,) = database.run("SELECT * FROM app.audit_log WHERE action = 'archive.suspect'")
    assert row["object_id"] == "bluesky/privacy-policy"
    assert (await contents.fetch(db, bytes.fromhex(row["after"]["text_sha256"]))).decode() == WALL
    assert len(database.run(CHANGES)) == 1

    # And a second run knows it
    again = await import_source(SETTINGS, db, str(tmp_path))
    assert (again.suspect, again.snapshots_added) == (1, 0)
    assert len(database.run("SELECT * FROM app.audit_log WHERE action = 'archive.suspect'")) == 1


async def test_a_stub_that_stays_is_the_platforms_word_after_all(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    # Given a policy whose newest version looks like a wall
    sky = "Bluesky/Privacy Policy.md"
    history = History(tmp_path)
    history.commit("First record of Bluesky Privacy Policy", {sky: text()}, hours=0)
    stub = history.commit("Record new changes of Bluesky Privacy Policy", {sky: WALL}, hours=1)
    first = await import_source(SETTINGS, db, str(tmp_path))
    assert (first.suspect, first.snapshots_added) == (1, 1)

    # When the archive has looked on for a month and it still stands
    history.commit("First record of Bluesky Terms", {"Bluesky/Terms of Service.md": text()}, hours=24 * 30)
    report = await import_source(SETTINGS, db, str(tmp_path))

    # Then it is taken
    assert (report.suspect, report.snapshots_added, report.changes_added) == (0, 2, 1)
    assert stub in {row["source_ref"] for row in database.run(VERSIONS)}
