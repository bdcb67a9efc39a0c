"""`policywatchd bench collect --scenario FILE`: rounds of visits by the real collector, judged by the truth.

Each round the web goes on. A round is a little longer than the cadence, so that every document is due in it; the
clock goes on in steps of 20 minutes, or to where the next visit, second look or retry is due.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from policywatch.db import bench_collect as asked
from policywatch.db.pool import Database
from policywatch.db.scratch import Scratch, maintenance, open_one, scratch
from policywatch.errors import PolicyWatchError, UsageError
from policywatch.settings import Settings
from policywatch.simulated.scenario_file import load as load_scenario
from policywatch.simulated.scenario_script import Script
from policywatchd.bench import costs
from policywatchd.bench.outside import OutsideTruth, OutsideWeb, outside_web, platforms_of
from policywatchd.bench.place import QUICK, Failures, beside, collector, settings_of
from policywatchd.bench.truth import Truth
from policywatchd.bench.web import OwnWeb, own_web
from policywatchd.service import Service, lease_for
from policywatchd.upkeep.health import Health

__all__ = ["run"]

_LONGER = 1.06  # a round against the cadence, by a twentieth of which visits are spread
_STEP = timedelta(minutes=20)
_STALL = 120.0  # seconds without an end of what is due
_REPORTED = frozenset({"queued", "unconfirmed", "decided", "undone"})

Say = Callable[[int, int, str], None]


@dataclass(slots=True)
class _Run:
    """One run on its way."""

    truth: Truth | OutsideTruth
    owner: Database
    service: Service
    web: OwnWeb | OutsideWeb
    made: Scratch
    started: datetime
    failures: Failures
    reported: set[int] = field(default_factory=set)
    last_snapshot: int = 0
    last_capture: int = 0
    health: Health = field(default_factory=Health)
    _failed: int = 0

    async def rounds(self, say: Say) -> list[dict[str, Any]]:
        """Every round, the first state (round 0) included."""
        rows = list[dict[str, Any]]()
        last = self.truth.scenario.rounds
        for round_ in range(last + 1):
            rows.append(await self._round(round_))
            row = rows[-1]
            say(round_ + 1, last + 1, f"round {round_}: {row['reported']} reported, {row['errors']} errors")
        return rows

    async def _round(self, round_: int) -> dict[str, Any]:
        costs_before, began = self._costs(), time.monotonic()
        await self.web.begin(round_)
        start = self.started + round_ * self.truth.length
        await asked.move_clock(self.owner, start)
        await self._settle()
        while (waiting := await asked.waiting(self.owner)).next_at is not None:
            here = await asked.now(self.owner)
            at = max(here + _STEP, waiting.next_at)
            if at >= start + self.truth.length:
                break
            await asked.move_clock(self.owner, at)
            await self._settle()
        figures = await self.web.figures()
        reported = await self._look(round_)
        standing = await asked.standing(self.owner)
        self.truth.end_round(round_, await asked.now(self.owner), standing)
        captures = await asked.captures(self.owner, self.last_capture)
        self.last_capture = captures["last"]
        self._manners(round_, figures)
        spent = [
            None if a is None or b is None else round(b - a, 2)
            for a, b in zip(costs_before, self._costs(), strict=True)
        ]
        return {
            "round": round_,
            "reported": len(reported),
            "reported_documents": reported,
            "errors": captures["failed"] + captures["suspect"],
            "suspect": captures["suspect"],
            "requests": figures["requests"],
            "not_modified": figures["not_modified"],
            "max_in_flight_per_host": figures["max_in_flight_per_host"],
            "min_gap_violations": figures["min_gap_violations"],
            "blind": sum(row["blind_since"] is not None for row in standing),
            "cpu_s": round((spent[0] or 0) + (spent[1] or 0), 2),
            "reader_cpu_s": spent[1],
            "postgres_cpu_s": spent[2],
            "rss_mb": costs.memory_mb(),
            "seconds": round(time.monotonic() - began, 1),
        }

    def _costs(self) -> tuple[float | None, ...]:
        return (
            costs.our_seconds(),
            costs.reader_seconds(self.web.pid),
            costs.tree_seconds(self.made.postmaster),
        )

    def _manners(self, round_: int, figures: Mapping[str, Any]) -> None:
        for near in figures["too_close"]:
            self.truth.notes.append({"fault": "min_gap_violations", "round": round_, "request": near})
        self.truth.counts["min_gap_violations"] += figures["min_gap_violations"]
        self.truth.counts["in_flight_violations"] += figures["max_in_flight_per_host"] > 1
        for path in figures["refused_paths"]:
            self.truth.fault("robots_ignored", path, round_)

    async def _settle(self) -> None:
        """Until nothing is due and nothing is being visited."""
        self.service.wake("collect").set()
        patience = time.monotonic() + _STALL
        while True:
            waiting = await asked.waiting(self.owner)
            if not waiting.held and not waiting.due:
                await self.health.look(self.service.db)
                # The gap of a host is over on a clock that is moved: it has to be over on the real one, too.
                await asyncio.sleep(self.service.settings.fetch.min_gap.total_seconds() * 1.3)
                return
            if not waiting.due and self._failed < len(self.failures.told):
                self._failed = len(self.failures.told)  # what a failed visit held comes free with its lease
                await asked.move_clock(
                    self.owner, await asked.now(self.owner) + lease_for(self.service.settings)
                )
            if time.monotonic() > patience:
                raise PolicyWatchError(
                    f"The collector stands still: {waiting.due} documents are due, {waiting.held} held.",
                    remedy="Its log says why (leave out --quiet).",
                )
            await asyncio.sleep(0.05)

    async def _look(self, round_: int) -> list[str]:
        """What was believed and reported in this round."""
        for row in await asked.snapshots(self.owner, self.last_snapshot):
            self.last_snapshot = row["id"]
            text = await asked.text(self.owner, row["text_sha256"])
            self.truth.snapshot(row["document"], row["kind"], text, round_)
        names = list[str]()
        for row in await asked.changes(self.owner):
            if row["id"] in self.reported or row["status"] not in _REPORTED:
                continue
            self.reported.add(row["id"])
            names.append(row["document"])
            before, after = [
                await asked.text(self.owner, row[f"{side}_sha256"]) for side in ("before", "after")
            ]
            linked = row["reverts"] is not None or row["same_as"] is not None
            self.truth.report(row["document"], row["id"], before, after, round_, linked=linked)
        return names

    async def end(self) -> None:
        """Judge what is believed at the end."""
        standing = await asked.standing(self.owner)
        texts = {
            row["document"]: await asked.text(self.owner, row["text_sha256"])
            for row in standing
            if row["text_sha256"] is not None
        }
        for words in self.failures.told:
            self.truth.fault("visits_failed", "", self.truth.scenario.rounds, words=words)
        self.truth.finish(standing, texts)


async def run(
    settings: Settings,
    file: Path,
    *,
    seed: int | None = None,
    rounds: int | None = None,
    truth_file: Path | None = None,
    say: Say = lambda _done, _total, _text: None,
) -> dict[str, Any]:
    """All rounds of a scenario; `settings` decide only which server holds the scratch database."""
    scenario = load_scenario(file).at(seed=seed, rounds=rounds)
    script = Script(scenario) if scenario.server is None else None
    if truth_file is not None:
        _write_truth(truth_file, script)
    began, length = time.monotonic(), scenario.cadence * _LONGER
    async with contextlib.AsyncExitStack() as ends:
        mine = settings_of(scenario, script.platforms() if script else platforms_of(scenario))
        say(0, scenario.rounds + 1, "Making a scratch database ...")
        superuser, postmaster = await maintenance(settings, ends, extra=QUICK)
        made = await scratch(superuser, ends, postmaster=postmaster)
        owner = await ends.enter_async_context(await open_one(made.owner))
        await asked.prepare(owner)
        started = await asked.now(owner)
        gap = mine.fetch.min_gap.total_seconds()
        web: OwnWeb | OutsideWeb
        if scenario.server is None:
            own = own_web(
                file, seed=scenario.seed, rounds=scenario.rounds, start=started, length=length, gap=gap
            )
            web = await ends.enter_async_context(own)
        else:
            web = await ends.enter_async_context(outside_web(scenario.server, gap))
        truth = Truth(script, length, mine.fetch.full_fetch) if script else OutsideTruth(scenario, length)
        async with collector(made, mine, web.network, scenario.seed) as (service, schedule):
            on_its_way = _Run(truth, owner, service, web, made, started, ends.enter_context(Failures()))
            rows = await beside(schedule, service, on_its_way.rounds(say))
            await on_its_way.end()
    figures = truth.figures()
    return {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "rounds": scenario.rounds,
        "documents": len(script.documents if script else scenario.outside),
        "seconds": round(time.monotonic() - began, 1),
        "rss_mb": max(row["rss_mb"] for row in rows),
        "max_in_flight_per_host": max(row["max_in_flight_per_host"] for row in rows),
        **figures,
        "held": not any(figures["faults"].values()),
        "by_round": rows,
        "notes": truth.notes[:200],
    }


def _write_truth(file: Path, script: Script | None) -> None:
    if script is None:
        raise UsageError("The truth of an outside server stands in the scenario itself.")
    file.write_text(json.dumps(script.truth(), indent=1) + "\n", encoding="utf-8")
