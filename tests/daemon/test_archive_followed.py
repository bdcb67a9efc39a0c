"""An archive followed live: a source of its own, or what stands in while a page is blocked; never older words.

Long on purpose: the stories share one archive and one web, and each rules out what another one allows.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pygit2
import pytest
import pytest_asyncio

from policywatch.db import archives, listing
from policywatch.db.pool import Database
from policywatch.settings import Settings
from policywatch.simulated.texts import PLATFORMS, Document
from policywatch.simulated.web import Trouble
from policywatch.simulated.world import platforms_settings
from policywatchd.collect.archives import mirror
from policywatchd.collect.archives.following import Follower
from policywatchd.collect.archives.importing import import_source
from policywatchd.service import Service
from policywatchd.upkeep.reconcile import reconcile
from tests.daemon.archives import BEGIN, History, text
from tests.daemon.collecting_world import World, open_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

TERMS = Document("x", "terms-of-service")
PRIVACY = Document("x", "privacy-policy")
PATH, RULES = "X/Terms of Service.md", "X/Ad Rules.md"
SHORTER = text(Appeals="You may appeal a decision within 7 days. A person looks at every appeal.")
STRICTER = text(Conduct="You must not post spam or adverts. We may remove a post without telling you.")
WALL = "# Log in\n\nYou must log in to continue. Please sign in to see this page.\n"


class Followed:
    """One platform whose terms have a page and an archive, and whose ad rules have an archive alone."""

    def __init__(self, world: World, folder: Path) -> None:
        world.scratch.replace_clock()
        self.world, self.folder = world, folder
        self.history = History(folder / "archive")
        self.settings = self.settings_for(str(folder / "archive"))
        self.service: Service

    def settings_for(self, repository: str, *, also: str | None = None) -> Settings:
        """`also`: a document whose pages the terms have beside their own."""
        platforms = platforms_settings(PLATFORMS[:1], cadence="1 h")
        terms = platforms["x"]["documents"]["terms-of-service"]
        if also is not None:
            terms = {**terms, "pages": [*terms["pages"], *platforms["x"]["documents"][also]["pages"]]}
        platforms["x"]["documents"] = {
            "terms-of-service": {**terms, "archive": {"repository": repository, "path": PATH}},
            "ad-rules": {"name": "Ad Rules", "archive": {"repository": repository, "path": RULES}},
        }
        made = Settings.model_validate(
            {
                "catalogue": "none",
                "platforms": platforms,
                "database": {"state_folder": str(self.folder / "state")},
                "fetch": {"min_gap": "1 ms", "timeout": "2 s", "second_look": "off"},
            }
        )
        made._sha256 = f"{repository} {also}"
        return made

    @property
    def now(self) -> datetime:
        """The database's clock."""
        found = self.world.value("SELECT app.pw_now()")
        assert isinstance(found, datetime)
        return found

    def commit(
        self, body: str | None, *, ago: timedelta = timedelta(0), path: str = PATH, **more: Any
    ) -> str:
        """The archive records a version (`ago` counts from now)."""
        message = more.get("message", "Record new changes of X")
        return self.history.commit(message, {path: body}, hours=_hours(self.now - ago))

    async def visit(self) -> str:
        """One visit of the terms' page; its outcome."""
        report = await self.world.once("x/terms-of-service", service=self.service)
        (outcome,) = report.outcomes
        return outcome

    async def look(self) -> None:
        """Six hours and a bit later the daemon looks into what is due."""
        self.world.scratch.move_clock("7 hours")
        await Follower(self.service).all_due()

    def block(self) -> None:
        self.world.web.spoil(TERMS, Trouble.SERVER_ERROR)

    def snapshots(self, document: str = "terms-of-service") -> list[dict[str, Any]]:
        return self.world.rows(
            "SELECT s.*, k.source_ref FROM app.policy_snapshots s JOIN app.snapshot_keys k ON k.id = s.id"
            " JOIN app.policy_documents d ON d.id = s.document_id WHERE d.key = %s ORDER BY s.id",
            document,
        )

    def changes(self) -> list[dict[str, Any]]:
        return self.world.rows(
            "SELECT t.*, c.before_sha256, c.after_sha256, c.passages FROM app.change_states t"
            " JOIN app.policy_changes c ON c.id = t.change_id ORDER BY t.change_id"
        )

    def archive(self) -> dict[str, Any]:
        (row,) = self.world.rows("SELECT * FROM app.archives ORDER BY due_at DESC LIMIT 1")
        return row

    def document(self, key: str = "terms-of-service") -> dict[str, Any]:
        (row,) = self.world.rows("SELECT * FROM app.policy_documents WHERE key = %s", key)
        return row

    def alerts(self) -> dict[str, str]:
        rows = self.world.rows("SELECT kind, sentence FROM app.alerts WHERE closed_at IS NULL")
        return {row["kind"]: row["sentence"] for row in rows}


def _hours(at: datetime) -> int:
    return int((at - BEGIN).total_seconds() // 3600)


def kinds(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["source"], row["kind"]) for row in rows]


@pytest_asyncio.fixture
async def followed(database: Scratch, tmp_path: Path) -> AsyncIterator[Followed]:
    async with open_world(database, PLATFORMS[:1]) as world:
        made = Followed(world, tmp_path)
        made.commit(text(), path=RULES, ago=timedelta(days=20), message="First record of X Ad Rules")
        made.commit(text(), ago=timedelta(days=10), message="First record of X Terms of Service")
        made.service = await world.service(made.settings)
        await reconcile(made.service.db, made.settings)
        yield made


async def test_while_the_page_is_good_its_archive_is_seen_and_not_taken(followed: Followed) -> None:
    assert await followed.visit() == "first"
    newest = followed.commit(SHORTER)

    await followed.look()

    assert kinds(followed.snapshots()) == [("platform", "first")]
    document = followed.document()
    assert document["archive_commit"] == newest
    assert document["archive_seen_at"] is not None
    assert followed.archive()["head"] == newest
    assert followed.archive()["cause"] is None


async def test_an_archive_stands_in_for_a_blocked_page_until_it_is_back(followed: Followed) -> None:
    # Given a page that was read, and then was not
    await followed.visit()
    followed.block()
    followed.world.scratch.move_clock("1 day")
    assert await followed.visit() == "failed"

    # When its archive records a change
    commit = followed.commit(SHORTER)
    await followed.look()

    # Then the change is found, live: between two readings of the archive, never against the page's own words
    rows = followed.snapshots()
    assert kinds(rows) == [("platform", "first"), ("archive", "technical"), ("archive", "change")]
    assert rows[-1]["source_ref"] == commit
    assert rows[-1]["origin"]["live"] is True
    (change,) = followed.changes()
    assert (change["status"], change["historical"]) == ("queued", False)
    assert change["before_sha256"] == rows[1]["text_sha256"]
    assert [passage["section"] for passage in change["passages"]] == [["Terms", "Appeals"]]
    pages = followed.world.rows("SELECT step, step_reason FROM app.document_pages WHERE state = 'active'")
    assert pages[0]["step"] == "archive"
    assert "500" in pages[0]["step_reason"]

    # And the next commit is held against the one before it
    followed.commit(text(Appeals="You may appeal a decision within 3 days. A person looks at every appeal."))
    await followed.look()
    assert len(followed.changes()) == 2

    # When the page is back, then what differs between it and the archive is ours, and no change
    followed.world.web.mend(TERMS)
    followed.world.scratch.move_clock("1 day")
    assert await followed.visit() == "technical"
    assert kinds(followed.snapshots())[-1] == ("platform", "technical")
    assert len(followed.changes()) == 2
    assert followed.world.value("SELECT step FROM app.document_pages WHERE state = 'active'") == "http"

    # And the archive is not asked any more
    followed.commit(STRICTER)
    await followed.look()
    assert len(followed.changes()) == 2


async def test_a_commit_before_the_last_good_look_is_never_taken(followed: Followed) -> None:
    await followed.visit()
    followed.block()
    followed.world.scratch.move_clock("1 day")
    await followed.visit()
    followed.commit(
        SHORTER, ago=timedelta(days=2)
    )  # the archive pushed late what it recorded before our look

    await followed.look()

    assert kinds(followed.snapshots()) == [("platform", "first")]
    assert followed.changes() == []


async def test_what_the_page_said_already_is_no_change_when_the_archive_records_it_later(
    followed: Followed,
) -> None:
    """The platform changed, we saw it, the archive saw it after us."""
    said = followed.world.web.text(TERMS)
    followed.commit("# Terms\n\n" + said.replace("must", "may", 3), ago=timedelta(days=3))
    await followed.visit()
    followed.block()
    followed.world.scratch.move_clock("1 day")
    await followed.visit()
    followed.commit("# Terms\n\n" + said)

    await followed.look()

    assert kinds(followed.snapshots()) == [("platform", "first"), ("archive", "technical")]
    assert followed.changes() == []


async def test_a_document_without_pages_lives_from_its_archive(followed: Followed) -> None:
    await followed.look()
    assert kinds(followed.snapshots("ad-rules")) == [("archive", "first")]
    followed.commit(SHORTER, path=RULES)
    followed.commit(
        SHORTER + "\n\nFooter\n", path=RULES, message="Apply technical or declaration upgrade on X Ad Rules"
    )
    followed.commit(STRICTER, path=RULES)

    await followed.look()
    await followed.look()

    assert kinds(followed.snapshots("ad-rules")) == [
        ("archive", "first"),
        ("archive", "change"),
        ("archive", "technical"),
        ("archive", "change"),
    ]
    assert [row["status"] for row in followed.changes()] == ["queued", "queued"]
    document = followed.document("ad-rules")
    assert (document["health"], document["last_good_at"] is not None) == ("ok", True)


async def test_a_wall_in_the_archive_is_held_told_and_not_compared(followed: Followed) -> None:
    await followed.look()
    followed.commit(WALL, path=RULES)
    await followed.look()
    assert kinds(followed.snapshots("ad-rules")) == [("archive", "first")]
    assert "looks like a wall" in followed.alerts()["archive_suspect"]

    followed.commit(SHORTER, path=RULES)
    await followed.look()

    assert kinds(followed.snapshots("ad-rules")) == [("archive", "first"), ("archive", "change")]
    (change,) = followed.changes()
    assert len(change["passages"]) == 1
    assert "archive_suspect" not in followed.alerts()
    rows = followed.world.rows("SELECT * FROM app.audit_log WHERE action = 'archive.suspect'")
    assert len(rows) == 1


async def test_a_wall_after_a_wall_that_was_taken_back_is_held_too(followed: Followed) -> None:
    await followed.look()
    followed.commit(WALL, path=RULES, ago=timedelta(days=6))
    followed.commit(WALL + "Request 7f31 of Tuesday.\n", path=RULES, ago=timedelta(days=5))
    followed.commit(text(), path=RULES, ago=timedelta(days=2))

    await followed.look()

    assert followed.changes() == []
    assert len(followed.world.rows("SELECT 1 FROM app.audit_log WHERE action = 'archive.suspect'")) == 2


async def test_a_rewritten_history_is_told_and_changes_nothing_that_is_stored(followed: Followed) -> None:
    await followed.look()
    followed.commit(SHORTER, path=RULES)
    await followed.look()
    before = followed.snapshots("ad-rules")

    # When the repository is made anew, with the same versions under other names and one that is newer
    shutil.rmtree(followed.folder / "archive")
    followed.history = History(followed.folder / "archive")
    followed.commit(text(), path=RULES, ago=timedelta(days=20), message="First record, made anew")
    followed.commit(text(), path=PATH, ago=timedelta(days=10), message="First record, made anew")
    followed.commit(SHORTER, path=RULES, ago=timedelta(hours=9), message="Record new changes, made anew")
    newest = followed.commit(STRICTER, path=RULES)
    await followed.look()

    after = followed.snapshots("ad-rules")
    assert after[: len(before)] == before
    assert [row["source_ref"] for row in after[len(before) :]] == [newest]
    assert len(followed.changes()) == 2
    assert "was rewritten" in followed.alerts()["archive_rewritten"]
    (row,) = followed.world.rows("SELECT * FROM app.audit_log WHERE action = 'archive.rewritten'")
    assert row["after"]["head"] == newest


@pytest.mark.parametrize(
    ("repository", "told"),
    [
        ("missing", "missing is not there"),
        ("folder", "is no git repository"),
        ("https://127.0.0.1:1/archive.git", "cannot be reached"),
        ("http://archive.example/x.git", "read by https, ssh or from a folder"),
        ("ext::sh -c true", "is not there"),
        ("https://me:secret@archive.example/x.git", "holds a user or password"),
    ],
)
async def test_what_cannot_be_followed_is_a_sentence_and_an_alert_after_three_times(
    followed: Followed, repository: str, told: str
) -> None:
    (followed.folder / "folder").mkdir()
    name = repository if ":" in repository else str(followed.folder / repository)
    followed.service.settings = followed.settings_for(name)
    await reconcile(followed.service.db, followed.service.settings)

    await followed.look()
    await followed.look()
    assert "archive_failing" not in followed.alerts()
    await followed.look()

    row = followed.archive()
    assert told in row["cause"]
    assert "secret" not in row["cause"]
    assert row["failures"] == 3
    assert "3 times in a row" in followed.alerts()["archive_failing"]
    document = followed.document("ad-rules")
    assert document["health"] == "degraded"
    assert told in document["cause"]

    # When the settings name the right one, then the other is not asked any more
    followed.service.settings = followed.settings
    await reconcile(followed.service.db, followed.settings, force=True)
    await followed.look()
    assert followed.document("ad-rules")["health"] == "ok"


async def test_a_missing_file_is_told_and_the_other_documents_go_on(followed: Followed) -> None:
    await followed.visit()
    followed.block()
    followed.world.scratch.move_clock("1 day")
    await followed.visit()
    followed.history.commit("Tidy", {RULES: None}, hours=_hours(followed.now))
    followed.commit(SHORTER)

    await followed.look()

    assert followed.document("ad-rules")["cause"].startswith("its file")
    assert "was taken out" in followed.archive()["cause"]
    assert len(followed.changes()) == 1
    assert followed.archive()["head"] is not None


async def test_an_alert_of_a_failing_archive_is_closed_when_it_is_back(followed: Followed) -> None:
    hidden = followed.folder / "hidden"
    (followed.folder / "archive").rename(hidden)
    for _ in range(3):
        await followed.look()
    assert "archive_failing" in followed.alerts()

    hidden.rename(followed.folder / "archive")
    await followed.look()

    assert followed.alerts() == {}
    assert followed.archive()["cause"] is None
    assert followed.document("ad-rules")["health"] == "ok"


async def test_a_hook_and_a_configuration_of_the_repository_are_never_run(followed: Followed) -> None:
    mark = followed.folder / "mark"
    hook = followed.folder / "archive/.git/hooks/post-update"
    for name in ("post-update", "pre-receive", "reference-transaction", "post-checkout"):
        hook.with_name(name).write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.with_name(name).chmod(0o755)
    config = pygit2.Config(str(followed.folder / "archive/.git/config"))
    config["uploadpack.packObjectsHook"] = f"touch {mark}; git"
    config["core.fsmonitor"] = f"touch {mark}"

    await followed.look()

    assert kinds(followed.snapshots("ad-rules")) == [("archive", "first")]
    assert not mark.exists()


async def test_two_daemons_look_once(followed: Followed) -> None:
    other = await followed.world.service(followed.settings)
    followed.world.scratch.move_clock("7 hours")

    looked = [await Follower(followed.service).look(), await Follower(other).look()]

    assert looked == [True, False]
    assert followed.archive()["fence"] == 1


async def test_an_archive_is_looked_into_when_its_document_is_named(followed: Followed) -> None:
    report = await followed.world.once("x/ad-rules", service=followed.service)

    assert report.outcomes == {}
    assert kinds(followed.snapshots("ad-rules")) == [("archive", "first")]


async def test_a_look_whose_repository_another_took_meanwhile_stores_nothing(followed: Followed) -> None:
    # Given a daemon that claimed a repository and then stood still
    follower, service = Follower(followed.service), followed.service
    repository = str(followed.folder / "archive")
    await archives.declare(service.db, [repository])
    claim = await archives.claim_due(service.db, service.worker_id, [repository], timedelta(minutes=30))
    assert claim is not None
    window = await follower._window(claim)
    other = await followed.world.service(followed.settings)

    # When its lease is over and another looks
    await followed.look()
    await Follower(other).all_due()
    taken = followed.snapshots("ad-rules")
    followed.commit(SHORTER, path=RULES)
    late = await follower._window(claim)

    # Then the first one, awake again, changes nothing
    assert await follower._documents(claim, window) == []
    assert await follower._documents(claim, late) == []
    assert followed.snapshots("ad-rules") == taken
    assert followed.archive()["fence"] == 2


async def test_what_is_older_than_the_commits_that_are_looked_at_has_no_date_and_stands_in_for_nothing(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file that no fetched commit touched only this is known: it was there before them."""
    monkeypatch.setattr(mirror, "DEPTH", 2)
    await followed.visit()
    followed.block()
    followed.world.scratch.move_clock("1 day")
    await followed.visit()
    for number in range(3):
        followed.commit(f"Note {number}", path="X/Notes.md")

    await followed.look()

    assert kinds(followed.snapshots()) == [("platform", "first")]
    assert kinds(followed.snapshots("ad-rules")) == [("archive", "first")]

    # When more commits come than are looked at, then it is told, and what is newer is taken all the same
    for number in range(3):
        followed.commit(f"Note {3 + number}", path="X/Notes.md")
    followed.commit(SHORTER, path=RULES)
    await followed.look()
    assert kinds(followed.snapshots("ad-rules")) == [("archive", "first"), ("archive", "change")]
    assert "or grew by more than 2 commits" in followed.alerts()["archive_rewritten"]


async def test_people_see_how_archives_stand(followed: Followed) -> None:
    (followed.folder / "archive").rename(followed.folder / "hidden")
    await followed.look()

    reader = followed.world.scratch.person("rita", "viewer")
    async with await Database.open(reader, max_size=1) as db:
        (row,) = await listing.archives(db)

    assert row["repository"] == str(followed.folder / "archive")
    assert (row["documents"], row["failures"]) == (2, 1)
    assert "is not there" in row["cause"]


async def test_the_archive_goes_on_while_only_some_of_the_pages_are_back(followed: Followed) -> None:
    # Given a document of two pages, both shut, whose archive stands in
    followed.settings = followed.service.settings = followed.settings_for(
        str(followed.folder / "archive"), also=PRIVACY.key
    )
    await reconcile(followed.service.db, followed.settings)
    assert await followed.visit() == "first"
    followed.block()
    followed.world.web.spoil(PRIVACY, Trouble.SERVER_ERROR)
    followed.world.scratch.move_clock("1 day")
    assert await followed.visit() == "failed"
    followed.commit(SHORTER)
    await followed.look()
    assert len(followed.changes()) == 1

    # When one page is back and the other is not: the text has a stand-in, and is not put in the archive's place
    followed.world.web.mend(TERMS)
    followed.world.scratch.move_clock("1 day")
    assert await followed.visit() == "failed"
    followed.commit(STRICTER, ago=timedelta(hours=6))  # recorded before that look, pushed after it

    # Then the archive is still what is read
    await followed.look()
    assert len(followed.changes()) == 2
    steps = followed.world.rows(
        "SELECT step FROM app.document_pages WHERE state = 'active' ORDER BY position"
    )
    assert [row["step"] for row in steps] == ["http", "archive"]

    # Until all pages are
    followed.world.web.mend(PRIVACY)
    followed.world.scratch.move_clock("1 day")
    assert await followed.visit() == "technical"
    followed.commit(SHORTER)
    await followed.look()
    assert len(followed.changes()) == 2


async def test_an_imported_history_keeps_no_page_that_can_be_read_from_being_judged(
    followed: Followed,
) -> None:
    followed.settings = followed.service.settings = followed.settings_for(
        str(followed.folder / "archive"), also=PRIVACY.key
    )
    await reconcile(followed.service.db, followed.settings)
    await import_source(followed.settings, followed.service.db, str(followed.folder / "archive"))
    followed.world.web.spoil(PRIVACY, Trouble.SERVER_ERROR)

    outcomes = [await followed.visit(), await followed.visit()]

    assert outcomes == ["technical", "unchanged"]
    assert kinds(followed.snapshots()) == [("archive", "first"), ("platform", "technical")]
    assert followed.snapshots()[-1]["partial"]


@pytest.mark.parametrize("recorded", [False, True])
async def test_what_the_archive_does_not_have_when_the_page_is_back_is_a_change(
    followed: Followed, recorded: bool
) -> None:
    # Given a blocked page whose archive caught up with our own last look, which was no change
    said = followed.world.web.text(TERMS)
    followed.commit("# Terms\n\n" + said.replace("must", "may", 3), ago=timedelta(days=3))
    await followed.visit()
    followed.block()
    followed.world.scratch.move_clock("1 day")
    await followed.visit()
    followed.commit("# Terms\n\n" + said)
    await followed.look()
    assert followed.changes() == []

    # When the platform changes its words, and the page is back before the archive records it, or after
    for _ in range(3):
        followed.world.web.advance()
    assert followed.world.web.text(TERMS) != said
    if recorded:
        followed.commit("# Terms\n\n" + followed.world.web.text(TERMS))
        await followed.look()
    followed.world.web.mend(TERMS)
    followed.world.scratch.move_clock("1 day")

    # Then it is told once, by whoever saw it
    assert await followed.visit() == ("technical" if recorded else "change")
    assert [change["status"] for change in followed.changes()] == ["queued"]
