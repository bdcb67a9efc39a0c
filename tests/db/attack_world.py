"""A database with something to steal: two platforms, people limited to one of them, guidance in every state.

Everything of the other platform carries MARK, so that whatever a view lets through is found by its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from policywatch.db.logins import verifier
from tests.databases import Scratch

MARK = "fbmark"
OURS, THEIRS = "x", "facebook"
ROLES = ("viewer", "reviewer", "editor", "approver")
RANK = {"auditor": 0, "viewer": 1, "reviewer": 2, "editor": 3, "approver": 4, "admin": 5}

Row = dict[str, Any]
Connection = psycopg.Connection[Row]

# What no attack may change. The audit log and app.acts grow with every refusal.
PROTECTED = (
    *(
        "platforms",
        "policy_documents",
        "document_pages",
        "change_states",
        "change_verdicts",
        "change_analyses",
    ),
    *("guidance_drafts", "draft_revisions", "draft_evidence", "approval_requests", "approval_decisions"),
    *("guidance_publications", "publication_recipients", "requests", "alerts", "users", "system_config"),
    *("member_segments", "suppressions"),
)


@dataclass
class World:
    """One scratch database in one mode. `ids` names rows by platform: change, accepted, open, asked, approval, grace."""

    database: Scratch
    rls: bool
    ids: dict[str, dict[str, int]] = field(default_factory=dict)
    hashes: dict[int, bytes] = field(default_factory=dict)
    logins: dict[str, str] = field(default_factory=dict)

    def name(self, person: str) -> str:
        """The login of a person."""
        return self.database.login_name({"boss": "admin"}.get(person, person))

    @contextmanager
    def connected(self, person: str) -> Iterator[Connection]:
        """A plain connection as this person, autocommit."""
        with psycopg.connect(self.logins[person], autocommit=True, row_factory=dict_row) as connection:
            yield connection

    def act(self, person: str, act: str, *values: Any, id_: Any = "") -> Row:
        """One act as this person, with a new id unless one is given."""
        with self.connected(person) as connection:
            return call(connection, act, *values, id_=id_)

    def must(self, person: str, act: str, *values: Any) -> Row:
        """An act that is to succeed."""
        answer = self.act(person, act, *values)
        assert answer["ok"], (act, answer)
        return answer

    def value(self, statement: str, *values: Any) -> Any:
        """One value, as the superuser."""
        rows = self.database.run(statement, *values)
        return next(iter(rows[0].values())) if rows else None

    def fingerprint(self) -> str:
        """Of all that no attack may change."""
        parts = " || ".join(
            f"(SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM app.{name} t)"
            for name in PROTECTED
        )
        roles = (
            "(SELECT md5(string_agg(r::text, '|' ORDER BY r.rolname)) FROM pg_authid r WHERE rolname NOT LIKE 'pwt\\_%')"
            " || (SELECT md5(string_agg(m.roleid::text || m.member, '|' ORDER BY m.roleid, m.member)) FROM pg_auth_members m)"
        )
        return str(self.value(f"SELECT {parts} || {roles}"))

    def refusals(self, person: str) -> int:
        """Audit rows of refused acts of this person."""
        return int(
            self.value(
                "SELECT count(*) FROM app.audit_log WHERE actor = %s AND outcome = 'refused'",
                self.name(person),
            )
        )


def call(connection: Connection, act: str, *values: Any, id_: Any = "") -> Row:
    """`act.<act>(id, values...)` by position."""
    holders = sql.SQL(", ").join([sql.Placeholder()] * (len(values) + 1))
    statement = sql.SQL("SELECT * FROM act.{}({})").format(sql.Identifier(act), holders)
    row = connection.execute(statement, [uuid4() if id_ == "" else id_, *values]).fetchone()
    assert row is not None
    return row


def furnish(database: Scratch, *, rls: bool) -> World:
    """People and rows; row-level security is switched on at the end."""
    world = World(database, rls)
    world.logins["boss"] = database.admin
    for role in ROLES:
        world.logins[role] = database.person(role, role, platforms=[OURS], mail=f"{role}@newsroom.test")
    world.logins["author"] = database.person("author", "editor")
    world.logins["second"] = database.person("second", "approver")
    world.logins["gone"] = database.person("gone", "approver")
    world.logins["auditor"] = database.person("auditor", "auditor")
    world.logins["smalladmin"] = database.person("smalladmin", "admin", platforms=[OURS])
    world.logins["fresh"] = _one_time(world)
    world.logins["daemon"] = database.daemon
    world.logins["stray"] = _stray(world)
    for platform in (OURS, THEIRS):
        _platform(world, platform)
    world.must("boss", "user_disable", world.name("gone"))
    if rls:
        database.run("SELECT app.rls_on()")
    return world


def _one_time(world: World) -> str:
    login = world.name("fresh")
    password = world.database.cluster.password(login)
    world.must("boss", "user_add", login, "approver", verifier(login, password), None, None, None, True)
    world.database.run("UPDATE app.users SET must_change_password = true WHERE name = %s", login)
    return world.database.cluster.login(login, world.database.name)


def _stray(world: World) -> str:
    """A login of the cluster in a group of ours, that this database does not know."""
    cluster, login = world.database.cluster, world.name("stray")
    if not world.value("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", login):
        cluster.administrate("CREATE ROLE {role} LOGIN", role=login)
        cluster.administrate("GRANT pw_approver, pw_admin, pw_auditor TO {role}", role=login)
        with cluster.connect() as connection:
            made = verifier(login, cluster.password(login))
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(login), sql.Literal(made))
            )
    return cluster.login(login, world.database.name)


def _platform(world: World, platform: str) -> None:
    mark = MARK if platform == THEIRS else "ours"
    database = world.database
    document = world.value(
        "INSERT INTO app.policy_documents (platform_id, key, name) SELECT id, 'terms', %s FROM app.platforms WHERE key = %s"
        " RETURNING id",
        f"Terms {mark}",
        platform,
    )
    for word in ("before", "after"):
        database.run(
            "INSERT INTO app.contents (sha256, raw_len, payload) VALUES (sha256(%s), %s, %s)",
            *(f"{mark} {word}".encode(), len(f"{mark} {word}"), f"{mark} {word}".encode()),
        )
    rule = world.value(
        "INSERT INTO app.extraction_rules (hash, definition) VALUES (sha256(%s), '{}') RETURNING id",
        mark.encode(),
    )
    page = world.value(
        "INSERT INTO app.document_pages (document_id, position, url, rule_id) VALUES (%s, 0, %s, %s) RETURNING id",
        document,
        f"https://{mark}.test/terms",
        rule,
    )
    database.run(
        "INSERT INTO app.captures (document_id, page_id, fence, state, rule_id, raw_sha256, text_sha256)"
        " SELECT %s, %s, 1, 'good', %s, h, h FROM sha256(%s) h",
        document,
        page,
        rule,
        f"{mark} after".encode(),
    )
    suspect = world.value(
        "INSERT INTO app.captures (document_id, page_id, fence, state, cause, rule_id, text_sha256)"
        " SELECT %s, %s, 2, 'suspect', 'a wall', %s, sha256(%s) RETURNING id",
        document,
        page,
        rule,
        f"{mark} after".encode(),
    )
    world.value(
        "UPDATE app.document_pages SET suspects = 2, suspect_capture = %s WHERE id = %s RETURNING id",
        suspect,
        page,
    )
    ids = {
        "document": document,
        "capture": suspect,
        "change": _change(world, document, mark),
        "other": _change(world, document, mark),
    }
    accepted = ids["accepted"] = _change(world, document, mark, severity="critical")
    world.must("boss", "decide_change", accepted, 1, "accepted", f"note {mark}")
    quote = _evidence(accepted, mark)
    for word in ("open", "asked", "grace", "own", "touched"):
        who = "approver" if word == "own" else "author"
        made = ids[word] = world.must(
            who, "create_draft", f"{word} {mark}", f"subject {mark}", f"text {mark}", "", [accepted], quote
        )["id"]
        if word == "touched":
            world.must("approver", "revise_draft", made, 1, f"subject {mark}", f"text 2 {mark}", "")
        if word != "open":
            version = world.value("SELECT version FROM app.guidance_drafts WHERE id = %s", made)
            approval = world.must(who, "submit_draft", made, version, "all")["id"]
            with world.connected("daemon") as daemon:
                daemon.execute("SELECT app.record_audience(%s, 3, 0, NULL)", [approval])
            ids[f"{word}_approval"] = approval
            world.hashes[approval] = bytes(
                world.value("SELECT content_hash FROM app.approval_requests WHERE id = %s", approval)
            )
    ids["publication"] = world.must(
        "second", "approve_request", ids["grace_approval"], 2, world.hashes[ids["grace_approval"]], 3
    )["id"]
    ids["alert"] = world.value(
        "INSERT INTO app.alerts (kind, subject, sentence) VALUES ('document_failing', %s, %s) RETURNING id",
        f"{platform}/terms",
        f"{mark} fails",
    )
    database.run(
        "INSERT INTO app.document_search (document_id, snapshot_id, words) SELECT %s, min(id), to_tsvector(%s) FROM app.snapshot_keys"
        " WHERE document_id = %s",
        document,
        mark,
        document,
    )
    world.must("author", "request_visit", platform, "terms")
    world.ids[platform] = ids


def _evidence(change: int, mark: str) -> str:
    return f'[{{"change": {change}, "passage": 0, "side": "+", "quote": "{mark} after"}}]'


def _change(world: World, document: int, mark: str, severity: str = "high") -> int:
    """A queued change with two snapshots, texts and an analysis."""
    with psycopg.connect(world.database.superuser, autocommit=True, row_factory=dict_row) as connection:
        made = connection.execute(
            """WITH k AS (INSERT INTO app.snapshot_keys (document_id, fetched_at) VALUES (%(d)s, now()) RETURNING id),
             b AS (INSERT INTO app.snapshot_keys (document_id, fetched_at) VALUES (%(d)s, now()) RETURNING id),
             s AS (INSERT INTO app.policy_snapshots (id, fetched_at, document_id, source, kind, text_sha256, reader_hash, link_hash)
                   SELECT id, now(), %(d)s, 'platform', 'first', sha256(%(before)s), ''::bytea, ''::bytea FROM k
                   UNION ALL SELECT id, now(), %(d)s, 'platform', 'first', sha256(%(after)s), ''::bytea, ''::bytea FROM b),
             c AS (INSERT INTO app.change_states (document_id, detected_at, status, machine_severity, severity)
                   VALUES (%(d)s, now(), 'queued', %(severity)s::text, %(severity)s::text) RETURNING change_id),
             p AS (INSERT INTO app.policy_changes (id, detected_at, document_id, before_snapshot, after_snapshot, before_sha256,
                     after_sha256, before_at, after_at, passages, engine)
                   SELECT change_id, now(), %(d)s, k.id, b.id, sha256(%(before)s), sha256(%(after)s), now(), now(),
                     jsonb_build_array(jsonb_build_object('kind', 'reworded', 'section', '[]'::jsonb, 'before', %(mark)s::text || ' before',
                       'after', %(mark)s::text || ' after', 'before_spans', '[]'::jsonb, 'after_spans', '[]'::jsonb)), 'tests'
                   FROM c, k, b),
             a AS (INSERT INTO app.change_analyses (change_id, engine, change_type, severity, confidence, notify, summary, effective_date)
                   SELECT change_id, 'tests', 'other', %(severity)s::text, 1, true, %(mark)s::text || ' summary', current_date + 30 FROM c)
           SELECT change_id FROM c""",
            {
                "d": document,
                "severity": severity,
                "mark": mark,
                "before": f"{mark} before".encode(),
                "after": f"{mark} after".encode(),
            },
        ).fetchone()
    assert made is not None
    return int(made["change_id"])
