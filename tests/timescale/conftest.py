"""The tests of this folder run only when the folder is named (`make test-timescale`): they need Node, not PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from policywatch.db import migrate
from tests.timescale.wasm import connected, wasm_server
from tests.timescale.world import World, told

_HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the folder out of runs that did not ask for it."""
    asked = (config.invocation_params.dir / argument.split("::")[0] for argument in config.args)
    if any(place.resolve().is_relative_to(_HERE) for place in asked):
        return None
    return True


@pytest.fixture
def fresh() -> Iterator[str]:
    """An empty server of this test's own."""
    with wasm_server() as conninfo:
        yield conninfo


@pytest.fixture(scope="session")
def story() -> Iterator[tuple[str, World]]:
    """A migrated server on which every act was tried once."""
    with wasm_server() as conninfo:
        asyncio.run(migrate.up(conninfo))
        with connected(conninfo) as connection:
            world = told(connection)
        yield conninfo, world
