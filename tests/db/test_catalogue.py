"""The catalogue of a migrated database keeps the rules that its safety rests on. What the daemon may is declared here."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

SERIES = ("policy_snapshots", "policy_changes", "delivery_events", "audit_log", "system_metrics")
OURS = ("app", "read", "act")
PEOPLE = ("pw_viewer", "pw_reviewer", "pw_editor", "pw_approver", "pw_admin", "pw_auditor")

# What the daemon may write. It reads every table of app, and nothing else stands here by accident.
INSERTS = {
    *("platforms", "policy_documents", "document_pages", "hosts", "document_search", "alerts", "workers"),
    *("rate_buckets", "member_segments", "extraction_rules", "contents", "captures", "snapshot_keys"),
    *("policy_snapshots", "policy_changes", "change_states", "change_analyses", "publication_recipients"),
    *("suppressions", "inbound_raw", "delivery_events", "audit_seals", "system_metrics"),
    *("document_variants", "archives", "digests"),
}
UPDATES = {
    *("platforms", "policy_documents", "document_pages", "hosts", "document_search", "alerts", "workers"),
    *("rate_buckets", "member_segments", "publication_recipients"),
    *("document_variants", "archives", "digests"),
}
COLUMNS = {
    "change_states": "status machine_severity severity second_look_at version updated_at looks reverts alternates same_as",
    "guidance_publications": "state released_at ended_at ended_by frozen_count pause_reason release_at version",
    "requests": "state owner lease_until result version ended_at",
    "inbound_raw": "payload state outcome",
    "user_sessions": "ended_at ended_by ended_how",
    "system_config": "value updated_at updated_by",
}
DELETES = {"system_metrics", "acts", "workers", "document_variants"}
FUNCTIONS = {
    # the clock, the hint, the audit row
    *("app.pw_now", "app.hint", "app.write_audit"),
    # checked steps of publishing and approval
    *("app.record_audience", "app.expire_approvals", "app.release_publication", "app.pause_by_daemon"),
    *("app.recipients_frozen", "app.finish_publication", "app.freeze", "app.lock_publication"),
    *("app.share_publication", "app.hold_audit"),
    # keys, the use of a credential, connections of ended sessions
    *("app.check_key", "app.use_credential", "app.end_backends"),
    # what views and policies ask
    *("app.is_machine", "app.may_read", "app.sees_all", "app.my_platforms", "app.my_platform_keys"),
    *("app.my_documents", "app.content_in_scope", "app.replicas"),
    # what the edition of the series does with old figures
    "app.forget_metrics",
}
VIEWS = {
    *("read.table_sizes", "read.queue_ages", "read.replication", "read.newest_metrics"),
    *("read.source_states", "read.digests"),
    *("read.audit_seals", "read.audit_unsealed", "read.delivery_daily"),
}


def rows(database: Scratch, statement: str, *values: Any) -> list[dict[str, Any]]:
    return database.run(statement, *values)


def names(database: Scratch, statement: str, *values: Any) -> list[str]:
    return [row["name"] for row in rows(database, statement, *values)]


def test_every_function_of_ours_pins_a_search_path_that_ends_in_pg_temp(module_database: Scratch) -> None:
    loose = names(
        module_database,
        """SELECT p.oid::regprocedure::text AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE n.nspname = ANY (%s) AND (p.prosecdef OR p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql'))
             AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c ~ '^search_path=pg_catalog, (app, )?pg_temp$')""",
        list(OURS),
    )
    assert loose == []


def test_functions_that_name_things_without_a_pinned_path_name_their_schema(module_database: Scratch) -> None:
    """Inlined one-liners (the clock, the hint) pin nothing: all that they call stands with its schema."""
    bodies = rows(
        module_database,
        """SELECT p.oid::regprocedure::text AS name, p.prosrc AS body FROM pg_proc p
           WHERE p.pronamespace = ANY (ARRAY['app', 'read', 'act']::regnamespace[]) AND p.proconfig IS NULL""",
    )
    bare = [b["name"] for b in bodies if re.search(r"(?<![\w.])(?!SELECT|FROM)\w+\s*\(", b["body"])]
    assert bare == []


def test_nobody_in_general_may_run_a_function_of_ours(module_database: Scratch) -> None:
    public = names(
        module_database,
        """SELECT p.oid::regprocedure::text AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE n.nspname = ANY (%s) AND EXISTS (
             SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
             WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')""",
        list(OURS),
    )
    assert public == []


def test_no_body_of_a_function_and_no_comment_holds_a_secret(module_database: Scratch) -> None:
    """pg_proc is readable by everybody who may connect."""
    suspicious = names(
        module_database,
        """SELECT p.oid::regprocedure::text AS name FROM pg_proc p
           WHERE p.pronamespace = ANY (ARRAY['app', 'read', 'act']::regnamespace[])
             AND p.prosrc ~* '(PASSWORD ''|BEGIN PRIVATE|secret\\s*:?=\\s*''|pgp_sym_(en|de)crypt\\([^)]*'')'""",
    )
    assert suspicious == []


def test_policies_ask_once_per_statement_and_never_per_row(module_database: Scratch) -> None:
    """A call of a function outside a subselect is a call per row: measured a hundred times slower."""
    policies = rows(
        module_database,
        """SELECT c.relname AS name, pg_get_expr(p.polqual, p.polrelid) AS test, pg_get_expr(p.polwithcheck, p.polrelid) AS stored
           FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = 'app'::regnamespace""",
    )
    assert len(policies) >= 18
    for policy in policies:
        assert policy["test"].startswith("(( SELECT app.sees_all() AS sees_all) OR"), policy["name"]
        assert policy["stored"] is None, policy["name"]
        unwrapped = re.sub(r"SELECT (unnest\()?app\.\w+\(\)", "SELECT", policy["test"])
        assert "app.my_" not in unwrapped, policy["name"]
        assert "sees_all()" not in unwrapped, policy["name"]


def test_every_table_that_belongs_to_a_platform_has_a_policy(module_database: Scratch) -> None:
    """Reachable from a document, a draft or a publication by foreign keys, and no series."""
    without = names(
        module_database,
        """WITH RECURSIVE reach AS (
             SELECT 'app.platforms'::regclass AS rel
             UNION SELECT k.conrelid::regclass FROM pg_constraint k JOIN reach r ON k.confrelid = r.rel WHERE k.contype = 'f')
           SELECT c.relname AS name FROM reach r JOIN pg_class c ON c.oid = r.rel
           WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) AND NOT c.relname = ANY (%s) ORDER BY 1""",
        list(SERIES),
    )
    # hidden evidence would count as absent: its view and the policy of drafts decide
    assert without == ["draft_evidence"]


def test_views_for_people_are_barriers_owned_by_the_owner(module_database: Scratch) -> None:
    views = rows(
        module_database,
        """SELECT c.relname AS name, pg_get_userbyid(c.relowner) AS owner, coalesce(c.reloptions, '{}') AS options, c.relkind AS kind
           FROM pg_class c WHERE c.relnamespace = 'read'::regnamespace""",
    )
    assert len(views) > 25
    assert {v["kind"] for v in views} == {"v"}
    assert [
        v["name"] for v in views if "security_barrier=true" not in v["options"] or v["owner"] != "pw_owner"
    ] == []
    assert [v["name"] for v in views if "security_invoker=true" in v["options"]] == []


def test_everything_belongs_to_the_owner_but_the_acts_on_people(module_database: Scratch) -> None:
    strangers = names(
        module_database,
        """SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relnamespace = ANY (ARRAY['app', 'read', 'act']::regnamespace[])
             AND c.relkind IN ('r', 'p', 'v', 'S') AND pg_get_userbyid(c.relowner) <> 'pw_owner'
           UNION SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE n.nspname IN ('read', 'act', 'app') AND p.prosecdef AND pg_get_userbyid(p.proowner) <>
             CASE WHEN n.nspname = 'act' AND p.proname LIKE 'user\\_%' THEN 'pw_rolemaker' ELSE 'pw_owner' END""",
    )
    assert strangers == []


def test_no_foreign_key_points_into_a_series(module_database: Scratch) -> None:
    into = names(
        module_database,
        "SELECT conrelid::regclass || '.' || conname AS name FROM pg_constraint WHERE contype = 'f'"
        " AND confrelid = ANY (SELECT ('app.' || s)::regclass FROM unnest(%s::text[]) s)",
        list(SERIES),
    )
    assert into == []


def test_every_foreign_key_has_an_index(module_database: Scratch) -> None:
    bare = names(
        module_database,
        """SELECT k.conrelid::regclass || ' (' || k.conname || ')' AS name FROM pg_constraint k
           WHERE k.contype = 'f' AND k.connamespace = 'app'::regnamespace AND NOT EXISTS (
             SELECT FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indisvalid
               AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
               AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) ~ '^\\(\\w+ IS NOT NULL\\)$'))""",
    )
    assert bare == []


def test_every_table_and_view_that_commands_name_and_every_enumeration_is_explained(
    module_database: Scratch,
) -> None:
    tables = names(
        module_database,
        """SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p')
             AND obj_description(c.oid, 'pg_class') IS NULL""",
    )
    assert tables == []
    columns = names(
        module_database,
        """SELECT DISTINCT c.relname || '.' || a.attname AS name FROM pg_constraint k
           JOIN pg_class c ON c.oid = k.conrelid JOIN pg_attribute a ON a.attrelid = c.oid AND k.conkey = ARRAY[a.attnum]
           WHERE c.relnamespace = 'app'::regnamespace AND k.contype = 'c' AND pg_get_constraintdef(k.oid) ~ '= ANY \\(\\(?ARRAY'
             AND col_description(c.oid, a.attnum) IS NULL ORDER BY 1""",
    )
    assert columns == []


# The daemon ---------------------------------------------------------------------------------------


def test_the_daemon_may_write_exactly_what_is_declared(module_database: Scratch) -> None:
    given = rows(
        module_database,
        """SELECT c.relname AS name, a.privilege_type AS right, a.is_grantable AS passes FROM pg_class c, aclexplode(c.relacl) a
           WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND a.grantee = 'pw_daemon'::regrole""",
    )
    assert not any(g["passes"] for g in given)
    by_right: dict[str, set[str]] = {}
    for g in given:
        by_right.setdefault(g["right"], set()).add(g["name"])
    assert set(by_right) == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert by_right["INSERT"] == INSERTS
    assert by_right["UPDATE"] == UPDATES
    assert by_right["DELETE"] == DELETES
    columns = rows(
        module_database,
        """SELECT c.relname AS name, string_agg(t.attname, ' ') AS columns FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid,
             aclexplode(t.attacl) a WHERE c.relnamespace = 'app'::regnamespace AND a.grantee = 'pw_daemon'::regrole
             AND a.privilege_type = 'UPDATE' GROUP BY 1""",
    )
    assert {c["name"]: set(c["columns"].split()) for c in columns} == {
        k: set(v.split()) for k, v in COLUMNS.items()
    }


def test_the_daemon_may_call_exactly_what_is_declared_and_no_act(module_database: Scratch) -> None:
    callable_ = names(
        module_database,
        """SELECT DISTINCT n.nspname || '.' || p.proname AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace,
             aclexplode(p.proacl) a WHERE n.nspname = ANY (%s) AND a.grantee = 'pw_daemon'::regrole""",
        list(OURS),
    )
    assert set(callable_) == FUNCTIONS
    views = names(
        module_database,
        """SELECT c.oid::regclass::text AS name FROM pg_class c, aclexplode(c.relacl) a
           WHERE c.relnamespace = ANY (ARRAY['read', 'act']::regnamespace[]) AND a.grantee = 'pw_daemon'::regrole""",
    )
    assert set(views) == VIEWS


# People -------------------------------------------------------------------------------------------


def test_people_have_no_right_on_the_schema_of_tables(module_database: Scratch) -> None:
    for group in PEOPLE:
        assert not rows(
            module_database,
            "SELECT has_schema_privilege(%s, 'app', 'USAGE') OR has_schema_privilege(%s, 'app', 'CREATE') AS may",
            group,
            group,
        )[0]["may"], group
        granted = names(
            module_database,
            """SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p', 'v')
                 AND (has_table_privilege(%s, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                      OR has_any_column_privilege(%s, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))""",
            group,
            group,
        )
        assert [g for g in granted if g != "test_clock"] == [], group


def test_people_may_create_nothing_anywhere(module_database: Scratch) -> None:
    for group in PEOPLE:
        may = names(
            module_database,
            "SELECT nspname AS name FROM pg_namespace WHERE has_schema_privilege(%s, oid, 'CREATE')"
            " UNION SELECT datname FROM pg_database WHERE datname = current_database()"
            " AND (has_database_privilege(%s, oid, 'CREATE') OR has_database_privilege(%s, oid, 'TEMPORARY'))",
            group,
            group,
            group,
        )
        assert may == [], group


def test_only_views_are_readable_and_only_acts_callable_by_people(module_database: Scratch) -> None:
    """A viewer gets the views but the private ones; addresses are an administrator's alone."""
    for view, readers in {
        "read.audit": {"pw_admin", "pw_auditor"},
        "read.user_addresses": {"pw_admin"},
        "read.changes": set(PEOPLE),
    }.items():
        may = {
            group
            for group in PEOPLE
            if rows(module_database, "SELECT has_table_privilege(%s, %s, 'SELECT') AS may", group, view)[0][
                "may"
            ]
        }
        assert may == readers, view
    writable = names(
        module_database,
        """SELECT c.relname AS name FROM pg_class c, unnest(%s::text[]) g WHERE c.relnamespace = 'read'::regnamespace
             AND has_table_privilege(g, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')""",
        list(PEOPLE),
    )
    assert writable == []


def test_no_group_of_people_leads_to_a_machine_or_to_making_roles(module_database: Scratch) -> None:
    for group in PEOPLE:
        for above in ("pw_owner", "pw_daemon", "pw_rolemaker"):
            assert not rows(module_database, "SELECT pg_has_role(%s, %s, 'MEMBER') AS is", group, above)[0][
                "is"
            ]
    attributes = names(
        module_database,
        """SELECT rolname AS name FROM pg_roles WHERE rolname LIKE 'pw\\_%' AND (rolsuper OR rolcreatedb OR rolreplication
             OR rolbypassrls OR rolcreaterole AND rolname <> 'pw_rolemaker' OR rolcanlogin AND rolname = 'pw_rolemaker')""",
    )
    assert attributes == []
