"""What `status`, `documents list` and `alerts` say of blind sources and refused settings, from the command line."""

from __future__ import annotations

import pytest

from tests.stories.test_people_commands import Desk, desk, folder

__all__ = ["desk", "folder"]

pytestmark = [pytest.mark.needs_db, pytest.mark.story]

_FAULT = '/etc/policywatch/policywatch.yaml:3:5: unknown key "concurency" in fetch'


@pytest.fixture
def troubled(desk: Desk) -> Desk:
    """One of two pages of x/terms is blind, and the daemon has refused an edit."""
    desk.typed("users", "list")  # the schema is there
    desk.run(
        "INSERT INTO app.policy_documents (platform_id, key, name, health, cause, blind_since, last_good_at)"
        " SELECT id, 'terms', 'Terms', 'blocked', 'the page answers 403 Forbidden', '2026-11-25T08:00Z', '2026-11-24T08:00Z'"
        " FROM app.platforms WHERE key = 'x'"
    )
    desk.run("INSERT INTO app.extraction_rules (hash, definition) VALUES (sha256('{}'), '{}')")
    desk.run(
        "INSERT INTO app.document_pages (document_id, position, url, rule_id, health, cause, blind_since, step)"
        " SELECT d.id, n, 'https://x.example/' || n, r.id, CASE n WHEN 1 THEN 'blocked' ELSE 'ok' END,"
        "   CASE n WHEN 1 THEN 'the page answers 403 Forbidden' END, CASE n WHEN 1 THEN timestamptz '2026-11-25T08:00Z' END,"
        "   CASE n WHEN 1 THEN 'http' ELSE 'browser' END"
        " FROM app.policy_documents d, app.extraction_rules r, generate_series(1, 2) n WHERE d.key = 'terms'"
    )
    desk.run(
        "INSERT INTO app.alerts (kind, subject, sentence) VALUES ('source_blind', 'x/terms', 'x/terms is blind: 1 of 2 pages.')"
    )
    desk.run(
        "INSERT INTO app.workers (id, boot_id, pid, host, program, progress) VALUES ('w', 'b', 4711, 'vm', 'run',"
        f" jsonb_build_object('settings', jsonb_build_object('fault', '{_FAULT}', 'needs_restart', '[\"metrics.listen\"]'::jsonb)))"
    )
    desk.run(
        "INSERT INTO app.digests (audience, day, figures, state, recipients, cause)"
        " VALUES ('operators', '2026-11-26', '{}', 'sent', 2, NULL), ('operators', '2026-11-27', '{}', 'failed', 0, 'no relay')"
    )
    return desk


def test_what_is_blind_and_what_was_refused_is_said_and_can_be_acknowledged(troubled: Desk) -> None:
    said = troubled.typed("status")
    assert f"settings refused by vm pid 4711, the last good ones hold: {_FAULT}" in said
    assert "settings that wait for a restart of vm pid 4711: metrics.listen" in said
    assert "sources 0 of 1 documents read as planned, 1 blind, 0 paused" in said
    assert (
        "x/terms: blocked, blind since 2026-11-25 08:00, 1 of 2 pages, read by browser http,"
        " the page answers 403 Forbidden; next try " in said
    )
    assert "digest of 2026-11-27 for operators: failed, 0 mails (no relay)" in said
    told = troubled.told("status")
    assert told["troubled"][0]["pages_blind"] == 1
    assert {row["platform"]: row["blind"] for row in told["platforms"]}["x"] == 1
    assert told["daemons"][0]["progress"]["settings"]["fault"] == _FAULT

    (document,) = troubled.told("documents", "list")["documents"]
    assert (document["state"], document["step"], document["blind_since"][:10]) == (
        "blocked",
        "browser http",
        "2026-11-25",
    )
    pages = troubled.told("documents", "list", "--pages")["pages"]
    assert [(page["state"], page["step"], page["blind_since"] is None) for page in pages] == [
        ("blocked", "http", False),
        ("ok", "browser", True),
    ]
    assert "the page answers 403" in troubled.typed("documents", "list", "--pages")

    (alert,) = troubled.told("alerts", "list")["alerts"]
    troubled.typed("alerts", "ack", str(alert["id"]))
    (seen,) = troubled.told("alerts", "list")["alerts"]
    assert (seen["sentence"], seen["acked_by"] is not None, seen["reminders"]) == (
        "x/terms is blind: 1 of 2 pages.",
        True,
        0,
    )
    troubled.run("UPDATE app.alerts SET closed_at = app.pw_now()")
    assert troubled.told("alerts", "list")["alerts"] == []
    assert len(troubled.told("alerts", "list", "--all")["alerts"]) == 1
