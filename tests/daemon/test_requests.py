"""What people ask of the daemon: served once, taken over from a dead one, expiring, answered by a hint; sealed arguments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from policywatch import keys, secrets
from policywatch.db import acts, credentials, listing, requests
from policywatch.db.listen import Hint, Listener
from policywatch.db.pool import Database
from policywatch.db.requests import Request
from policywatch.errors import PolicyWatchError
from policywatch.settings import load
from policywatchd import unlock
from policywatchd.service import Service
from policywatchd.upkeep import requests as served
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

#: The answer to a visit of a document that has no page yet.
NOTHING = {"documents": 0}


@asynccontextmanager
async def daemon(database: Scratch, state: Path | None = None) -> AsyncIterator[Service]:
    """One that only serves requests."""
    folder = {"POLICYWATCH_DATABASE__STATE_FOLDER": str(state)} if state else {}
    async with await Database.open(database.daemon, max_size=2) as db:
        service = Service(db, load(env={"HOME": "/nonexistent", **folder}), program="test")
        yield service
        await service.reader.close()


async def asked(database: Scratch, count: int = 1) -> list[int]:
    """Requests to visit, left by a reviewer."""
    async with await Database.open(database.person("rita", "reviewer")) as db:
        made = [(await acts.request_visit(db, None, None)).id for _ in range(count)]
    return [number for number in made if number is not None]


@pytest.fixture
def document(database: Scratch) -> Scratch:
    """A database with something to visit."""
    database.run(
        "INSERT INTO app.policy_documents (platform_id, key, name, due_at)"
        " VALUES (1, 'terms', 'Terms', app.pw_now() + interval '1 day')"
    )
    return database


async def test_each_request_is_served_by_exactly_one_of_two_daemons(
    document: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    by: dict[int, list[str]] = {}

    async def serve(service: Service, request: Request) -> Mapping[str, Any]:
        by.setdefault(request.id, []).append(service.worker_id)
        await asyncio.sleep(0)
        return {"by": service.worker_id}

    monkeypatch.setitem(served.SERVERS, "visit", serve)
    numbers = await asked(document, 40)
    async with daemon(document) as one, daemon(document) as two:

        async def work(service: Service) -> int:
            done = 0
            while part := await served.serve_waiting(service):
                done += part
            return done

        counts = await asyncio.gather(work(one), work(two))

    assert sorted(by) == sorted(numbers)
    assert all(len(workers) == 1 for workers in by.values())
    assert sum(counts) == 40
    assert all(counts)
    rows = document.run("SELECT id, state, result ->> 'by' AS by FROM app.requests")
    assert {(r["state"], r["by"]) for r in rows} == {("done", one.worker_id), ("done", two.worker_id)}


async def test_the_answer_is_announced_to_whoever_waits(document: Scratch) -> None:
    (number,) = await asked(document)
    listener = Listener(document.person("ana", "viewer"))
    hints = listener.hints()
    async with asyncio.timeout(20), daemon(document) as service:
        assert (await anext(hints)).kind == "reconnected"
        assert await served.serve_waiting(service) == 1
        while (hint := await anext(hints)).kind != "request":
            pass
    await hints.aclose()
    assert hint == Hint("request", number, 2)
    assert document.run("SELECT state, result FROM app.requests") == [{"state": "done", "result": NOTHING}]


async def test_the_work_of_a_dead_daemon_is_taken_over_and_its_late_answer_refused(document: Scratch) -> None:
    document.replace_clock()
    (number,) = await asked(document)
    async with daemon(document) as dead, daemon(document) as alive:
        assert len(await requests.claim_requests(dead.db, dead.worker_id, ["visit"], 10)) == 1
        assert await served.serve_waiting(alive) == 0
        document.move_clock("61 seconds")

        assert await served.serve_waiting(alive) == 1

        assert not await requests.renew_request(dead.db, number, dead.worker_id)
        async with dead.db.transaction() as tx:
            assert not await requests.end_request(tx, number, dead.worker_id, {"late": True}, done=True)
    assert document.run("SELECT result FROM app.requests") == [{"result": NOTHING}]


async def test_a_daemon_that_takes_long_holds_its_claim(
    document: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    document.replace_clock()
    await asked(document)
    renewed = asyncio.Event()
    renew = requests.renew_request

    async def seen(db: Database, request: int, worker: str) -> bool:
        held = await renew(db, request, worker)
        renewed.set()
        return held

    async def serve(_service: Service, _request: Request) -> Mapping[str, Any]:
        document.move_clock("50 seconds")
        await asyncio.wait_for(renewed.wait(), 10)
        document.move_clock("50 seconds")
        async with daemon(document) as other:
            assert await requests.claim_requests(other.db, other.worker_id, ["visit"], 10) == []
        return {}

    monkeypatch.setattr(requests, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(requests, "renew_request", seen)
    monkeypatch.setitem(served.SERVERS, "visit", serve)
    async with daemon(document) as service:
        assert await served.serve_waiting(service) == 1
    assert document.run("SELECT state FROM app.requests") == [{"state": "done"}]


async def test_what_nobody_serves_expires_and_status_shows_it(document: Scratch) -> None:
    document.replace_clock()
    (number,) = await asked(document)
    reader = document.person("ana", "viewer")
    hints = Listener(reader).hints()
    async with await Database.open(reader) as db, daemon(document) as service:
        waiting = await listing.requests(db)
        assert [(r["id"], r["state"]) for r in waiting] == [(number, "waiting")]
        assert (waiting[0]["expires_at"] - waiting[0]["requested_at"]).total_seconds() == pytest.approx(
            900, abs=1
        )
        async with asyncio.timeout(20):
            assert (await anext(hints)).kind == "reconnected"
            document.move_clock("16 minutes")

            assert await served.serve_waiting(service) == 0

            while (hint := await anext(hints)).kind != "request":
                pass
        assert [(r["id"], r["state"]) for r in await listing.requests(db)] == [(number, "expired")]
    await hints.aclose()
    assert hint.id == number


async def test_a_failure_is_stored_with_its_reason(
    document: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(_service: Service, _request: Request) -> Mapping[str, Any]:
        raise PolicyWatchError("It cannot be.", remedy="Try another.")

    monkeypatch.setitem(served.SERVERS, "visit", serve)
    await asked(document)
    async with daemon(document) as service:
        await served.serve_waiting(service)
    assert document.run("SELECT state, result FROM app.requests") == [
        {"state": "failed", "result": {"fault": "It cannot be.", "remedy": "Try another."}}
    ]


# Sealed arguments ---------------------------------------------------------------------------------


async def test_a_person_seals_an_address_that_the_daemon_alone_opens(
    database: Scratch, tmp_path: Path
) -> None:
    master = secrets.master_key(tmp_path, create=True, env={})
    async with daemon(database, tmp_path) as service:
        await unlock.tell_openly(service.db, service.settings)
        async with await Database.open(database.person("rita", "reviewer")) as db:
            public = await credentials.request_key(db)
        sealed = keys.seal_arguments(public, "test_mail", {"to": "rita@example.org"})
        request = Request(1, "test_mail", {"draft": 7}, sealed, "rita", 1)

        assert served.arguments_of(service, request) == {"draft": 7, "to": "rita@example.org"}

    assert public == keys.request_key(master)
    assert b"rita" not in sealed
    published = database.run("SELECT action FROM app.audit_log WHERE action ~ '^key' ORDER BY id")
    assert [r["action"] for r in published] == ["key.registered", "key.published"]


@pytest.mark.parametrize("spoil", [slice(0, 1), slice(33, 34), slice(50, 51), slice(-1, None)])
def test_sealed_arguments_that_were_touched_are_refused(spoil: slice) -> None:
    master = b"m" * 32
    sealed = bytearray(keys.seal_arguments(keys.request_key(master), "render", {"to": "a@example.org"}))
    assert keys.open_arguments(master, "render", bytes(sealed)) == {"to": "a@example.org"}
    sealed[spoil] = bytes([sealed[spoil][0] ^ 1])
    with pytest.raises(PolicyWatchError, match="cannot be opened"):
        keys.open_arguments(master, "render", bytes(sealed))


def test_sealed_arguments_hold_for_one_kind_of_request_and_one_key() -> None:
    sealed = keys.seal_arguments(keys.request_key(b"m" * 32), "render", {"to": "a@example.org"})
    for master, kind in ((b"m" * 32, "test_mail"), (b"n" * 32, "render")):
        with pytest.raises(PolicyWatchError, match="cannot be opened"):
            keys.open_arguments(master, kind, sealed)
    with pytest.raises(PolicyWatchError, match="cannot be opened"):
        keys.open_arguments(b"m" * 32, "render", b"")
