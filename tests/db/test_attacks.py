"""A colleague with psql: what viewer, reviewer, editor and approver try through their own logins, with and without RLS.

Nothing forbidden is read, nothing forbidden is done, and each act that was refused has its audit row. What PostgreSQL
allows and cannot be prevented (its own settings, NOTIFY) is tried too, and shown to change nothing.

Long on purpose: one list of attempts, read from top to bottom as the colleague would try them, over one world.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from tests.databases import Cluster, Scratch, _copy
from tests.db.attack_world import MARK, OURS, RANK, ROLES, THEIRS, Connection, World, call, furnish

pytestmark = pytest.mark.needs_db

TRIED: Counter[str] = Counter()
DENIED = {"42501"}
NO_SUCH = 999_999_999  # an id that nothing has


@pytest.fixture(scope="module", params=[False, True], ids=["rls-off", "rls-on"])
def world(request: pytest.FixtureRequest, server: Cluster, template: str) -> Iterator[World]:
    """One furnished database for each mode."""
    with _copy(server, template) as database:
        yield furnish(database, rls=request.param)


@pytest.fixture(scope="module", autouse=True)
def told() -> Iterator[None]:
    """How many attacks were tried, by mode, role and kind."""
    yield
    for name, count in sorted(TRIED.items()):
        print(f"attacks tried  {name:<40} {count}")
    print(f"attacks tried  {'in all':<40} {sum(TRIED.values())}")


def tried(world: World, person: str, kind: str, count: int = 1) -> None:
    """Count it."""
    TRIED[f"{'rls-on' if world.rls else 'rls-off'} {person} {kind}"] += count


def attempt(connection: Connection, statement: str, values: tuple[Any, ...] | None = None) -> str:
    """The SQLSTATE that a statement ends in; empty when it passed."""
    try:
        with connection.transaction(force_rollback=True):
            cursor = connection.execute(sql.SQL(statement), values)
            if cursor.description:
                cursor.fetchall()
    except errors.ActiveSqlTransaction:  # some ask first whether they stand alone
        try:
            connection.execute(sql.SQL(statement), values)
        except psycopg.Error as error:
            return error.sqlstate or type(error).__name__
    except psycopg.Error as error:
        return error.sqlstate or type(error).__name__
    return ""


# What PostgreSQL denies -----------------------------------------------------------------------------

ROLE_CHANGES = (
    "SET ROLE pw_owner",
    "SET ROLE pw_daemon",
    "SET ROLE pw_rolemaker",
    "SET ROLE pw_admin",
    "SET ROLE postgres",
    "SET ROLE {second}",
    "SET SESSION AUTHORIZATION {second}",
    "SET SESSION AUTHORIZATION pw_owner",
    "SELECT set_config('role', 'pw_owner', false)",
    "DO $$ BEGIN EXECUTE 'SET ROLE pw_owner'; END $$",
    "GRANT pw_admin TO {me}",
    "GRANT pw_rolemaker TO {me}",
    "GRANT {second} TO {me}",
    "ALTER ROLE {me} SUPERUSER",
    "ALTER ROLE {me} CREATEROLE",
    "ALTER ROLE {me} BYPASSRLS",
    "ALTER ROLE {me} RENAME TO pw_root",
    "ALTER ROLE {second} PASSWORD 'x'",
    "ALTER ROLE {second} SET search_path = public",
    "ALTER ROLE pw_owner LOGIN PASSWORD 'x'",
    "ALTER ROLE ALL SET log_statement = 'none'",
    "CREATE ROLE pw_mine",
    "CREATE ROLE pwt_mine SUPERUSER LOGIN",
    "DROP ROLE {second}",
    "REASSIGN OWNED BY pw_owner TO {me}",
    "DROP OWNED BY pw_owner",
)
SETTINGS = (
    "SET session_replication_role = replica",
    "SET log_statement = 'none'",
    "SET log_min_error_statement = panic",
    "SET log_min_messages = panic",
    "SET log_parameter_max_length = 0",
    "SET allow_system_table_mods = on",
    "SET zero_damaged_pages = on",
    "SET track_activities = off",
    "ALTER SYSTEM SET log_statement = 'none'",
    "ALTER DATABASE {database} SET search_path = public",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
)
FILES = (
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/pw_attack'",
    "DO $$ BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''true'''; END $$",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('postgresql.conf')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_stat_file('postgresql.conf')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_put(1, 0, 'x')",
    "SELECT lo_export(1, '/tmp/pw_attack')",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT * FROM pg_file_settings",
    "LOAD 'auto_explain'",
)
MAKING = (
    "CREATE TABLE public.users (name text)",
    "CREATE TABLE app.users2 (name text)",
    "CREATE TABLE read.mine (name text)",
    "CREATE TABLE act.mine (name text)",
    "CREATE TEMP TABLE users (name text, role text, state text)",
    "CREATE TEMP VIEW users AS SELECT 1",
    "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RETURN true; END $$",
    "CREATE FUNCTION public.leak(text) RETURNS boolean LANGUAGE sql COST 0.0000001 AS 'SELECT true'",
    "CREATE FUNCTION act.leak() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE SCHEMA mine",
    "CREATE SCHEMA AUTHORIZATION {me}",
    "CREATE DATABASE pwt_mine",
    "CREATE EXTENSION dblink",
    "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION app.refuse_rewrite()",
    "CREATE PUBLICATION p FOR ALL TABLES",
    "CREATE OR REPLACE VIEW read.me AS SELECT 1 AS x",
    "CREATE OR REPLACE FUNCTION act.beat_session(p_session uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE RULE r AS ON SELECT TO read.me DO INSTEAD SELECT 1",
    "CREATE TRIGGER t INSTEAD OF UPDATE ON read.me FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE POLICY p ON app.change_states USING (true)",
    "DROP POLICY scope ON app.change_states",
    "ALTER TABLE app.change_states DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE app.audit_log DISABLE TRIGGER ALL",
    "ALTER VIEW read.me SET (security_barrier = false)",
    "ALTER FUNCTION act.beat_session(uuid) OWNER TO {me}",
    "ALTER FUNCTION act.beat_session(uuid) SECURITY INVOKER",
    "ALTER DEFAULT PRIVILEGES FOR ROLE pw_owner GRANT SELECT ON TABLES TO PUBLIC",
    "GRANT SELECT ON ALL TABLES IN SCHEMA app TO {me}",
    "GRANT USAGE ON SCHEMA app TO {me}",
    "DROP VIEW read.me",
    "DROP FUNCTION act.beat_session(uuid)",
    "COMMENT ON TABLE app.users IS 'x'",
    "TRUNCATE app.audit_log",
    "SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
    "SELECT pg_switch_wal()",
    "SELECT pg_stat_reset()",
)
LOCKS = (
    "SELECT pg_try_advisory_lock(31662951231349879)",  # the migration runner's
    "SELECT pg_advisory_lock(7341, 1)",
    "SELECT pg_try_advisory_xact_lock(7341, 1)",
    "SELECT pg_advisory_xact_lock_shared(7341, 1)",
    "SELECT pg_advisory_unlock_all()",
    "LOCK TABLE app.change_states",
    "LOCK TABLE app.guidance_publications IN ACCESS SHARE MODE",
    "LOCK TABLE read.changes IN ACCESS EXCLUSIVE MODE",
    "LOCK TABLE read.publications IN SHARE MODE",
    "SELECT change_id FROM read.changes FOR UPDATE",
)
WRITES = (
    "UPDATE read.users SET role = 'admin'",
    "UPDATE read.config SET value = 'false' WHERE key = 'frozen'",
    "UPDATE read.segments SET criteria = '{{}}'",
    "DELETE FROM read.sessions",
    "DELETE FROM read.audit",
    "INSERT INTO read.segments (key) VALUES ('mine')",
    "INSERT INTO app.approval_decisions (request_id, decision, content_hash, act) VALUES (1, 'approve', '\\x', gen_random_uuid())",
    "UPDATE app.approval_requests SET state = 'approved'",
    "UPDATE app.users SET role = 'admin'",
    "UPDATE app.users SET must_change_password = false",
    "COPY app.users TO STDOUT",
    "COPY app.audit_log FROM STDIN",
)
CALLS = (
    "SELECT app.write_audit('x', 'x', 'x')",
    "SELECT app.hint('x', 1, 1)",
    "SELECT app.done(gen_random_uuid(), 'x', 'x', 1, 1, 'x')",
    "SELECT app.begin_act(gen_random_uuid(), 'x', 'viewer', 'x', 'x')",
    "SELECT app.store_user('{me}', 'admin', NULL, NULL, NULL, false)",
    "SELECT app.set_user_state('{me}', 'admin', 'active', false)",
    "SELECT app.find_user('{me}')",
    "SELECT app.freeze('x')",
    "SELECT app.withdraw(1)",
    "SELECT app.release_publication(1)",
    "SELECT app.finish_publication(1)",
    "SELECT app.record_audience(1, 1, 0, NULL)",
    "SELECT app.recount()",
    "SELECT app.rls_off()",
    "SELECT app.switch_rls(false)",
    "SELECT app.secure_database()",
    "SELECT app.my_documents()",
    "SELECT app.content_in_scope('x')",
    "SELECT app.pw_now()",
)
SECRETS = (
    "SELECT rolpassword FROM pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM pg_statistic",
    "SELECT * FROM pg_largeobject",
    "SELECT * FROM pg_user_mapping",
    "SELECT * FROM pg_backend_memory_contexts",
    "SELECT pg_stat_statements_reset()",
)


@pytest.mark.parametrize("person", ROLES)
@pytest.mark.parametrize(
    "kind", ["role changes", "settings", "files", "making", "locks", "writes", "calls", "secrets"]
)
def test_postgresql_denies(world: World, person: str, kind: str) -> None:
    statements = {
        "role changes": ROLE_CHANGES,
        "settings": SETTINGS,
        "files": FILES,
        "making": MAKING,
        "locks": LOCKS,
        "writes": WRITES,
        "calls": CALLS,
        "secrets": SECRETS,
    }[kind]
    names = {"me": world.name(person), "second": world.name("second"), "database": world.database.name}
    before = world.fingerprint()
    passed = list[tuple[str, str]]()
    with world.connected(person) as connection:
        for statement in statements:
            text = (
                statement.replace("{{}}", "\0").format(**names).replace("\0", "{}")
                if "$$" not in statement
                else statement
            )
            state = attempt(connection, text)
            if state not in DENIED and not _absent(world, statement, state):
                passed.append((text, state))
    tried(world, person, kind, len(statements))
    assert passed == []
    assert world.fingerprint() == before


def _absent(world: World, statement: str, state: str) -> bool:
    """What this server does not have cannot be attacked there."""
    if "pg_stat_statements" in statement:
        return state == "42883" and not world.value(
            "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')"
        )
    if "dblink" in statement:
        return state in {"0A000", "58P01"}
    # names that are reserved or taken are refused before the right is asked for
    return statement in {"ALTER ROLE {me} RENAME TO pw_root"} and state == "0A000"


@pytest.mark.parametrize("person", ROLES)
def test_no_table_sequence_or_chunk_can_be_touched(world: World, person: str) -> None:
    relations = world.database.run(
        "SELECT c.oid::regclass::text AS name, c.relkind AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN ('app', '_timescaledb_internal') AND c.relkind IN ('r', 'p', 'v', 'S')"
    )
    passed = list[str]()
    with world.connected(person) as connection:
        for relation in relations:
            statements = (
                [f"SELECT nextval('{relation['name']}')", f"SELECT last_value FROM {relation['name']}"]
                if relation["kind"] == "S"
                else [
                    f"SELECT * FROM {relation['name']} LIMIT 1",
                    f"INSERT INTO {relation['name']} DEFAULT VALUES",
                    f"DELETE FROM {relation['name']}",
                    f"TRUNCATE {relation['name']}",
                ]
            )
            passed += [s for s in statements if attempt(connection, s) not in DENIED]
            tried(world, person, "tables", len(statements))
    assert len(relations) > 40
    assert passed == []


@pytest.mark.parametrize("person", ROLES)
def test_neither_the_daemon_nor_a_colleague_can_be_ended(world: World, person: str) -> None:
    with (
        world.connected("daemon") as daemon,
        world.connected("second") as second,
        world.connected(person) as me,
    ):
        for victim in (daemon, second):
            pid = victim.info.backend_pid
            for function in ("pg_terminate_backend", "pg_cancel_backend"):
                assert attempt(me, f"SELECT {function}({pid})") in DENIED
                tried(world, person, "ending others")
            assert victim.execute("SELECT 1 AS alive").fetchone() == {"alive": 1}


@pytest.mark.parametrize("person", ROLES)
def test_what_others_are_doing_is_not_told(world: World, person: str) -> None:
    with world.connected("daemon") as daemon, world.connected(person) as me:
        daemon.execute("SELECT 'a secret word'")
        seen = me.execute(
            "SELECT query, client_addr FROM pg_stat_activity WHERE usename <> session_user AND query IS NOT NULL"
        ).fetchall()
        assert {row["query"] for row in seen} <= {"<insufficient privilege>", ""}
        assert me.execute("SELECT count(*) AS n FROM pg_stats WHERE schemaname = 'app'").fetchone() == {
            "n": 0
        }
        if attempt(me, "SELECT 1 FROM pg_stat_statements LIMIT 1") == "":
            texts = me.execute(
                "SELECT DISTINCT query FROM pg_stat_statements WHERE userid <> session_user::regrole"
            ).fetchall()
            assert {row["query"] for row in texts} <= {"<insufficient privilege>"}
    tried(world, person, "watching", 3)


@pytest.mark.parametrize("person", ROLES)
def test_background_jobs_cannot_be_made(world: World, person: str) -> None:
    """Only where TimescaleDB is installed is there anything to attack; elsewhere the functions are not there."""
    with world.connected(person) as me:
        for call_ in (
            "add_job('pg_sleep'::regproc, '1 s')",
            "alter_job(1)",
            "drop_chunks('app.audit_log'::regclass)",
        ):
            assert attempt(me, f"SELECT {call_}") in {*DENIED, "42883"}
            tried(world, person, "jobs")


@pytest.mark.parametrize("person", ROLES)
def test_function_bodies_tell_no_secret(world: World, person: str) -> None:
    verifiers = world.database.run("SELECT rolpassword AS word FROM pg_authid WHERE rolpassword IS NOT NULL")
    install = world.value("SELECT value #>> '{}' FROM app.system_config WHERE key = 'install_id'")
    with world.connected(person) as me:
        text = me.execute(
            "SELECT string_agg(p.prosrc, '') || (SELECT string_agg(definition, '') FROM pg_views WHERE schemaname IN ('read', 'app'))"
            " AS text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('app', 'act', 'read')"
        ).fetchone()
    assert text is not None
    assert [v for v in verifiers if v["word"] in text["text"]] == []
    assert install not in text["text"]
    tried(world, person, "reading bodies")


# What cannot be prevented, and changes nothing ------------------------------------------------------


@pytest.mark.parametrize("person", ROLES)
def test_settings_of_ones_own_and_hints_change_nothing(world: World, person: str) -> None:
    before = world.fingerprint()
    with world.connected(person) as me:
        for statement in (
            "SET application_name = 'policywatchd'",
            "SET search_path = pg_temp, app, public",
            "SET work_mem = '1GB'",
            "SET statement_timeout = 0",
            "SET idle_in_transaction_session_timeout = 0",
            "SET policywatch.session = '00000000-0000-0000-0000-000000000000'",
            "SET CONSTRAINTS ALL IMMEDIATE",
            "LISTEN policywatch",
            "NOTIFY policywatch, 'publication:1:1'",
            "NOTIFY policywatch, '; DROP TABLE app.users'",
            "SELECT pg_notify('policywatch', 'config:0:0')",
        ):
            me.execute(statement.encode())
            tried(world, person, "own settings")
        # and under all of that the answers are the same
        answer = call(me, "user_role", world.name("viewer"), "admin")
        assert (answer["ok"], answer["code"]) == (False, "PW403")
    assert world.fingerprint() == before


@pytest.mark.parametrize("person", ROLES)
def test_anothers_session_cannot_be_worn_beaten_closed_or_seen(world: World, person: str) -> None:
    with world.connected("second") as second:
        opened = call(second, "open_session", "desk", "theirs", id_="11111111-1111-4111-8111-111111111111")
        assert opened["ok"]
    theirs = "11111111-1111-4111-8111-111111111111"
    before = world.refusals(person)
    with world.connected(person) as me:
        me.execute(sql.SQL("SET policywatch.session = {}").format(sql.Literal(theirs)))
        assert call(me, "user_role", world.name("viewer"), "admin")["code"] == "PW403"
        assert not call(me, "open_session", "desk", "mine", id_=theirs)["ok"]
        for function in ("beat_session", "close_session"):
            statement = sql.SQL("SELECT act.{}({}) AS done").format(
                sql.Identifier(function), sql.Literal(theirs)
            )
            assert me.execute(statement).fetchone() == {"done": False}
        seen = me.execute("SELECT user_name FROM read.sessions").fetchall()
        # a value in an error message would tell what the barrier hides
        with pytest.raises(errors.Error) as leak:
            me.execute(
                "SELECT count(*) FROM read.sessions WHERE id::text::integer > 0 OR user_name::integer > 0"
            )
            raise errors.DataException("nothing to read")
    assert world.name("second") not in str(leak.value)
    assert {row["user_name"] for row in seen} <= {world.name(person)}
    assert world.refusals(person) == before + 2
    worn = world.value(
        "SELECT count(*) FROM app.audit_log WHERE actor <> %s AND session_id = %s",
        world.name("second"),
        theirs,
    )
    assert worn == 0
    assert world.value("SELECT ended_at FROM app.user_sessions WHERE id = %s", theirs) is None
    tried(world, person, "sessions", 5)


# Acts -----------------------------------------------------------------------------------------------

Maker = Callable[[World], tuple[Any, ...]]


def _ids(world: World, platform: str = OURS) -> dict[str, int]:
    return world.ids[platform]


# act -> role that it needs, arguments that would succeed for somebody who may
ACTS: dict[str, tuple[str, Maker]] = {
    "decide_change": ("reviewer", lambda w: (_ids(w)["change"], 1, "accepted", None)),
    "undo_verdict": ("reviewer", lambda w: (_ids(w)["accepted"], 2)),
    "set_severity": ("reviewer", lambda w: (_ids(w)["change"], 1, "low", "why")),
    "snooze_change": ("reviewer", lambda w: (_ids(w)["change"], 1, "2100-01-01T00:00:00Z")),
    "take_change": ("reviewer", lambda w: (_ids(w)["change"], 15)),
    "release_change": ("reviewer", lambda w: (_ids(w)["change"],)),
    "request_visit": ("reviewer", lambda _w: (OURS, "terms")),
    "ack_alert": ("reviewer", lambda w: (_ids(w)["alert"],)),
    "create_draft": ("editor", lambda w: ("t", "s", "b", "", [_ids(w)["accepted"]])),
    "revise_draft": ("editor", lambda w: (_ids(w)["open"], 1, "s", "b", "")),
    "close_draft": ("editor", lambda w: (_ids(w)["open"], 1)),
    "submit_draft": ("editor", lambda w: (_ids(w)["open"], 1, "all")),
    "withdraw_publication": ("editor", lambda w: (_ids(w)["publication"], 1)),
    "pause_publication": ("editor", lambda w: (_ids(w)["publication"], "why")),
    "stop_publication": ("editor", lambda w: (_ids(w)["publication"],)),
    "freeze_system": ("editor", lambda _w: ("why",)),
    "pause_document": ("editor", lambda _w: (OURS, "terms", "why")),
    "accept_capture": ("editor", lambda w: (_ids(w)["capture"],)),
    "request_trial": ("editor", lambda _w: (OURS, "terms")),
    "request_reextract": ("editor", lambda _w: (OURS, "terms")),
    "request_preview": ("editor", lambda _w: (OURS, "terms", '{"add_filters": []}')),
    "approve_request": (
        "approver",
        lambda w: (_ids(w)["asked_approval"], 2, w.hashes[_ids(w)["asked_approval"]], 3),
    ),
    "return_request": ("approver", lambda w: (_ids(w)["asked_approval"], 2, "why")),
    "resume_publication": ("approver", lambda w: (_ids(w)["publication"], 1)),
    "thaw_system": ("approver", lambda _w: ()),
    "user_add": ("admin", lambda w: (f"{w.name('new')}", "admin")),
    "user_role": ("admin", lambda w: (w.name("viewer"), "admin")),
    "user_disable": ("admin", lambda w: (w.name("second"),)),
    "end_session": ("admin", lambda w: (None, w.name("second"))),
    "set_credential": ("admin", lambda _w: (OURS, "token", "value", "ab" * 32, 1, b"check")),
    "test_credential": ("admin", lambda _w: (OURS, "token", "ab" * 32, 1)),
    "remove_credential": ("admin", lambda _w: (OURS, "token")),
    "begin_key_rotation": ("admin", lambda _w: (1, b"old", 2, b"new")),
    "rotate_credentials": ("admin", lambda _w: ([1], ["ab" * 32], ["cd" * 32])),
}


def refused(
    world: World, person: str, act: str, *values: Any, code: str | None = None, id_: Any = ""
) -> dict[str, Any]:
    """The act is refused, changes nothing, and its audit row is there."""
    before, audited = world.fingerprint(), world.refusals(person)
    answer = world.act(person, act, *values, id_=id_)
    assert answer["ok"] is False, (person, act, values, answer)
    assert answer["code"] == code or (code is None and answer["code"] in {"PW403", "PW409", "PW422"}), (
        act,
        answer,
    )
    assert answer["sentence"]
    assert world.refusals(person) == audited + 1, (person, act)
    assert world.fingerprint() == before, (person, act)
    tried(world, person, "acts")
    return answer


def test_every_act_is_in_the_list_of_those_that_are_tried(world: World) -> None:
    there = {
        row["name"]
        for row in world.database.run(
            "SELECT proname AS name FROM pg_proc WHERE pronamespace = 'act'::regnamespace"
        )
    }
    assert there == {*ACTS, "open_session", "beat_session", "close_session", "user_password"}


@pytest.mark.parametrize("person", ROLES)
def test_acts_above_ones_role_are_refused(world: World, person: str) -> None:
    for act, (needed, values) in ACTS.items():
        if RANK[person] < RANK[needed]:
            refused(world, person, act, *values(world), code="PW403")


@pytest.mark.parametrize("act", ACTS)
def test_nobody_acts_before_the_one_time_password_is_changed_nor_when_disabled_or_unknown(
    world: World, act: str
) -> None:
    values = ACTS[act][1](world)
    for person in ("fresh", "gone", "stray", "auditor"):
        refused(world, person, act, *values, code="PW403")


@pytest.mark.parametrize("person", ("reviewer", "editor", "approver"))
def test_an_old_version_or_none_is_never_taken(world: World, person: str) -> None:
    change, open_ = _ids(world)["change"], _ids(world)["open"]
    for version in (0, 7, None):
        refused(world, person, "decide_change", change, version, "accepted", None, code="PW409")
        refused(world, person, "set_severity", change, version, "low", "why", code="PW409")
        refused(world, person, "snooze_change", change, version, "2100-01-01T00:00:00Z", code="PW409")
        if person != "reviewer":
            refused(world, person, "revise_draft", open_, version, "s", "b", "", code="PW409")
            refused(world, person, "submit_draft", open_, version, "all", code="PW409")
            refused(world, person, "close_draft", open_, version, code="PW409")


@pytest.mark.parametrize("person", ("reviewer", "editor", "approver"))
def test_the_id_of_anothers_act_gives_nothing(world: World, person: str) -> None:
    """Neither that act's answer nor a second go."""
    used = world.database.run(
        "SELECT id, action, result FROM app.acts WHERE actor = %s LIMIT 1", world.name("author")
    )[0]
    answer = refused(
        world,
        person,
        "decide_change",
        _ids(world)["change"],
        1,
        "accepted",
        None,
        code="PW422",
        id_=used["id"],
    )
    assert answer["id"] is None
    refused(
        world, person, "decide_change", _ids(world)["change"], 1, "accepted", None, code="PW422", id_=None
    )


def test_nobody_approves_what_they_wrote_edited_or_submitted(world: World) -> None:
    own, touched = _ids(world)["own_approval"], _ids(world)["touched_approval"]
    refused(world, "approver", "approve_request", own, 2, world.hashes[own], 3, code="PW403")
    refused(world, "approver", "approve_request", touched, 2, world.hashes[touched], 3, code="PW403")
    # an administrator is not exempt either
    made = world.must("boss", "create_draft", "t", "s", "b", "", [_ids(world)["accepted"]])["id"]
    asked = world.must("boss", "submit_draft", made, 1, "all")["id"]
    with world.connected("daemon") as daemon:
        daemon.execute("SELECT app.record_audience(%s, 3, 0, NULL)", [asked])
    hash_ = bytes(world.value("SELECT content_hash FROM app.approval_requests WHERE id = %s", asked))
    refused(world, "boss", "approve_request", asked, 2, hash_, 3, code="PW403")
    # nor by hand, as the owner of the tables: a decision is its session's own
    with pytest.raises(psycopg.errors.CheckViolation):
        world.database.run(
            "INSERT INTO app.approval_decisions (request_id, actor, decision, content_hash, count_seen, act)"
            " VALUES (%s, %s, 'approve', %s, 3, gen_random_uuid())",
            own,
            world.name("second"),
            world.hashes[own],
        )
    world.must("boss", "revise_draft", made, 2, "s", "b2", "")
    world.must("boss", "close_draft", made, 3)
    tried(world, "approver", "own guidance", 4)


def test_an_approval_holds_for_what_was_shown_and_nothing_else(world: World) -> None:
    asked = _ids(world)["asked_approval"]
    hash_ = world.hashes[asked]
    for version, shown, count in (
        (1, hash_, 3),
        (None, hash_, 3),
        (2, b"\0" * 32, 3),
        (2, None, 3),
        (2, hash_, 4),
        (2, hash_, None),
    ):
        refused(world, "approver", "approve_request", asked, version, shown, count, code="PW409")
    refused(world, "approver", "approve_request", NO_SUCH, 1, hash_, 3, code="PW422")
    refused(world, "approver", "return_request", asked, 2, "  ", code="PW422")


def test_an_edit_ends_a_question_and_a_given_approval(world: World) -> None:
    made = world.must("author", "create_draft", "t", "s", "b", "", [_ids(world)["accepted"]])["id"]
    asked = world.must("author", "submit_draft", made, 1, "all")["id"]
    with world.connected("daemon") as daemon:
        daemon.execute("SELECT app.record_audience(%s, 3, 0, NULL)", [asked])
    hash_ = bytes(world.value("SELECT content_hash FROM app.approval_requests WHERE id = %s", asked))
    world.must("editor", "revise_draft", made, 2, "s", "another text", "")
    refused(world, "approver", "approve_request", asked, 3, hash_, 3, code="PW422")
    # and after the yes, in the grace period
    again = world.must("author", "submit_draft", made, 3, "all")["id"]
    with world.connected("daemon") as daemon:
        daemon.execute("SELECT app.record_audience(%s, 3, 0, NULL)", [again])
    hash_ = bytes(world.value("SELECT content_hash FROM app.approval_requests WHERE id = %s", again))
    publication = world.must("approver", "approve_request", again, 2, hash_, 3)["id"]
    version = world.value("SELECT version FROM app.guidance_drafts WHERE id = %s", made)
    world.must("editor", "revise_draft", made, version, "s", "a third text", "")
    assert (
        world.value("SELECT state FROM app.guidance_publications WHERE id = %s", publication) == "withdrawn"
    )
    assert world.value("SELECT state FROM app.approval_requests WHERE id = %s", again) == "voided"
    refused(world, "approver", "approve_request", again, 3, hash_, 3, code="PW422")
    with world.connected("daemon") as daemon:
        daemon.execute("SELECT app.release_publication(%s)", [publication])
    assert (
        world.value("SELECT state FROM app.guidance_publications WHERE id = %s", publication) == "withdrawn"
    )


def test_administrators_make_people_and_nothing_more(world: World, server: Cluster) -> None:
    """CREATEROLE is behind three acts; whatever is no person's name or role is refused."""
    server_role = world.name("backupbot")
    if not world.value("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", server_role):
        server.administrate("CREATE ROLE {role} LOGIN", role=server_role)
        server.administrate("GRANT pg_read_all_data TO {role}", role=server_role)
    plain = "SCRAM-SHA-256$1:x"
    for name, role, more in (
        ("postgres", "viewer", ()),
        ("pg_mine", "viewer", ()),
        ("pw_owner", "admin", ()),
        ("pw_superuser", "admin", ()),
        ("public", "viewer", ()),
        ('x"; ALTER ROLE x SUPERUSER; --', "viewer", ()),
        ("Upper", "viewer", ()),
        ("", "viewer", ()),
        (None, "viewer", ()),
        (world.name("daemon"), "admin", ()),
        (server_role, "viewer", ()),
        (world.name("new"), "superuser", ()),
        (world.name("new"), "rolemaker", ()),
        (world.name("new"), "owner", ()),
        (world.name("new"), None, ()),
        (world.name("new"), "viewer", ("a password",)),
        (world.name("new"), "viewer", (plain,)),
        (world.name("new"), "viewer", ("SCRAM-SHA-256$4096:'; ALTER ROLE x SUPERUSER; --",)),
        (world.name("new"), "viewer", (None, None, None, ["nowhere"])),
        (world.name("second"), "viewer", ()),
    ):
        refused(world, "boss", "user_add", name, role, *more, code="PW422")
    for name, role in (
        (world.name("boss"), "viewer"),
        ("pw_owner", "admin"),
        (world.name("second"), "owner"),
        (world.name("second"), None),
    ):
        refused(world, "boss", "user_role", name, role, code="PW422")
    refused(world, "boss", "user_disable", world.name("boss"), code="PW422")
    refused(world, "boss", "user_password", "a password", code="PW422")
    with world.connected("boss") as boss:
        for statement in (*ROLE_CHANGES, *MAKING, *FILES, *SETTINGS):
            if statement == "SET ROLE pw_admin":
                continue  # it is one
            names = {
                "me": world.name("boss"),
                "second": world.name("second"),
                "database": world.database.name,
            }
            text = statement if "$$" in statement else statement.format(**names)
            state = attempt(boss, text)
            assert state in DENIED or _absent(world, statement, state), (text, state)
            tried(world, "admin", "direct")


def test_who_is_demoted_or_added_again_keeps_nothing_of_before(world: World) -> None:
    """Groups are the cluster's and may stay; what is read follows the row of this database."""
    name = world.name("shifting")
    world.logins["shifting"] = world.database.person("shifting", "admin")
    with world.connected("shifting") as was:
        assert was.execute("SELECT count(*) > 0 AS some FROM read.user_addresses").fetchone() == {
            "some": True
        }
    world.must("boss", "user_role", name, "viewer")
    world.database.cluster.administrate("GRANT pw_admin TO {role}", role=name)  # as if the group had stayed
    with world.connected("shifting") as now:
        for view in ("audit", "user_addresses"):
            assert now.execute(
                sql.SQL("SELECT count(*) AS n FROM read.{}").format(sql.Identifier(view))
            ).fetchone() == {"n": 0}
    world.must("boss", "user_disable", name)
    world.must("boss", "user_add", name, "reviewer", None, None, None, [OURS])
    assert world.value("SELECT cardinality(platforms) FROM app.users WHERE name = %s", name) == 1
    world.must("boss", "user_disable", name)


# Rows -----------------------------------------------------------------------------------------------

OPEN = {
    "api_files",
    "migrations",
}  # which schema this is: asked by a program before it knows who it works for
PRIVATE = {"audit", "user_addresses"}


def views(database: Scratch) -> list[str]:
    """Every view that people may meet."""
    return [
        row["name"]
        for row in database.run(
            "SELECT relname AS name FROM pg_class WHERE relnamespace = 'read'::regnamespace ORDER BY 1"
        )
    ]


@pytest.mark.parametrize("person", ("gone", "stray"))
def test_who_is_no_active_person_here_reads_nothing(world: World, person: str) -> None:
    with world.connected(person) as me:
        for view in views(world.database):
            statement = sql.SQL("SELECT count(*) AS n FROM read.{}").format(sql.Identifier(view))
            try:
                found = me.execute(statement).fetchone()
            except errors.InsufficientPrivilege:
                continue
            finally:
                tried(world, person, "views")
            assert view in OPEN or found == {"n": 0}, view


@pytest.mark.parametrize("person", ROLES)
def test_private_views_are_denied(world: World, person: str) -> None:
    with world.connected(person) as me:
        for view in PRIVATE:
            assert attempt(me, f"SELECT * FROM read.{view}") in DENIED
            tried(world, person, "views")
    with world.connected("auditor") as auditor:
        assert attempt(auditor, "SELECT * FROM read.user_addresses") in DENIED
        assert attempt(auditor, "SELECT * FROM read.audit LIMIT 1") == ""


def may_select(me: Connection, view: str) -> bool:
    """Whether this login has the right at all."""
    return me.execute("SELECT has_table_privilege('read.' || %s, 'SELECT') AS may", [view]).fetchone() == {
        "may": True
    }


def marked(me: Connection, view: str) -> int:
    """How many rows of a view carry the other platform's mark, as text or as bytes."""
    statement = (
        f"SELECT count(*) AS n FROM read.{view} t WHERE t::text ~ '{MARK}|{THEIRS}|{MARK.encode().hex()}'"
    )
    row = me.execute(statement.encode()).fetchone()
    assert row is not None
    return int(row["n"])


@pytest.mark.parametrize("person", ROLES)
def test_a_scope_holds_in_every_view_where_it_is_switched_on(world: World, person: str) -> None:
    forbidden = dict[str, int]()
    with world.connected(person) as me:
        for view in views(world.database):
            if not may_select(me, view):
                continue
            found = marked(me, view)
            tried(world, person, "scope of views")
            if found:
                forbidden[view] = found
        own = me.execute("SELECT count(*) AS n FROM read.changes").fetchone()
    assert own == {"n": 3 if world.rls else 6}
    if world.rls:
        assert forbidden == {}
    else:  # the same marks are there to be found
        assert len(forbidden) >= 15


@pytest.mark.parametrize("person", ROLES)
def test_ways_around_a_scope_show_nothing_of_it(world: World, person: str) -> None:
    if not world.rls:  # there is no scope to get around
        return
    ids = world.ids[THEIRS]
    with world.connected(person) as me:
        # row_security off: an error, not more rows
        assert attempt(me, "SET LOCAL row_security = off; SELECT 1") == ""
        me.execute("SET row_security = off")
        with pytest.raises(psycopg.Error):
            me.execute("SELECT * FROM read.changes")
        me.execute("RESET row_security")
        # errors that would name a hidden value
        for view, column in (
            ("changes", "platform"),
            ("documents", "document_name"),
            ("drafts", "title"),
            ("platform_status", "platform"),
        ):
            with pytest.raises(psycopg.Error) as leak:
                me.execute(f"SELECT count(*) FROM read.{view} WHERE {column}::integer > 0".encode())
            assert MARK not in str(leak.value)
            assert THEIRS not in str(leak.value)
        # by id, by hash, by search, in a plan
        for statement in (
            f"SELECT * FROM read.change_passages WHERE change_id = {ids['change']}",
            f"SELECT * FROM read.change_history WHERE change_id = {ids['accepted']}",
            f"SELECT * FROM read.snapshots WHERE document_id = {ids['document']}",
            f"SELECT * FROM read.contents WHERE sha256 = sha256('{MARK} after')",
            f"SELECT * FROM read.draft_revisions WHERE draft_id = {ids['open']}",
            f"SELECT * FROM read.draft_evidence WHERE draft_id = {ids['open']}",
            f"SELECT * FROM read.approvals WHERE id = {ids['asked_approval']}",
            f"SELECT * FROM read.publications WHERE id = {ids['publication']}",
            f"SELECT * FROM read.guidance_metrics WHERE publication_id = {ids['publication']}",
            f"SELECT * FROM read.alerts WHERE id = {ids['alert']}",
            f"SELECT * FROM read.document_search WHERE words @@ '{MARK}'::tsquery",
        ):
            assert me.execute(statement.encode()).fetchall() == [], statement
            tried(world, person, "around a scope")
        plan = me.execute(
            f"EXPLAIN ANALYZE SELECT * FROM read.changes WHERE document_name LIKE '%{MARK}%'".encode()
        )
        assert THEIRS not in " ".join(str(row) for row in plan.fetchall())
    tried(world, person, "around a scope", 7)


# acts on things of the other platform, and the same on things that are not there
BEYOND: dict[str, tuple[str, Callable[[dict[str, int]], tuple[Any, ...]]]] = {
    "decide_change": ("reviewer", lambda i: (i["change"], 1, "accepted", None)),
    "undo_verdict": ("reviewer", lambda i: (i["accepted"], 2)),
    "set_severity": ("reviewer", lambda i: (i["change"], 1, "low", "why")),
    "snooze_change": ("reviewer", lambda i: (i["change"], 1, "2100-01-01T00:00:00Z")),
    "take_change": ("reviewer", lambda i: (i["change"], 15)),
    "release_change": ("reviewer", lambda i: (i["change"],)),
    "ack_alert": ("reviewer", lambda i: (i["alert"],)),
    "create_draft": ("editor", lambda i: ("t", "s", "b", "", [i["accepted"]])),
    "revise_draft": ("editor", lambda i: (i["open"], 1, "s", "b", "")),
    "close_draft": ("editor", lambda i: (i["open"], 1)),
    "submit_draft": ("editor", lambda i: (i["open"], 1, "all")),
    "accept_capture": ("editor", lambda i: (i["capture"],)),
    "withdraw_publication": ("editor", lambda i: (i["publication"], 1)),
    "pause_publication": ("editor", lambda i: (i["publication"], "why")),
    "stop_publication": ("editor", lambda i: (i["publication"],)),
    "approve_request": ("approver", lambda i: (i["asked_approval"], 2, b"\0" * 32, 3)),
    "return_request": ("approver", lambda i: (i["asked_approval"], 2, "why")),
    "resume_publication": ("approver", lambda i: (i["publication"], 1)),
}


@pytest.mark.parametrize("person", ("reviewer", "editor", "approver"))
def test_what_is_beyond_ones_scope_is_answered_as_if_it_were_not_there(world: World, person: str) -> None:
    if not world.rls:  # the scope is not applied
        return
    nothing = dict.fromkeys(world.ids[THEIRS], NO_SUCH)
    for act, (needed, values) in BEYOND.items():
        if RANK[person] < RANK[needed]:
            continue
        theirs = refused(world, person, act, *values(world.ids[THEIRS]))
        absent = refused(world, person, act, *values(nothing))
        assert theirs["code"] == absent["code"], act
        assert theirs["version"] is None, act
        words = str(theirs["sentence"])
        for number in set(world.ids[THEIRS].values()):
            words = (
                words.replace(f"-{number} ", f"-{NO_SUCH} ")
                .replace(f"-{number}.", f"-{NO_SUCH}.")
                .replace(f"t {number} ", f"t {NO_SUCH} ")
                .replace(f"capture {number}.", f"capture {NO_SUCH}.")
            )
        assert words == absent["sentence"], act
    for platform in (THEIRS, "nowhere"):
        refused(world, person, "request_visit", platform, "terms", code="PW422")
        if person != "reviewer":
            refused(world, person, "pause_document", platform, "terms", "why", code="PW422")
            refused(world, person, "request_trial", platform, "terms", code="PW422")
            refused(world, person, "request_reextract", platform, "terms", code="PW422")
            refused(world, person, "request_preview", platform, "terms", "{}", code="PW422")


def test_a_visit_to_all_asks_for_the_platforms_of_the_scope(world: World) -> None:
    made = world.must("reviewer", "request_visit")["id"]
    asked = world.value("SELECT arguments ->> 'platform' FROM app.requests WHERE id = %s", made)
    assert asked == (OURS if world.rls else None)


def test_a_limited_administrator_and_approver_do_not_reach_beyond_their_platforms(world: World) -> None:
    if not world.rls:  # the scope is not applied
        return
    refused(world, "smalladmin", "user_add", world.name("new"), "admin", code="PW403")
    refused(world, "smalladmin", "user_role", world.name("viewer"), "approver", code="PW403")
    refused(world, "smalladmin", "user_disable", world.name("second"), code="PW403")
    refused(world, "approver", "thaw_system", code="PW403")


def test_who_is_not_limited_and_the_daemon_work_as_before(world: World) -> None:
    with world.connected("author") as author, world.connected("daemon") as daemon:
        assert marked(author, "changes") == 3
        counted = daemon.execute("SELECT count(*) AS n FROM app.change_states").fetchone()
        assert counted == {"n": 6}
        # the daemon's steps reach every platform
        daemon.execute("SELECT app.release_publication(%s)", [world.ids[THEIRS]["publication"]])
    with world.connected("author") as author:
        answer = call(author, "take_change", world.ids[THEIRS]["other"], 15)
        assert answer["ok"], answer
    world.must("author", "release_change", world.ids[THEIRS]["other"])


def test_the_daemon_neither_approves_nor_thaws_nor_lifts_a_scope(world: World) -> None:
    before = world.fingerprint()
    with world.connected("daemon") as daemon:
        for statement in (
            *(f"SELECT act.{act}(gen_random_uuid())" for act in ("thaw_system",)),
            "SELECT act.approve_request(gen_random_uuid(), 1, 1, '\\x', 1)",
            "INSERT INTO app.approval_decisions (request_id, decision, content_hash, act) VALUES (1, 'approve', '\\x', gen_random_uuid())",
            "UPDATE app.approval_requests SET state = 'approved'",
            "UPDATE app.change_states SET verdict = 'accepted'",
            "UPDATE app.users SET role = 'admin'",
            "INSERT INTO app.change_verdicts (change_id, act, kind, verdict, version) VALUES (1, gen_random_uuid(), 'verdict', 'accepted', 1)",
            "UPDATE app.system_config SET value = 'false' WHERE key = 'frozen'",
            "UPDATE app.system_config SET value = 'false' WHERE key = 'rls'",
            "INSERT INTO app.audit_log (action, leaf) VALUES ('x', '\\x')",
            "DELETE FROM app.audit_log",
            "SELECT app.rls_off()",
            "SET ROLE pw_owner",
        ):
            assert attempt(daemon, statement) in DENIED, statement
            tried(world, "daemon", "direct")
    assert world.fingerprint() == before
