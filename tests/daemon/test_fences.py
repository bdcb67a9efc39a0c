"""Several daemons on one database: nobody visits a document twice, and a late result is refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest
import pytest_asyncio

from policywatch.db import collecting
from policywatch.domain.changes import Severity
from policywatch.simulated.texts import PLATFORMS
from policywatchd.collect.finish import Ending, Finisher, LateResult
from policywatchd.collect.loop import open_schedule
from policywatchd.judge.queue import Queue
from policywatchd.once import once
from policywatchd.service import Service
from policywatchd.upkeep.reconcile import reconcile
from tests.daemon.collecting_world import World, open_world, settings_of
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db


@pytest_asyncio.fixture
async def world(database: Scratch) -> AsyncIterator[World]:
    async with open_world(database, PLATFORMS) as opened:
        yield opened


async def test_two_daemons_never_fetch_the_same_document(world: World) -> None:
    few = settings_of(PLATFORMS, concurrency=3)  # so that neither takes every platform at once
    first, second = await world.service(few), await world.service(few)
    await reconcile(first.db, few)
    ids = await collecting.due_ids(first.db)

    async def visit_all(service: Service) -> int:
        async with open_schedule(service) as schedule:
            visits, _ = await schedule.once(ids, service.stopping)
        return len(visits)

    counts = await asyncio.gather(visit_all(first), visit_all(second))

    reads = Counter((r.host, r.path) for r in world.web.log if r.path != "/robots.txt")
    assert len(reads) == 21 and set(reads.values()) == {2}  # a new page is tried by two fetches
    assert sum(counts) == 21
    assert min(counts) > 0
    assert set(world.web.most_in_flight.values()) == {1}
    assert world.value("SELECT count(*) FROM app.captures") == 21


async def test_claims_of_two_daemons_do_not_overlap(world: World) -> None:
    first, second = await world.service(), await world.service()
    await reconcile(first.db, world.settings)

    claims = await asyncio.gather(
        *(collecting.claim_due(s.db, s.worker_id, 4) for _ in range(3) for s in (first, second))
    )

    ids = [claim.document_id for part in claims for claim in part]
    assert len(ids) == len(set(ids))
    assert len({claim.platform for part in claims for claim in part}) == len(ids) == 7


async def test_a_late_result_is_refused_recorded_and_dropped(world: World) -> None:
    sleeper, other = await world.service(), await world.service()
    await reconcile(sleeper.db, world.settings)
    (claim,) = await collecting.claim_due(sleeper.db, sleeper.worker_id, 1)
    world.rows(
        "UPDATE app.policy_documents SET lease_until = app.pw_now() - interval '1 s' WHERE owner IS NOT NULL"
    )
    report = await once(other, [claim.name])
    finisher = Finisher(sleeper.db, sleeper.worker_id, Queue(None, Severity.HIGH, date.today))

    with pytest.raises(LateResult):
        await finisher.finish(Ending(claim, None, [], timedelta(hours=1)))

    assert report.outcomes == {"first": 1}
    audit = world.rows("SELECT object_id, outcome FROM app.audit_log WHERE action = 'visit.late_result'")
    assert audit == [{"object_id": claim.name, "outcome": "refused"}]
    assert world.value("SELECT count(*) FROM app.captures WHERE document_id = %s", claim.document_id) == 1


async def test_an_expired_lease_is_claimed_by_the_next_daemon(world: World) -> None:
    dead, alive = await world.service(), await world.service()
    await reconcile(dead.db, world.settings)
    held = await collecting.claim_due(dead.db, dead.worker_id, 7)
    assert await collecting.claim_due(alive.db, alive.worker_id, 7) == []

    world.rows(
        "UPDATE app.policy_documents SET lease_until = app.pw_now() - interval '1 s' WHERE owner IS NOT NULL"
    )
    taken = await collecting.claim_due(alive.db, alive.worker_id, 7)

    assert len(taken) == len(held) == 7
    fences = {claim.document_id: claim.fence for claim in held}
    again = {claim.document_id: claim.fence for claim in taken if claim.document_id in fences}
    assert all(fence == fences[document] + 1 for document, fence in again.items())
    assert not await collecting.renew_lease(dead.db, held[0], dead.worker_id)
