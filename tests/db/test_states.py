"""Drafts, approvals and publications are walked at random, by acts and by direct SQL as superuser at once.

What design 6 forbids is looked for after each step with questions of its own, not with the triggers' ones. Direct
SQL means rows: whoever switches triggers off or rewrites the schema is not stopped by tables, but by the audit.

Long on purpose: a walk's steps, the questions after each and the states they speak of belong side by side.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from psycopg import sql
from psycopg.rows import dict_row

from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

SECONDS = 14.0
PEOPLE = ("ann", "bob", "cyd", "dan")
ROLES = {"ann": "editor", "bob": "approver", "cyd": "approver", "dan": "admin"}
FINAL = {
    "approval_requests": {"returned", "expired", "voided"},
    "guidance_publications": {"withdrawn", "lapsed", "stopped", "sent"},
    "publication_recipients": {"sent", "failed", "suppressed", "cancelled"},
    "guidance_drafts": {"closed"},
}
STATES = {
    "guidance_drafts": ("open", "submitted", "approved", "closed"),
    "approval_requests": ("pending", "approved", "returned", "expired", "voided"),
    "guidance_publications": ("grace", "releasing", "paused", "sent", "withdrawn", "lapsed", "stopped"),
    "publication_recipients": (
        "queued",
        "claimed",
        "sending",
        "sent",
        "deferred",
        "uncertain",
        "failed",
        "cancelled",
    ),
}
# What a writer sets beside the state so that the row's own checks are content.
BESIDE = {
    "guidance_drafts": ("", ", revision = revision + 1", ", author = 'nobody'"),
    "approval_requests": (
        "",
        ", decided_at = app.pw_now()",
        ", decided_at = app.pw_now(), reason = 'so'",
        ", recipient_count = 3",
    ),
    "guidance_publications": (
        "",
        ", ended_at = app.pw_now(), ended_by = 'me'",
        ", released_at = '2000-01-01'",
        ", pause_reason = 'so', released_at = app.pw_now()",
        ", pause_reason = NULL",
        ", ended_at = app.pw_now(), ended_by = 'me', pause_reason = NULL, frozen_count = 1",
    ),
    "publication_recipients": (
        "",
        ", owner = 'me', claim = gen_random_uuid(), lease_until = app.pw_now()",
        ", sending_at = app.pw_now(), owner = 'me', claim = gen_random_uuid(), lease_until = app.pw_now()",
        ", sending_at = app.pw_now(), sent_at = app.pw_now()",
    ),
}
# Other writes by hand; {d}, {q}, {p} are a draft, an approval request and a publication.
BY_HAND = (
    "INSERT INTO app.approval_decisions (request_id, actor, decision, content_hash, count_seen, act)"
    " SELECT id, {who}, 'approve', content_hash, recipient_count, gen_random_uuid() FROM app.approval_requests WHERE id = {q}",
    "INSERT INTO app.draft_revisions (draft_id, number, editor, subject, body_text, content_hash)"
    " SELECT {d}, max(number) + 1, {who}, 's', 'by hand', '' FROM app.draft_revisions WHERE draft_id = {d}",
    "INSERT INTO app.approval_requests (draft_id, revision_id, content_hash, segment_id, segment_hash, approvals_needed, requested_by,"
    " recipient_count, expires_at) SELECT r.draft_id, r.id, r.content_hash, s.id, s.definition_hash, 1, {who}, 3, app.pw_now() + interval '1 day'"
    " FROM app.draft_revisions r, app.member_segments s WHERE r.draft_id = {d} AND s.key = 'all' ORDER BY r.id DESC LIMIT 1",
    "INSERT INTO app.guidance_publications (draft_id, revision_id, request_id, content_hash, segment_id, approved_count, approved_at,"
    " release_at, lapse_at) SELECT draft_id, revision_id, id, content_hash, segment_id, coalesce(recipient_count, 0), '2000-01-01',"
    " '2000-01-02', '2100-01-01' FROM app.approval_requests WHERE id = {q}",
    "INSERT INTO app.publication_recipients (publication_id, recipient_hash) VALUES ({p}, sha256('by hand'))",
    "UPDATE app.approval_requests SET content_hash = sha256('other') WHERE id = {q}",
    "UPDATE app.approval_requests SET recipient_count = 99 WHERE id = {q}",
    "UPDATE app.approval_requests SET approvals_needed = 1, expires_at = '2100-01-01' WHERE id = {q}",
    "UPDATE app.approval_requests SET requested_by = {who} WHERE id = {q}",
    "UPDATE app.approval_decisions SET actor = {who} WHERE request_id = {q}",
    "UPDATE app.draft_revisions SET editor = {who}, body_text = 'other' WHERE draft_id = {d}",
    "UPDATE app.guidance_drafts SET author = {who} WHERE id = {d}",
    "UPDATE app.guidance_drafts SET revision = 1 WHERE id = {d}",
    "UPDATE app.guidance_publications SET release_at = approved_at + interval '1 second' WHERE id = {p}",
    "UPDATE app.guidance_publications SET approved_count = 99 WHERE id = {p}",
    "UPDATE app.guidance_publications SET lapse_at = '2100-01-01' WHERE id = {p}",
    "UPDATE app.publication_recipients SET publication_id = {p}",
    "DELETE FROM app.publication_recipients WHERE publication_id = {p}",
    "DELETE FROM app.approval_decisions WHERE request_id = {q}",
    "DELETE FROM app.guidance_publications WHERE id = {p}",
    "DELETE FROM app.approval_requests WHERE id = {q}",
    "TRUNCATE app.approval_decisions CASCADE",
)
FORBIDDEN = {
    "a publication without enough approvals of its text by second persons": """
      SELECT p.id FROM app.guidance_publications p JOIN app.approval_requests q ON q.id = p.request_id
      JOIN app.draft_revisions v ON v.id = q.revision_id JOIN app.guidance_drafts d ON d.id = p.draft_id
      WHERE p.content_hash <> v.content_hash OR p.draft_id <> q.draft_id OR q.approvals_needed > (
        SELECT count(DISTINCT x.actor) FROM app.approval_decisions x WHERE x.request_id = q.id AND x.decision = 'approve'
          AND x.content_hash = v.content_hash AND x.count_seen = p.approved_count AND x.actor NOT IN (d.author, q.requested_by)
          AND NOT EXISTS (SELECT FROM app.draft_revisions e WHERE e.draft_id = d.id AND e.number <= v.number AND e.editor = x.actor))""",
    "a yes of an author, an editor, a submitter or nobody": """
      SELECT x.id FROM app.approval_decisions x JOIN app.approval_requests q ON q.id = x.request_id
      JOIN app.draft_revisions v ON v.id = q.revision_id JOIN app.guidance_drafts d ON d.id = q.draft_id
      LEFT JOIN app.users u ON u.name = x.actor
      WHERE x.decision = 'approve' AND (x.actor IN (d.author, q.requested_by) OR u.role NOT IN ('approver', 'admin')
        OR EXISTS (SELECT FROM app.draft_revisions e WHERE e.draft_id = d.id AND e.number <= v.number AND e.editor = x.actor))""",
    "an approval without its publication, or counted by nobody": """
      SELECT q.id FROM app.approval_requests q WHERE q.state = 'approved' AND (q.recipient_count IS NULL OR NOT EXISTS (
        SELECT FROM app.guidance_publications p WHERE p.request_id = q.id AND p.state NOT IN ('withdrawn', 'lapsed')))""",
    "a return without a reason": """
      SELECT q.id FROM app.approval_requests q WHERE q.state = 'returned' AND coalesce(length(q.reason), 0) = 0""",
    "a publication under way whose text is not the newest, or whose approval is not live": """
      SELECT p.id FROM app.guidance_publications p JOIN app.guidance_drafts d ON d.id = p.draft_id
      JOIN app.approval_requests q ON q.id = p.request_id WHERE p.state IN ('grace', 'releasing', 'paused') AND (
        d.state <> 'approved' OR q.state <> 'approved' OR p.revision_id <> (
          SELECT r.id FROM app.draft_revisions r WHERE r.draft_id = d.id ORDER BY r.number DESC LIMIT 1))""",
    "two publications of one draft under way": """
      SELECT draft_id FROM app.guidance_publications WHERE state IN ('grace', 'releasing', 'paused') GROUP BY 1 HAVING count(*) > 1""",
    "a question about a text that is not the newest, or none where one is asked": """
      SELECT d.id FROM app.guidance_drafts d WHERE (d.state = 'submitted') <> EXISTS (
        SELECT FROM app.approval_requests q JOIN app.draft_revisions r ON r.id = q.revision_id
        WHERE q.draft_id = d.id AND q.state = 'pending' AND r.number = (SELECT max(number) FROM app.draft_revisions WHERE draft_id = d.id))""",
    "a release before the grace was over or after it lapsed": """
      SELECT p.id FROM app.guidance_publications p
      WHERE p.release_at < p.approved_at + interval '5 minutes' OR p.released_at < p.release_at OR p.released_at > p.lapse_at
        OR p.approved_at < (SELECT max(x.at) FROM app.approval_decisions x WHERE x.request_id = p.request_id AND x.decision = 'approve')""",
    "recipients of what was never released, or more of them than one each": """
      SELECT r.publication_id FROM app.publication_recipients r JOIN app.guidance_publications p ON p.id = r.publication_id
      WHERE p.released_at IS NULL OR p.state IN ('grace', 'withdrawn', 'lapsed')
      UNION ALL SELECT publication_id FROM app.publication_recipients GROUP BY publication_id, recipient_hash HAVING count(*) > 1""",
    "a sent publication with mail that has not left": """
      SELECT p.id FROM app.guidance_publications p JOIN app.publication_recipients r ON r.publication_id = p.id
      WHERE p.state = 'sent' AND r.state IN ('queued', 'claimed', 'sending', 'deferred')""",
}
EVERYTHING = " UNION ALL ".join(
    f"SELECT '{name}' AS fault, array_agg(x) AS ids FROM ({query}) t(x) HAVING count(*) > 0"
    for name, query in FORBIDDEN.items()
)


class Ground:
    """The database and its connections, shared by all walks; when the time is over the walks only stand."""

    def __init__(self, database: Scratch) -> None:
        database.replace_clock()
        logins = {name: database.person(name, ROLES[name]) for name in PEOPLE}
        self.names = {name: database.login_name(name) for name in PEOPLE}
        self.people = {
            n: psycopg.connect(c, autocommit=True, row_factory=dict_row) for n, c in logins.items()
        }
        self.daemon = psycopg.connect(database.daemon, autocommit=True, row_factory=dict_row)
        self.root = psycopg.connect(database.superuser, autocommit=True, row_factory=dict_row)
        self.deadline = time.monotonic() + SECONDS
        self.seen: dict[str, dict[int, str]] = {}
        self.done: Counter[str] = Counter()
        self.trail: deque[str] = deque(maxlen=40)
        self.fault = ""

    def note(self, what: str, more: str) -> None:
        """Count it, and remember it for whoever reads a failure."""
        self.done[what] += 1
        self.trail.append(f"{what}: {more}")

    def moved(self) -> list[str]:
        """What was final and is something else now, and rows that are gone."""
        faults = list[str]()
        for table, final in FINAL.items():
            statement = sql.SQL("SELECT id, state FROM app.{}").format(sql.Identifier(table))
            there = {row["id"]: row["state"] for row in self.root.execute(statement).fetchall()}
            before = self.seen.setdefault(table, {})
            faults += [f"{table} {n} is gone" for n in before if n not in there]
            faults += [
                f"{table} {n} was {s} and is {there.get(n)}"
                for n, s in before.items()
                if s in final and there.get(n) != s
            ]
            self.seen[table] = there
        return faults

    def close(self) -> None:
        """All connections."""
        for connection in (*self.people.values(), self.daemon, self.root):
            connection.close()


def machine_on(ground: Ground) -> type[RuleBasedStateMachine]:
    """The walker on this ground."""
    people = st.sampled_from(PEOPLE)
    pick = st.integers(0, 5)

    class Walk(RuleBasedStateMachine):
        def newest(self, table: str, back: int) -> int:
            """The id of one of the newest rows; -1 where there is none."""
            rows = ground.root.execute(
                sql.SQL("SELECT id FROM app.{} ORDER BY id DESC LIMIT 1 OFFSET {}").format(
                    sql.Identifier(table), sql.Literal(back // 3)
                )
            ).fetchall()
            return int(rows[0]["id"]) if rows else -1

        def row(self, table: str, id_: int) -> dict[str, Any]:
            """A row, empty where there is none."""
            found = ground.root.execute(
                sql.SQL("SELECT * FROM app.{} WHERE id = %s").format(sql.Identifier(table)), [id_]
            )
            return found.fetchone() or {}

        def act(self, who: str, act: str, *values: Any) -> None:
            """An act; whatever its answer is."""
            holders = sql.SQL(", ").join([sql.Placeholder()] * (len(values) + 1))
            statement = sql.SQL("SELECT ok FROM act.{}({})").format(sql.Identifier(act), holders)
            answer = ground.people[who].execute(statement, [uuid4(), *values]).fetchone()
            ground.note(f"{act} {'done' if answer and answer['ok'] else 'refused'}", f"{who} {values}")

        def write(self, *statements: str) -> None:
            """By hand, all in one transaction."""
            try:
                with ground.root.transaction():
                    for statement in statements:
                        ground.root.execute(statement.encode())
                ground.note("by hand done", "; ".join(statements))
            except psycopg.Error as error:
                ground.note("by hand refused", f"{'; '.join(statements)}: {error}")

        @rule(who=people)
        def create(self, who: str) -> None:
            waiting = ground.root.execute(
                "SELECT count(*) AS n FROM app.guidance_drafts WHERE state <> 'closed'"
            )
            if waiting.fetchone() != {"n": 3}:
                self.act(who, "create_draft", "t", "s", "b", "", [])

        @rule(back=pick, people=st.integers(0, 2))
        def go_on(self, back: int, people: int) -> None:
            """The next step of the straight way, so that the walk comes far often enough."""
            draft = self.row("guidance_drafts", self.newest("guidance_drafts", back))
            under_way = self.row("guidance_publications", self.newest("guidance_publications", 0))
            if draft.get("state") == "open":
                self.submit("ann", back, 1)
            elif draft.get("state") == "submitted":
                for who in ("bob", "cyd"):
                    self.decide(who, back, True)
            elif under_way.get("state") == "grace":
                self.frost("dan", False)
                self.wait(6)
                self.daemon(0, people)
            elif under_way.get("state") == "paused":
                self.publication("cyd", 0, "resume")
            elif under_way:
                way = ("claimed", "sending", "sent")
                held = "owner = 'd', claim = gen_random_uuid(), lease_until = app.pw_now(), sending_at = app.pw_now()"
                for state in way:
                    more = f", {held}" if state != "sent" else ", sent_at = app.pw_now()"
                    self.write(
                        f"UPDATE app.publication_recipients SET state = '{state}'{more} WHERE publication_id = {under_way['id']}"
                    )
                self.daemon(0, 0)

        @rule(who=people, back=pick)
        def revise(self, who: str, back: int) -> None:
            draft = self.row("guidance_drafts", self.newest("guidance_drafts", back))
            if draft:
                self.act(who, "revise_draft", draft["id"], draft["version"], "s", f"b {uuid4()}", "")

        @rule(who=people, back=pick, needed=st.sampled_from((1, 1, 2)))
        def submit(self, who: str, back: int, needed: int) -> None:
            ground.root.execute(
                "UPDATE app.system_config SET value = to_jsonb(%s) WHERE key = 'approvals_needed'", [needed]
            )
            draft = self.row("guidance_drafts", self.newest("guidance_drafts", back))
            if draft:
                self.act(who, "submit_draft", draft["id"], draft["version"], "all")
                ground.daemon.execute(
                    "SELECT app.record_audience(max(id), 3, 0, NULL) FROM app.approval_requests"
                )

        @rule(who=people, back=pick, yes=st.sampled_from((True, True, True, False)))
        def decide(self, who: str, back: int, yes: bool) -> None:
            asked = self.row("approval_requests", self.newest("approval_requests", back))
            if asked and yes:
                self.act(
                    who,
                    "approve_request",
                    asked["id"],
                    asked["version"],
                    bytes(asked["content_hash"]),
                    asked["recipient_count"],
                )
            elif asked:
                self.act(who, "return_request", asked["id"], asked["version"], "why")

        @rule(who=people, back=pick, act=st.sampled_from(("withdraw", "pause", "resume", "stop")))
        def publication(self, who: str, back: int, act: str) -> None:
            found = self.row("guidance_publications", self.newest("guidance_publications", back))
            if found:
                more = {
                    "withdraw": [found["version"]],
                    "pause": ["why"],
                    "resume": [found["version"]],
                    "stop": [],
                }[act]
                self.act(who, f"{act}_publication", found["id"], *more)

        @rule(who=people, back=pick)
        def close(self, who: str, back: int) -> None:
            draft = self.row("guidance_drafts", self.newest("guidance_drafts", back))
            if draft:
                self.act(who, "close_draft", draft["id"], draft["version"])

        @rule(who=people, freeze=st.sampled_from((True, False, False, False)))
        def frost(self, who: str, freeze: bool) -> None:
            if freeze:
                self.act(who, "freeze_system", "why")
            else:
                for one in ("bob", "cyd"):
                    self.act(one, "thaw_system")

        @rule(minutes=st.sampled_from((1, 6, 6, 6, 60, 60 * 30, 60 * 24 * 8)))
        def wait(self, minutes: int) -> None:
            ground.root.execute(
                "UPDATE app.test_clock SET shift = shift + make_interval(mins => %s)", [minutes]
            )

        @rule(back=pick, people=st.integers(0, 2))
        def daemon(self, back: int, people: int) -> None:
            """One turn of its publishing room."""
            publication = self.newest("guidance_publications", back)
            ground.daemon.execute("SELECT app.expire_approvals()")
            ground.daemon.execute("SELECT app.release_publication(%s)", [publication])
            try:
                with ground.daemon.transaction():
                    for n in range(people):
                        ground.daemon.execute(
                            "INSERT INTO app.publication_recipients (publication_id, recipient_hash) VALUES (%s, sha256(%s))",
                            [publication, str(n).encode()],
                        )
                    ground.daemon.execute("SELECT app.recipients_frozen(%s)", [publication])
            except psycopg.Error:
                ground.done["daemon refused"] += 1
            ground.daemon.execute("SELECT app.finish_publication(%s)", [publication])

        @rule(data=st.data(), table=st.sampled_from(tuple(STATES)), back=pick)
        def by_hand_a_state(self, data: st.DataObject, table: str, back: int) -> None:
            state, beside = (
                data.draw(st.sampled_from(STATES[table])),
                data.draw(st.sampled_from(BESIDE[table])),
            )
            self.write(
                f"UPDATE app.{table} SET state = '{state}'{beside} WHERE id = {self.newest(table, back)}"
            )

        @rule(data=st.data(), who=people, back=pick, count=st.integers(1, 3))
        def by_hand_some_rows(self, data: st.DataObject, who: str, back: int, count: int) -> None:
            """Several writes in one transaction, so that its end cannot be content by accident."""
            place = {
                "d": self.newest("guidance_drafts", back),
                "q": self.newest("approval_requests", back),
                "p": self.newest("guidance_publications", back),
                "who": f"'{ground.names[who]}'",
            }
            statements = list[str]()
            for _ in range(count):
                if data.draw(st.booleans()):
                    statements.append(data.draw(st.sampled_from(BY_HAND)).format(**place))
                else:
                    table = data.draw(
                        st.sampled_from(("guidance_drafts", "approval_requests", "guidance_publications"))
                    )
                    id_ = {"guidance_drafts": "d", "approval_requests": "q", "guidance_publications": "p"}[
                        table
                    ]
                    state, beside = (
                        data.draw(st.sampled_from(STATES[table])),
                        data.draw(st.sampled_from(BESIDE[table])),
                    )
                    statements.append(
                        f"UPDATE app.{table} SET state = '{state}'{beside} WHERE id = {place[id_]}"
                    )
            self.write(*statements)

        @invariant()
        def nothing_forbidden_is_stored(self) -> None:
            """A fault is kept for the end: the database cannot be wound back for a second look at the same walk."""
            if ground.fault or time.monotonic() > ground.deadline:
                return
            found = ground.root.execute(EVERYTHING.encode()).fetchall()
            faults = [f"{row['fault']}: {row['ids']}" for row in found] + ground.moved()
            if faults:
                ground.fault = "\n".join([*faults, *ground.trail])

    return Walk


def test_no_walk_of_acts_and_direct_sql_reaches_a_forbidden_state(database: Scratch) -> None:
    ground = Ground(database)
    began = time.monotonic()
    walks = 0
    try:
        while time.monotonic() < ground.deadline and not ground.fault:
            walks += 5
            run_state_machine_as_test(
                machine_on(ground),
                settings=settings(
                    max_examples=5,
                    stateful_step_count=40,
                    deadline=None,
                    database=None,
                    phases=[Phase.generate],  # one database for all walks: nothing to shrink, the trail tells
                    suppress_health_check=list(HealthCheck),
                ),
            )
        assert ground.fault == ""
        print(f"{walks} walks in {time.monotonic() - began:.1f} s: {dict(sorted(ground.done.items()))}")
        reached = {
            (table, row["state"])
            for table in FINAL
            for row in database.run(f"SELECT DISTINCT state FROM app.{table}")
        }
        print(f"states reached: {sorted(reached)}")
        assert ground.done["approve_request done"] > 0
        assert ground.done["by hand refused"] > ground.done["by hand done"]
    finally:
        ground.close()
