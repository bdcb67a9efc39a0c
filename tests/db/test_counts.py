"""The counters behind the queue's and the ledger's numbers: exact, of the same transaction, never waited for."""

from __future__ import annotations

import random

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

WAITING = ("queued", "unconfirmed")
NEXT = {
    "second_look": ("unconfirmed", "queued", "undone"),
    "unconfirmed": ("queued", "undone", "decided"),
    "queued": ("decided", "undone"),
    "decided": ("queued",),
    "historical": ("queued",),
}


def _document(database: Scratch, key: str) -> int:
    row = database.run(
        "INSERT INTO app.policy_documents (platform_id, key, name) SELECT min(id), %s, %s FROM app.platforms RETURNING id",
        key,
        key,
    )[0]
    return int(row["id"])


_ADD = """
INSERT INTO app.change_states (document_id, detected_at, status, machine_severity, severity)
VALUES (%s, app.pw_now(), %s, 'low', %s) RETURNING change_id"""
_MOVE = """
UPDATE app.change_states SET status = %s, severity = %s, version = version + 1,
  verdict = CASE WHEN %s THEN 'accepted' END, decided_by = CASE WHEN %s THEN 'x' END, decided_at = CASE WHEN %s THEN app.pw_now() END
WHERE change_id = %s"""


def test_the_queue_s_numbers_are_those_of_its_rows_after_any_walk(database: Scratch) -> None:
    """Whatever is inserted, decided, undone, overridden or snoozed: counts and rows agree after each step."""
    chance = random.Random(11)
    documents = [_document(database, f"walk-{n}") for n in range(3)]
    states: dict[int, str] = {}
    with psycopg.connect(database.superuser, autocommit=True, row_factory=dict_row) as connection:
        for step in range(120):
            severity = chance.choice(("none", "low", "medium", "high", "critical"))
            movable = [change for change, state in states.items() if state in NEXT]
            if step < 20 or not movable or chance.random() < 0.3:
                status = chance.choice(("second_look", "queued", "unconfirmed", "historical", "noise"))
                row = connection.execute(_ADD, [chance.choice(documents), status, severity]).fetchone()
                assert row is not None
                states[row["change_id"]] = status
            elif chance.random() < 0.2:
                connection.execute(
                    "UPDATE app.change_states SET snoozed_until = app.pw_now() + %s::interval WHERE change_id = %s",
                    [chance.choice(("1 day", "-1 day")), chance.choice(movable)],
                )
            else:
                change = chance.choice(movable)
                states[change] = chance.choice(NEXT[states[change]])
                decided = states[change] == "decided"
                connection.execute(_MOVE, [states[change], severity, decided, decided, decided, change])
            counted = connection.execute("SELECT * FROM read.queue_counts").fetchone()
            assert (
                counted
                == connection.execute(
                    "SELECT count(*) FILTER (WHERE NOT snoozed) AS undecided,"
                    " count(*) FILTER (WHERE NOT snoozed AND severity = 'critical') AS critical,"
                    " count(*) FILTER (WHERE snoozed) AS snoozed, min(detected_at) FILTER (WHERE NOT snoozed) AS oldest"
                    " FROM (SELECT severity, detected_at, coalesce(snoozed_until > app.pw_now(), false) AS snoozed"
                    " FROM app.change_states WHERE status IN ('queued', 'unconfirmed')) q"
                ).fetchone()
            )
        waiting = sum(1 for state in states.values() if state in WAITING)
        shown = connection.execute("SELECT sum(unreviewed) AS n FROM read.platform_status").fetchone()
        connection.execute("SELECT app.recount()")
        again = connection.execute("SELECT sum(waiting) AS n FROM app.queue_counts").fetchone()
    assert (shown, again) == ({"n": waiting}, {"n": waiting})


def test_two_writers_of_one_document_do_not_wait_for_each_other(database: Scratch) -> None:
    document = _document(database, "busy")
    with (
        psycopg.connect(database.superuser) as one,
        psycopg.connect(database.superuser) as other,
        psycopg.connect(database.superuser, autocommit=True) as reader,
    ):
        for connection in (one, other):
            connection.execute("SET lock_timeout = '2s'")
            connection.commit()
        one.execute(_ADD, [document, "queued", "high"])
        one.commit()
        # when both have an open transaction that adds to the same number
        one.execute(_ADD, [document, "queued", "high"])
        other.execute(_ADD, [document, "queued", "high"])
        # then a reader sees neither yet, and afterwards what was committed alone
        assert reader.execute("SELECT undecided FROM read.queue_counts").fetchone() == (1,)
        other.commit()
        assert reader.execute("SELECT undecided FROM read.queue_counts").fetchone() == (2,)
        one.rollback()
        assert reader.execute("SELECT undecided FROM read.queue_counts").fetchone() == (2,)
        assert reader.execute("SELECT count(*) <= 2 FROM app.queue_counts").fetchone() == (True,)


_PUBLICATION = """
INSERT INTO app.guidance_publications (draft_id, revision_id, request_id, content_hash, segment_id, state, approved_count,
  release_at, lapse_at, released_at)
VALUES (0, 0, %s, sha256(''), 1, 'releasing', 100, app.pw_now() + interval '1 minute', app.pw_now() + interval '1 day', app.pw_now())
RETURNING id"""
_RECIPIENTS = """
INSERT INTO app.publication_recipients (publication_id, recipient_hash, state)
SELECT %s, sha256(%s::bytea || int8send(n)), CASE WHEN n %% 9 = 0 THEN 'suppressed' ELSE 'queued' END FROM generate_series(1, 40) n"""
_STEP = """
UPDATE app.publication_recipients SET state = %(to)s, owner = 'w', claim = gen_random_uuid(), lease_until = app.pw_now(),
  sending_at = coalesce(sending_at, app.pw_now()), sent_at = CASE WHEN %(to)s = 'sent' THEN app.pw_now() END
WHERE id IN (SELECT id FROM app.publication_recipients WHERE state = %(from)s ORDER BY id LIMIT %(most)s)"""
_STEPS = (
    *(
        ("queued", "claimed"),
        ("claimed", "sending"),
        ("sending", "sent"),
        ("sending", "deferred"),
        ("sending", "uncertain"),
    ),
    *(
        ("sending", "failed"),
        ("deferred", "claimed"),
        ("uncertain", "sent"),
        ("uncertain", "queued"),
        ("claimed", "suppressed"),
    ),
)


def test_the_ledger_s_numbers_are_those_of_its_rows_after_any_walk(database: Scratch) -> None:
    """Whatever a statement moves, of one publication or of two: figures and rows agree after each."""
    chance = random.Random(5)
    with psycopg.connect(database.superuser, autocommit=True, row_factory=dict_row) as connection:
        connection.execute("SET session_replication_role = replica")  # publications without their whole story
        ids = []
        for request in (1, 2):
            made = connection.execute(_PUBLICATION, [request]).fetchone()
            assert made is not None
            ids.append(made["id"])
        connection.execute("SET session_replication_role = origin")
        for publication in ids:
            connection.execute(_RECIPIENTS, [publication, str(publication)])
        for _ in range(60):
            source, target = chance.choice(_STEPS)
            connection.execute(_STEP, {"from": source, "to": target, "most": chance.randint(1, 30)})
            assert (
                connection.execute(
                    "SELECT publication_id, state, sum(recipients)::bigint AS n, min(first_sent_at) AS first, max(last_sent_at) AS last"
                    " FROM app.publication_counts GROUP BY 1, 2 HAVING sum(recipients) <> 0 ORDER BY 1, 2"
                ).fetchall()
                == connection.execute(
                    "SELECT publication_id, state, count(*) AS n, min(sent_at) AS first, max(sent_at) AS last"
                    " FROM app.publication_recipients GROUP BY 1, 2 ORDER BY 1, 2"
                ).fetchall()
            )
