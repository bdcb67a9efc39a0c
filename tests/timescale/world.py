"""Every act once, by the people who may, on the one connection that the WebAssembly server serves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from psycopg import sql

from policywatch.db.logins import verifier
from tests.databases import CLOCK
from tests.timescale.wasm import Connection, person

__all__ = ["World", "told"]

PEOPLE = {
    "pwt_ts_rita": "reviewer",
    "pwt_ts_ed": "editor",
    "pwt_ts_ann": "approver",
    "pwt_ts_bob": "approver",
    "pwt_ts_vic": "viewer",
    "pwt_ts_aud": "auditor",
}
RITA, ED, ANN, BOB, VIC, AUD = PEOPLE
BEFORE, AFTER = b"You may leave.", b"You must stay."


@dataclass
class World:
    """`tried` are the acts that succeeded."""

    connection: Connection
    tried: set[str] = field(default_factory=set)
    publication: int = 0

    def value(self, statement: str, *values: Any) -> Any:
        """One value, as the superuser."""
        row = self.connection.execute(statement, values or None).fetchone()
        return next(iter(row.values())) if row else None

    def act(self, who: str, act: str, *values: Any, id_: Any = None) -> Any:
        """One act of a person, which must succeed; the id of what it made."""
        holders = sql.SQL(", ").join([sql.Placeholder()] * (len(values) + 1))
        statement = sql.SQL("SELECT * FROM act.{}({})").format(sql.Identifier(act), holders)
        with person(self.connection, who) as connection:
            row = connection.execute(statement, [id_ or uuid4(), *values]).fetchone()
        assert row is not None
        assert row.get("ok", row.get(act)), (act, row)
        self.tried.add(act)
        return row.get("id")

    def daemon(self, statement: str, *values: Any) -> None:
        """One statement of the daemon."""
        with person(self.connection, "pw_daemon") as connection:
            connection.execute(statement, values or None)

    def version(self, relation: str, id_: int) -> int:
        """The version of a row, as a screen shows it."""
        key = "change_id" if relation == "change_states" else "id"
        return int(self.value(f"SELECT version FROM app.{relation} WHERE {key} = %s", id_))


def told(connection: Connection) -> World:
    """The whole story: people, a change, guidance that is sent in part, a frost."""
    world = World(connection)
    connection.execute(CLOCK.read_text(encoding="utf-8"))
    _people(world)
    document = int(
        world.value(
            "INSERT INTO app.policy_documents (platform_id, key, name) SELECT id, 'terms', 'Terms' FROM app.platforms"
            " WHERE key = 'x' RETURNING id"
        )
    )
    change = _change(world, document)
    _review(world, change)
    _guidance(world, change)
    _publication(world, change)
    _rest(world)
    return world


def _people(world: World) -> None:
    world.act("admin", "user_password", verifier("admin", "a" * 20))
    session = uuid4()
    world.act("admin", "open_session", "command", "tests", id_=session)
    world.act("admin", "beat_session", id_=session)
    world.act("admin", "close_session", id_=session)
    left_open = uuid4()
    world.act("admin", "open_session", "desk", "tests", id_=left_open)
    world.act("admin", "end_session", left_open, None)
    for name, role in PEOPLE.items():
        world.act("admin", "user_add", name, role, verifier(name, "b" * 20), None, None, None, False)
    world.act("admin", "user_role", VIC, "reviewer")
    world.act("admin", "user_disable", VIC)


def _change(world: World, document: int) -> int:
    for text in (BEFORE, AFTER):
        world.connection.execute(
            "INSERT INTO app.contents (sha256, raw_len, payload) VALUES (sha256(%s), %s, %s)",
            [text, len(text), text],
        )
    keys = [
        world.value(
            "INSERT INTO app.snapshot_keys (document_id, fetched_at) VALUES (%s, app.pw_now()) RETURNING id",
            document,
        )
        for _ in range(2)
    ]
    for key, text in zip(keys, (BEFORE, AFTER), strict=True):
        world.connection.execute(
            "INSERT INTO app.policy_snapshots (id, fetched_at, document_id, source, kind, text_sha256, reader_hash, link_hash)"
            " VALUES (%s, app.pw_now(), %s, 'platform', 'first', sha256(%s), ''::bytea, ''::bytea)",
            [key, document, text],
        )
    change = world.value(
        "INSERT INTO app.change_states (document_id, detected_at, status, machine_severity, severity)"
        " VALUES (%s, app.pw_now(), 'queued', 'high', 'high') RETURNING change_id",
        document,
    )
    world.connection.execute(
        "INSERT INTO app.policy_changes (id, detected_at, document_id, before_snapshot, after_snapshot, before_sha256,"
        " after_sha256, before_at, after_at, passages, engine) SELECT s.change_id, s.detected_at, s.document_id, %s, %s, sha256(%s),"
        " sha256(%s), app.pw_now(), app.pw_now(), jsonb_build_array(jsonb_build_object('kind', 'reworded', 'section', '[]'::jsonb,"
        " 'before', %s::text, 'after', %s::text, 'before_spans', '[]'::jsonb, 'after_spans', '[]'::jsonb)), 'tests'"
        " FROM app.change_states s WHERE s.change_id = %s",
        [*keys, BEFORE, AFTER, BEFORE.decode(), AFTER.decode(), change],
    )
    world.connection.execute(
        "INSERT INTO app.change_analyses (change_id, engine, change_type, severity, confidence, notify, summary)"
        " VALUES (%s, 'tests', 'other', 'high', 1, true, 'One may not leave any more.')",
        [change],
    )
    return int(change)


def _review(world: World, change: int) -> None:
    def version() -> int:
        return world.version("change_states", change)

    world.act(RITA, "take_change", change, 15)
    world.act(RITA, "release_change", change)
    world.act(RITA, "set_severity", change, version(), "medium", "It concerns few.")
    later = world.value("SELECT app.pw_now() + interval '1 day'")
    world.act(RITA, "snooze_change", change, version(), later)
    world.act(RITA, "decide_change", change, version(), "no_effect", None)
    world.act(RITA, "undo_verdict", change, version())
    world.act(RITA, "decide_change", change, version(), "accepted", "Members must know.")


def _draft(world: World, change: int) -> int:
    quote = f'[{{"change": {change}, "passage": 0, "side": "+", "quote": "{AFTER.decode()}"}}]'
    return int(world.act(ED, "create_draft", "Leaving", "You must stay", "Leave now.", "", [change], quote))


def _guidance(world: World, change: int) -> None:
    given_up = _draft(world, change)
    world.act(ED, "revise_draft", given_up, world.version("guidance_drafts", given_up), "S", "T", "")
    world.act(ED, "close_draft", given_up, world.version("guidance_drafts", given_up))
    draft = _draft(world, change)
    request = world.act(ED, "submit_draft", draft, world.version("guidance_drafts", draft), "all")
    world.act(ANN, "return_request", request, world.version("approval_requests", request), "Say it shorter.")
    taken_back = _approved(world, draft)
    world.act(ED, "withdraw_publication", taken_back, world.version("guidance_publications", taken_back))


def _approved(world: World, draft: int) -> int:
    request = int(world.act(ED, "submit_draft", draft, world.version("guidance_drafts", draft), "all"))
    world.daemon("SELECT app.record_audience(%s, 3, 0, NULL)", request)
    shown = world.value("SELECT content_hash FROM app.approval_requests WHERE id = %s", request)
    return int(
        world.act(ANN, "approve_request", request, world.version("approval_requests", request), shown, 3)
    )


def _publication(world: World, change: int) -> None:
    number = world.publication = _approved(world, _draft(world, change))
    world.connection.execute("UPDATE app.test_clock SET shift = shift + interval '6 minutes'")
    world.daemon("SELECT app.release_publication(%s)", number)
    world.daemon(
        "INSERT INTO app.publication_recipients (publication_id, recipient_hash)"
        " SELECT %s, sha256(n::text::bytea) FROM generate_series(1, 3) n",
        number,
    )
    world.daemon("SELECT app.recipients_frozen(%s)", number)
    for days, kind in ((40, "deferred"), (1, "sent"), (0, "sent"), (0, "bounce")):
        world.daemon(
            "INSERT INTO app.delivery_events (at, publication_id, recipient_id, recipient_hash, kind)"
            " SELECT app.pw_now() - %s * interval '1 day', publication_id, id, recipient_hash, %s"
            " FROM app.publication_recipients WHERE publication_id = %s",
            days,
            kind,
            number,
        )
    world.act(ANN, "pause_publication", number, "Look again.")
    world.act(BOB, "resume_publication", number, world.version("guidance_publications", number))
    world.act(ANN, "stop_publication", number)
    world.act(ANN, "freeze_system", "A try.")
    world.act(ANN, "thaw_system")
    world.act(BOB, "thaw_system")


def _suspect_capture(world: World) -> int:
    rule = world.value(
        "INSERT INTO app.extraction_rules (hash, definition) VALUES (sha256('r'), '{}') RETURNING id"
    )
    page = world.value(
        "INSERT INTO app.document_pages (document_id, position, url, rule_id, suspects)"
        " SELECT d.id, 9, 'https://x.test/terms', %s, 2 FROM app.policy_documents d WHERE d.key = 'terms' RETURNING id",
        rule,
    )
    capture = world.value(
        "INSERT INTO app.captures (document_id, page_id, fence, state, cause, rule_id, text_sha256)"
        " SELECT g.document_id, g.id, 1, 'suspect', 'a wall', g.rule_id, sha256(%s) FROM app.document_pages g"
        " WHERE g.id = %s RETURNING id",
        AFTER,
        page,
    )
    world.value(
        "UPDATE app.document_pages SET suspect_capture = %s WHERE id = %s RETURNING id", capture, page
    )
    return int(capture)


def _rest(world: World) -> None:
    alert = world.value(
        "INSERT INTO app.alerts (kind, subject, sentence) VALUES ('document_failing', 'x/terms', 'It fails.') RETURNING id"
    )
    world.act(RITA, "ack_alert", alert)
    world.act(RITA, "request_visit", "x", "terms")
    world.act(ED, "pause_document", "x", "terms", "It moves.")
    world.act(ED, "pause_document", "x", "terms", None)
    world.act(ED, "request_trial", "x", "terms")
    world.act(ED, "request_reextract", "x", "terms")
    world.act(ED, "request_preview", "x", "terms", '{"add_filters": ["drop_counters"]}')
    world.act(ED, "accept_capture", _suspect_capture(world))
    world.daemon(
        "INSERT INTO app.system_metrics (at, name, value) SELECT app.pw_now() - n * interval '1 hour', 'beats', n"
        " FROM generate_series(0, 60 * 24) n"
    )
