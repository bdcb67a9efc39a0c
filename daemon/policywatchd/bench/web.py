"""The web that a benchmark visits: the scenario's own in a process of its own, or an outside server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from policywatch.errors import PolicyWatchError
from policywatchd.service import Network

__all__ = ["OwnWeb", "own_web"]

_PATIENCE = 60.0  # seconds for one answer of the process


class OwnWeb:
    """The scenario's web as a child; steered by JSON lines."""

    def __init__(self, child: asyncio.subprocess.Process, ports: list[int]) -> None:
        self._child, self.ports = child, ports

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    @property
    def network(self) -> Network:
        """Every `*.test` on one of its ports, which its name decides; nothing else exists."""

        async def resolve(host: str, port: int) -> list[tuple[str, int]]:
            if not host.lower().rstrip(".").endswith(".test"):
                raise OSError(f"{host} does not exist in the simulated web")
            turn = hashlib.sha256(host.lower().encode()).digest()[0]
            return [("127.0.0.1", self.ports[turn % len(self.ports)])]

        return Network(resolve, frozenset(("127.0.0.1", port) for port in self.ports))

    async def ask(self, **order: object) -> dict[str, Any]:
        """One order, one answer."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(order).encode() + b"\n")
        async with asyncio.timeout(_PATIENCE):
            await self._child.stdin.drain()
            line = await self._child.stdout.readline()
        if not line:
            raise PolicyWatchError("The simulated web ended before the benchmark did.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def begin(self, round_: int) -> None:
        """From here on the pages are those of that round."""
        await self.ask(round=round_)

    async def figures(self) -> dict[str, Any]:
        """What its log says of the requests since it was asked last."""
        return await self.ask(figures=True)


@asynccontextmanager
async def own_web(
    scenario: Path, *, seed: int, rounds: int, start: datetime, length: timedelta, gap: float
) -> AsyncIterator[OwnWeb]:
    """The web of a scenario file, for as long as the context is open."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "policywatch.simulated.scenario_server", str(scenario)),
        *("--seed", str(seed), "--rounds", str(rounds), "--start", start.isoformat()),
        *("--length", str(length.total_seconds()), "--gap", str(gap)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**22,
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            first = await child.stdout.readline()
        if not first:
            raise PolicyWatchError("The simulated web did not start.", remedy="Its words stand above.")
        yield OwnWeb(child, json.loads(first)["ports"])
    finally:
        if child.stdin is not None:
            child.stdin.close()
        with contextlib.suppress(TimeoutError, ProcessLookupError):
            await asyncio.wait_for(child.wait(), 5.0)
        if child.returncode is None:
            child.kill()
            await child.wait()
