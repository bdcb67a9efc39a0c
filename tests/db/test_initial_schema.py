"""What the infrastructure document promises of a fresh database: tables, first rows, kinds of indexes, keys."""

from __future__ import annotations

import pytest

from policywatch.settings import load
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

CORE = {"platforms", "platform_credentials", "policy_documents", "policy_snapshots", "policy_changes"}
COMMUNICATION = {"guidance_drafts", "member_segments", "guidance_publications", "delivery_events"}
SAFETY = {"approval_requests", "audit_log", "system_metrics", "system_config"}
PEOPLE = {"users", "user_sessions"}
SERIES = {
    "policy_snapshots": "fetched_at",
    "policy_changes": "detected_at",
    "delivery_events": "at",
    "audit_log": "at",
    "system_metrics": "at",
}


@pytest.mark.parametrize(
    "group", [CORE, COMMUNICATION, SAFETY, PEOPLE], ids=["core", "communication", "safety", "people"]
)
def test_the_tables_of_the_infrastructure_are_there(module_database: Scratch, group: set[str]) -> None:
    found = {
        r["relname"]
        for r in module_database.run(
            "SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'r'"
        )
    }
    assert group <= found


@pytest.mark.parametrize(("table", "column"), SERIES.items())
def test_a_series_is_keyed_by_id_and_time(module_database: Scratch, table: str, column: str) -> None:
    """The same key with and without TimescaleDB: a hypertable needs its time column in every unique index."""
    [row] = module_database.run(
        "SELECT pg_get_constraintdef(oid) AS key FROM pg_constraint WHERE contype = 'p' AND conrelid = %s::regclass",
        f"app.{table}",
    )
    assert row["key"] == f"PRIMARY KEY (id, {column})"


def test_the_seven_platforms_are_those_of_the_shipped_catalogue(module_database: Scratch) -> None:
    stored = module_database.run("SELECT key, name, aliases FROM app.platforms ORDER BY position")
    shipped = load(env={}).platforms
    assert [r["key"] for r in stored] == [
        "x",
        "facebook",
        "instagram",
        "linkedin",
        "tiktok",
        "youtube",
        "bluesky",
    ]
    assert {(r["key"], r["name"], tuple(r["aliases"])) for r in stored} == {
        (key, platform.name, tuple(platform.aliases)) for key, platform in shipped.items()
    }


def test_the_default_segments_are_those_of_the_shipped_settings(module_database: Scratch) -> None:
    stored = {
        r["key"]: r["criteria"] for r in module_database.run("SELECT key, criteria FROM app.member_segments")
    }
    shipped = {
        key: {column: list(values) for column, values in segment.criteria.items()}
        for key, segment in load(env={}).segments.items()
    }
    assert stored == shipped


def test_the_default_configuration_and_the_administrator_are_there(module_database: Scratch) -> None:
    facts = {r["key"]: r["value"] for r in module_database.run("SELECT key, value FROM app.system_config")}
    assert {
        "install_id",
        "frozen",
        "rls",
        "approvals_needed",
        "grace_period",
        "approval_expiry",
    } <= facts.keys()
    assert facts["frozen"] is False
    assert facts["approvals_needed"] == 1
    [admin] = module_database.run("SELECT role, state FROM app.users")
    assert admin == {"role": "admin", "state": "active"}


def test_no_login_has_a_default_password(module_database: Scratch) -> None:
    """pw_owner and pw_daemon may log in by their account or a password that an operator sets; 001 sets none."""
    stored = module_database.run(
        "SELECT rolname FROM pg_authid WHERE rolname LIKE 'pw\\_%%' AND rolpassword IS NOT NULL"
    )
    assert stored == []


def test_filtered_questions_have_partial_indexes(module_database: Scratch) -> None:
    partial = {
        r["relname"]
        for r in module_database.run(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid"
            " WHERE t.relnamespace = 'app'::regnamespace AND i.indpred IS NOT NULL"
        )
    }
    assert {
        "policy_documents_due",
        "change_states_queue",
        "approval_requests_pending",
        "publication_recipients_open",
    } <= partial


def test_documents_of_json_and_full_text_have_gin_indexes(module_database: Scratch) -> None:
    gin = {
        r["tablename"]
        for r in module_database.run(
            "SELECT tablename FROM pg_indexes WHERE schemaname = 'app' AND indexdef LIKE '%%USING gin%%'"
        )
    }
    assert {"document_search", "policy_changes", "change_analyses", "audit_log", "extraction_rules"} <= gin


def test_recipients_are_known_by_keyed_hash_alone(module_database: Scratch) -> None:
    columns = {
        r["column_name"]
        for r in module_database.run(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'app' AND table_name = 'delivery_events'"
        )
    }
    assert "recipient_hash" in columns
    assert not columns & {"email", "mail", "address"}
