"""What a visit leaves behind: captures, snapshots, changes, and the named causes of what could not be read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from policywatch.simulated.pages import noise_of
from policywatch.simulated.texts import PLATFORMS, Document
from policywatch.simulated.web import Trouble
from tests.daemon.collecting_world import World, open_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db


@pytest_asyncio.fixture
async def world(database: Scratch) -> AsyncIterator[World]:
    async with open_world(database) as opened:
        yield opened


async def test_the_first_look_stores_each_document_once_and_no_change(world: World) -> None:
    report = await world.once()

    assert report.outcomes == {"first": 6}, report.lines()
    assert world.value("SELECT count(*) FROM app.policy_snapshots WHERE kind = 'first'") == 6
    assert world.value("SELECT count(*) FROM app.change_states") == 0
    assert world.value("SELECT count(*) FROM app.document_search") == 6
