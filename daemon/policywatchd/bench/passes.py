"""`policywatchd bench collect` without a scenario: what one pass over unchanged documents costs.

Beside it, in the same run and by turns, a bare httpx loop that asks the same web the same conditional requests. The
web is a process of its own; PostgreSQL's share is read from its processes and printed apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from policywatch.db import bench_collect as asked
from policywatch.db.pool import Database
from policywatch.db.scratch import Scratch, maintenance, open_one, scratch
from policywatch.errors import PolicyWatchError
from policywatch.settings import Settings
from policywatch.simulated.scenario_file import load as load_scenario
from policywatch.simulated.scenario_script import Script
from policywatchd.bench import costs
from policywatchd.bench.place import QUICK, beside, collector, settings_of
from policywatchd.bench.web import OwnWeb, own_web
from policywatchd.collect.visit import Visited
from policywatchd.schedule import Schedule
from policywatchd.service import Service

__all__ = ["FLAT", "MEMORY_MB", "RATIO", "run"]

RATIO = 2.5  # of the daemon's processor time to the bare loop's, at most
MEMORY_MB = 150.0
FLAT = 1.3  # cost per document of the largest number of documents to that of the smallest, at most

_PATIENCE = 1800.0
_FETCH = {"min_gap": "1 ms", "timeout": "30 s", "concurrency": 8}

Say = Callable[[int, int, str], None]


def _scenario(documents: int) -> dict[str, Any]:
    """Nothing happens in it: every page stays as it is."""
    few = max(1, min(50, documents // 2))
    return {
        "name": f"{documents} unchanged documents",
        "rounds": 1,
        "documents": {
            "count": documents,
            "platforms": few,
            "hosts": few,
            "pages": [1],
            "validators": ["both", "etag", "date"],
        },
        "noise": {"share": 0.0},
        "fetch": _FETCH,
    }


async def run(
    settings: Settings,
    documents: Sequence[int],
    *,
    passes: int = 5,
    say: Say = lambda _done, _total, _text: None,
    profile: cProfile.Profile | None = None,
) -> dict[str, Any]:
    """The passes for each number of documents; `settings` decide only which server holds the scratch database.

    `profile` collects what the daemon does in them (and makes it slower than it is).
    """
    sizes = list[dict[str, Any]]()
    for number in sorted(documents):
        async with contextlib.AsyncExitStack() as ends:
            folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="policywatch-bench-web-")))
            sizes.append(await _size(settings, ends, folder, number, passes, say, profile))
    per_document = [size["cpu_ms_per_document"] for size in sizes]
    flat = round(per_document[-1] / per_document[0], 2)
    ratio, memory = max(size["ratio"] for size in sizes), max(size["rss_mb"] for size in sizes)
    limits = {"ratio": RATIO, "rss_mb": MEMORY_MB, "largest_to_smallest": FLAT}
    return {
        "ratio": ratio,
        "rss_mb": memory,
        "largest_to_smallest": flat,
        "limits": limits,
        "held": ratio <= RATIO and memory <= MEMORY_MB and flat <= FLAT,
        "sizes": sizes,
    }


async def _size(
    settings: Settings,
    ends: contextlib.AsyncExitStack,
    folder: Path,
    documents: int,
    passes: int,
    say: Say,
    profile: cProfile.Profile | None,
) -> dict[str, Any]:
    file = folder / "scenario.json"
    file.write_text(json.dumps(_scenario(documents)), encoding="utf-8")
    scenario = load_scenario(file)
    script = Script(scenario, texts=False)  # the daemon's memory is measured, not the texts of the web
    mine = settings_of(scenario, script.platforms())
    superuser, postmaster = await maintenance(settings, ends, extra=QUICK)
    made = await scratch(superuser, ends, postmaster=postmaster)
    owner = await ends.enter_async_context(await open_one(made.owner))
    await asked.prepare(owner)
    web = await ends.enter_async_context(
        own_web(file, seed=1, rounds=1, start=await asked.now(owner), length=scenario.cadence, gap=0.0)
    )
    async with collector(made, mine, web.network, 1) as (service, schedule):
        measuring = _Measuring(documents, script, web, made, service, schedule)
        rows, first = await beside(schedule, service, measuring.all(owner, passes, say, profile))
    return {
        "documents": documents,
        "first_look": first,
        "passes": rows,
        "ratio": round(statistics.median(row["ratio"] for row in rows), 2),
        "cpu_s": round(statistics.median(row["cpu_s"] for row in rows), 3),
        "bare_cpu_s": round(statistics.median(row["bare_cpu_s"] for row in rows), 3),
        "postgres_cpu_s": first["postgres_cpu_s"]
        and round(statistics.median(row["postgres_cpu_s"] for row in rows), 2),
        "cpu_ms_per_document": round(statistics.median(row["cpu_s"] for row in rows) * 1000 / documents, 3),
        "rss_mb": max(row["rss_mb"] for row in rows),
    }


class _Measuring:
    """The daemon's passes and the bare loop's, by turns."""

    def __init__(
        self, documents: int, script: Script, web: OwnWeb, made: Scratch, service: Service, schedule: Schedule
    ) -> None:
        self._documents, self._web, self._made, self._service = documents, web, made, service
        self._addresses = [(page.host, page.path) for one in script.documents for page in one.pages]
        self._validators: list[dict[str, str]] = [{} for _ in self._addresses]
        self._seen: set[int] = set()
        self._all_seen = asyncio.Event()
        schedule.on_visited = self._visited

    def _visited(self, visited: Visited) -> None:
        if visited.outcome == "put_back":
            return
        self._seen.add(visited.claim.document_id)
        if len(self._seen) >= self._documents:
            self._all_seen.set()

    async def all(
        self, owner: Database, passes: int, say: Say, profile: cProfile.Profile | None
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The first look, then the passes."""
        say(0, passes + 1, f"first look at {self._documents} documents")
        first = await self._look()
        while True:
            waiting = await asked.waiting(owner)
            if not waiting.due and not waiting.held:
                break
            await asyncio.sleep(0.2)  # a new page may be looked at twice before it is believed
        await self._bare(conditional=False)
        rows = list[dict[str, Any]]()
        for number in range(passes):
            await self._web.figures()
            plain = await self._bare(conditional=True)
            self._hold(await self._web.figures(), "the bare loop")
            await asked.make_due(owner)
            if profile is not None:
                profile.enable()
            row = {"bare_cpu_s": round(plain, 3)} | await self._look()
            if profile is not None:
                profile.disable()
            self._hold(await self._web.figures(), "the daemon")
            row["ratio"] = round(row["cpu_s"] / plain, 2)
            rows.append(row)
            say(number + 1, passes + 1, f"{row['cpu_s']} s beside {row['bare_cpu_s']} s")
        return rows, first

    def _hold(self, figures: Mapping[str, Any], who: str) -> None:
        """Both sides ask the same: each page once, by its validators, and nothing else."""
        if figures["not_modified"] != self._documents or figures["requests"] != self._documents:
            raise PolicyWatchError(
                f"{who} sent {figures['requests']} requests of which {figures['not_modified']} got 304; "
                f"{self._documents} were expected."
            )

    async def _look(self) -> dict[str, Any]:
        """The daemon looks at what is due, until all of it was looked at."""
        self._seen.clear()
        self._all_seen.clear()
        before = costs.tree_seconds(self._made.postmaster)
        cpu, reader, began = costs.our_seconds(), costs.reader_seconds(self._web.pid), time.monotonic()
        self._service.wake("collect").set()
        async with asyncio.timeout(_PATIENCE):
            await self._all_seen.wait()
        cpu, reader = costs.our_seconds() - cpu, costs.reader_seconds(self._web.pid) - reader
        after = costs.tree_seconds(self._made.postmaster)
        return {
            "cpu_s": round(cpu + reader, 3),
            "reader_cpu_s": round(reader, 3),
            "postgres_cpu_s": None if before is None or after is None else round(after - before, 2),
            "seconds": round(time.monotonic() - began, 2),
            "rss_mb": costs.memory_mb(),
        }

    async def _bare(self, *, conditional: bool) -> float:
        """Processor seconds of a loop with nothing but httpx in it."""
        ports = self._web.network.resolver
        places = [(await ports(host, 80))[0] for host, _ in self._addresses]
        async with httpx.AsyncClient(trust_env=False) as client:
            began = costs.our_seconds()
            for at, (host, path) in enumerate(self._addresses):
                address, port = places[at]
                headers = {"Host": host, **self._validators[at]}
                answer = await client.get(f"http://{address}:{port}{path}", headers=headers)
                if not conditional:
                    names = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
                    self._validators[at] = {
                        sent: answer.headers[name] for name, sent in names.items() if name in answer.headers
                    }
            return costs.our_seconds() - began
