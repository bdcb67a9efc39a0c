"""The settings become rows, once; what left them is archived; what people paused stays paused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from policywatch.db.pool import Database
from policywatch.settings import Settings, load
from policywatchd.upkeep.reconcile import reconcile
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db


@pytest_asyncio.fixture
async def db(database: Scratch) -> AsyncIterator[Database]:
    async with await Database.open(database.daemon) as opened:
        yield opened


def settings(documents: dict[str, Any], **more: Any) -> Settings:
    made = Settings.model_validate(
        {"catalogue": "none", "platforms": {"x": {"name": "X", "documents": documents}}, **more}
    )
    made._sha256 = str(hash(repr(made)))
    return made


def document(*urls: str, **more: Any) -> dict[str, Any]:
    return {"name": "Terms", "pages": [{"url": url, "select": ["main"]} for url in urls], **more}


def state(database: Scratch, key: str) -> tuple[str, str | None]:
    (row,) = database.run("SELECT state, paused_reason FROM app.policy_documents WHERE key = %s", key)
    return row["state"], row["paused_reason"]


async def test_the_shipped_catalogue_is_applied_once_with_one_audit_row(
    db: Database, database: Scratch
) -> None:
    shipped = load(None, {})

    first = await reconcile(db, shipped)
    second = await reconcile(db, shipped)
    forced = await reconcile(db, shipped, force=True)

    assert first.applied and first.documents == sum(len(p.documents) for p in shipped.platforms.values())
    assert not second.applied
    assert (forced.documents, forced.pages, forced.segments, forced.archived) == (0, 0, 0, 0)
    audit = database.run(
        "SELECT before, after FROM app.audit_log WHERE action = 'config.applied' ORDER BY id"
    )
    assert len(audit) == 2
    assert audit[0]["before"] == {"sha256": None} and audit[0]["after"]["sha256"] == shipped.sha256
    facts = database.run(
        "SELECT (value #>> '{}')::interval AS v FROM app.system_config WHERE key = 'grace_period'"
    )
    assert facts[0]["v"] == shipped.guidance.grace_period


async def test_what_left_the_settings_is_archived_and_comes_back_as_itself(
    db: Database, database: Scratch
) -> None:
    both = settings({"terms": document("https://x.example/a"), "privacy": document("https://x.example/b")})
    await reconcile(db, both)
    await reconcile(db, settings({"terms": document("https://x.example/a")}))
    assert state(database, "privacy") == ("archived", None)

    await reconcile(db, both, force=True)

    assert state(database, "privacy") == ("active", None)
    assert database.run(
        "SELECT count(*) AS n FROM app.policy_documents WHERE key IN ('terms', 'privacy')"
    ) == [{"n": 2}]


async def test_a_page_that_left_is_archived_and_a_changed_rule_makes_its_document_due(
    db: Database, database: Scratch
) -> None:
    await reconcile(db, settings({"terms": document("https://x.example/a", "https://x.example/b")}))
    database.run("UPDATE app.policy_documents SET due_at = app.pw_now() + interval '1 day'")

    changed = document("https://x.example/a")
    changed["pages"][0]["remove"] = [".ad"]
    await reconcile(db, settings({"terms": changed}))

    pages = database.run(
        "SELECT url, g.state, definition FROM app.document_pages g"
        " JOIN app.extraction_rules r ON r.id = g.rule_id ORDER BY url"
    )
    assert [(page["url"], page["state"]) for page in pages] == [
        ("https://x.example/a", "active"),
        ("https://x.example/b", "archived"),
    ]
    assert pages[0]["definition"]["remove"] == [".ad"]
    assert database.run("SELECT due_at <= app.pw_now() AS due FROM app.policy_documents WHERE key = 'terms'")[
        0
    ]["due"]


async def test_the_settings_resume_only_what_they_paused(db: Database, database: Scratch) -> None:
    await reconcile(db, settings({"terms": document("https://x.example/a", paused=True)}))
    assert state(database, "terms") == ("paused", "settings")
    await reconcile(db, settings({"terms": document("https://x.example/a")}))
    assert state(database, "terms") == ("active", None)
    with psycopg.connect(database.person("eva", "editor"), autocommit=True) as editor:
        editor.execute("SELECT * FROM act.pause_document(gen_random_uuid(), 'x', 'terms', 'a strike')")

    await reconcile(db, settings({"terms": document("https://x.example/a")}), force=True)
    await reconcile(db, settings({}))

    assert state(database, "terms") == ("paused", "a strike")


async def test_a_new_definition_of_a_segment_is_a_new_version(db: Database, database: Scratch) -> None:
    first = {"creators": {"name": "Creators", "criteria": {"kind": "creator"}}}
    wider = {"creators": {"name": "Creators", "criteria": {"kind": ["creator", "artist"]}}}
    await reconcile(db, settings({}, segments=first))
    await reconcile(db, settings({}, segments=wider))

    rows = database.run(
        "SELECT version, criteria, current FROM app.member_segments WHERE key = 'creators' ORDER BY version"
    )
    assert [(row["criteria"], row["current"]) for row in rows] == [
        ({"kind": ["creator"]}, False),
        ({"kind": ["creator", "artist"]}, True),
    ]
    assert database.run("SELECT count(*) AS n FROM app.member_segments WHERE key = 'eu' AND current") == [
        {"n": 0}
    ]


def good_capture(database: Scratch, url: str) -> None:
    """The page was read well once, as a visit notes it."""
    database.run(
        """WITH made AS (
             INSERT INTO app.captures (document_id, page_id, fence, state, status, rule_id)
             SELECT document_id, id, 1, 'unchanged', 304, rule_id FROM app.document_pages WHERE url = %s RETURNING id, page_id)
           UPDATE app.document_pages g SET good_capture = made.id, trial = 'good' FROM made WHERE g.id = made.page_id""",
        url,
    )


def page_row(database: Scratch) -> dict[str, Any]:
    (row,) = database.run(
        """SELECT g.trial, r.definition -> 'remove' AS remove, t.definition -> 'remove' AS tried, g.headers, g.credential
           FROM app.document_pages g JOIN app.extraction_rules r ON r.id = g.rule_id
           LEFT JOIN app.extraction_rules t ON t.id = g.trial_rule_id"""
    )
    return row


def terms(url: str = "https://x.example/a", **page: Any) -> Settings:
    return settings({"terms": {"name": "Terms", "pages": [{"url": url, "select": ["main"], **page}]}})


async def test_a_new_page_waits_for_its_trial_and_takes_each_edit_at_once(
    db: Database, database: Scratch
) -> None:
    await reconcile(db, terms())
    await reconcile(db, terms(remove=[".ad"]))

    row = page_row(database)
    assert (row["trial"], row["remove"], row["tried"]) == ("waiting", [".ad"], None)


async def test_an_edited_rule_of_a_page_that_was_read_well_waits_beside_the_one_in_force(
    db: Database, database: Scratch
) -> None:
    await reconcile(db, terms())
    good_capture(database, "https://x.example/a")

    await reconcile(db, terms(remove=[".ad"]))
    edited = page_row(database)
    database.run("UPDATE app.document_pages SET trial = 'failed', trial_result = '{}'")
    await reconcile(db, terms(remove=[".ad"], headers={"Accept": "text/html"}))
    failed = page_row(database)
    await reconcile(db, terms())
    back = page_row(database)

    assert (edited["trial"], edited["remove"], edited["tried"]) == ("waiting", [], [".ad"])
    assert (failed["trial"], failed["tried"]) == ("failed", [".ad"])
    assert (back["trial"], back["remove"], back["tried"]) == ("good", [], None)


async def test_a_pages_credential_is_stored_by_name_with_a_mark_in_its_header(
    db: Database, database: Scratch
) -> None:
    await reconcile(db, terms(credential={"name": "api-token"}))
    bearer = page_row(database)
    await reconcile(db, terms(credential={"name": "key", "header": "X-Api-Key", "prefix": ""}))
    plain = page_row(database)

    assert (bearer["credential"], bearer["headers"]) == (
        "api-token",
        {"Authorization": "Bearer {credential}"},
    )
    assert (plain["credential"], plain["headers"]) == ("key", {"X-Api-Key": "{credential}"})


async def test_a_decision_against_robots_txt_is_stored_and_audited_when_it_comes_and_goes(
    db: Database, database: Scratch
) -> None:
    decision = {"by": "Ada", "reason": "written permission of 2026-11-02"}
    await reconcile(db, settings({"terms": document("https://x.example/a", robots_override=decision)}))
    stored = database.run("SELECT robots_override FROM app.policy_documents WHERE key = 'terms'")
    await reconcile(
        db, settings({"terms": document("https://x.example/a", robots_override=decision)}), force=True
    )
    await reconcile(db, settings({"terms": document("https://x.example/a")}))

    assert stored == [{"robots_override": decision}]
    audit = database.run(
        "SELECT object_id, before, after FROM app.audit_log WHERE action = 'document.robots_override' ORDER BY id"
    )
    assert [(row["object_id"], row["before"], row["after"]) for row in audit] == [
        ("x/terms", None, decision),
        ("x/terms", decision, None),
    ]
