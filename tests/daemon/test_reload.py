"""The settings file is edited while a daemon runs: what is valid holds at once, what is not is told, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from policywatch.db.collecting import Claim
from policywatch.db.pool import Database
from policywatch.settings import Settings, load
from policywatch.simulated.mail import SmtpSink
from policywatch.simulated.texts import PLATFORMS
from policywatchd.collect import loop as collect
from policywatchd.collect.loop import open_schedule
from policywatchd.collect.visit import Visited, Visitor
from policywatchd.service import Service
from policywatchd.upkeep.reconcile import reconcile
from policywatchd.upkeep.reload import Follower, reconcile_at_start
from tests.daemon import mailing
from tests.daemon.collecting_world import World, open_world
from tests.daemon.test_processes import settings_file, start
from tests.databases import Scratch

pytestmark = [pytest.mark.needs_db]

SECONDS = 2.0  # from the end of an edit to its effect, on a quiet machine
PATIENCE = 30.0  # what a busy machine is given


@dataclass
class Running:
    """A daemon process in the pretend world, and its settings file."""

    world: World
    path: Path
    process: asyncio.subprocess.Process

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Write the file in place, as a shell would."""
        content = json.loads(self.path.read_text())
        change(content)
        self.path.write_text(json.dumps(content, indent=1))

    async def until(self, statement: str) -> float:
        """Wait for it; how many seconds it took."""
        began = time.monotonic()
        await self.world.until(statement, seconds=PATIENCE)
        return time.monotonic() - began

    def state(self, key: str) -> Any:
        """How the daemon says that its settings stand."""
        return self.world.value("SELECT progress -> 'settings' -> %s FROM app.workers", key)

    def same_process(self) -> bool:
        """One worker row, one process, never started again."""
        rows = self.world.rows("SELECT pid, stopped_at FROM app.workers")
        return [(row["pid"], row["stopped_at"]) for row in rows] == [(self.process.pid, None)]


@pytest_asyncio.fixture
async def daemon(database: Scratch, tmp_path: Path) -> AsyncIterator[Running]:
    async with open_world(database, PLATFORMS[:2]) as world:
        path = settings_file(world, tmp_path)
        path.write_text(path.read_text().replace('"timeout": "2 s"', '"timeout": "30 s"'))
        process = await start(world, path, "simulate", "--web", f"127.0.0.1:{world.web.port}")
        running = Running(world, path, process)
        try:
            await running.until("SELECT count(*) = 6 FROM app.policy_snapshots")
            await running.until("SELECT progress -> 'settings' ? 'loaded_at' FROM app.workers")
            yield running
        finally:
            if process.returncode is None:
                process.terminate()
            _, told = await asyncio.wait_for(process.communicate(), 40)
            assert b"Traceback" not in told, told.decode()


async def test_a_valid_edit_holds_within_two_seconds_and_its_difference_is_audited(daemon: Running) -> None:
    def change(content: dict[str, Any]) -> None:
        content["guidance"] = {"grace_period": "7 min"}
        content["alerts"] = {"mail_to": ["ops@desk.example"]}

    daemon.edit(change)
    took = await daemon.until(
        "SELECT value = '\"420 seconds\"' FROM app.system_config WHERE key = 'grace_period'"
    )
    await daemon.until("SELECT count(*) = 2 FROM app.audit_log WHERE action = 'config.applied'")

    first, second = daemon.world.rows(
        "SELECT before, after FROM app.audit_log WHERE action = 'config.applied' ORDER BY id"
    )
    assert second["before"]["sha256"] == first["after"]["sha256"] != second["after"]["sha256"]
    assert second["before"]["changed"] == {"guidance.grace_period": "5 min", "alerts.mail_to": []}
    assert second["after"]["changed"] == {"guidance.grace_period": "7 min", "alerts.mail_to": ["(address)"]}
    assert took < SECONDS or os.getloadavg()[0] > 2
    assert daemon.same_process()


async def test_a_platform_that_is_taken_out_is_archived_with_its_history_and_comes_back(
    daemon: Running,
) -> None:
    whole = daemon.path.read_text()
    daemon.edit(lambda content: content["platforms"].pop("facebook"))
    await daemon.until("SELECT state = 'archived' FROM app.platforms WHERE key = 'facebook'")
    assert daemon.world.value("SELECT count(*) FROM app.policy_documents WHERE state = 'archived'") == 3
    assert daemon.world.value("SELECT count(*) FROM app.policy_snapshots") == 6

    daemon.path.write_text(whole)
    await daemon.until("SELECT state = 'active' FROM app.platforms WHERE key = 'facebook'")
    await daemon.until(
        "SELECT count(*) = 9 FROM app.captures"
    )  # the three that came back were looked at again

    assert daemon.world.value("SELECT count(*) FROM app.policy_documents") == 6
    assert daemon.world.value("SELECT count(*) FROM app.policy_snapshots") == 6
    assert daemon.same_process()


async def test_an_invalid_edit_keeps_the_last_good_settings_and_is_told_until_the_next_valid_one(
    daemon: Running,
) -> None:
    good, sha256 = daemon.path.read_text(), daemon.state("sha256")
    daemon.path.write_text("fetch:\n  min_gap: 1 ms\n  concurency: 4\n")
    await daemon.until("SELECT count(*) = 1 FROM app.alerts WHERE kind = 'settings_refused'")

    sentence = daemon.world.value("SELECT sentence FROM app.alerts WHERE kind = 'settings_refused'")
    await daemon.until("SELECT progress #>> '{settings,fault}' IS NOT NULL FROM app.workers")
    assert f'{daemon.path}:3:3: unknown key "concurency" in fetch' in sentence
    assert "Did you mean concurrency?" in sentence
    assert daemon.state("fault") in sentence
    assert daemon.state("sha256") == sha256
    assert daemon.world.value("SELECT count(*) FROM app.policy_documents WHERE state = 'active'") == 6
    assert daemon.world.value("SELECT count(*) FROM app.audit_log WHERE action = 'config.applied'") == 1

    daemon.path.write_text(good)
    await daemon.until("SELECT closed_at IS NOT NULL FROM app.alerts WHERE kind = 'settings_refused'")
    await daemon.until("SELECT progress -> 'settings' ->> 'fault' IS NULL FROM app.workers")
    assert daemon.same_process()


@pytest.mark.parametrize("way", ["gone", "empty"])
async def test_a_file_that_vanishes_or_is_emptied_leaves_the_last_good_settings(
    daemon: Running, way: str
) -> None:
    good = daemon.path.read_text()
    if way == "gone":
        daemon.path.unlink()
    else:
        daemon.path.write_text("\n")
    await daemon.until(
        f"SELECT count(*) = 1 FROM app.alerts WHERE closed_at IS NULL AND sentence LIKE '%the settings file is {way}%'"
    )
    assert daemon.world.value("SELECT count(*) FROM app.policy_documents WHERE state = 'active'") == 6

    daemon.path.write_text(good)
    await daemon.until("SELECT closed_at IS NOT NULL FROM app.alerts WHERE kind = 'settings_refused'")
    assert daemon.same_process()


async def test_an_editor_that_replaces_the_file_is_followed_again_and_again(daemon: Running) -> None:
    for minutes in (6, 7, 8):
        content = json.loads(daemon.path.read_text())
        content["guidance"] = {"grace_period": f"{minutes} min"}
        new = daemon.path.with_name("policywatch.yaml.new")
        new.write_text(json.dumps(content))
        daemon.path.rename(daemon.path.with_name("policywatch.yaml~"))
        new.rename(daemon.path)
        await daemon.until(
            f"SELECT value = '\"{minutes * 60} seconds\"' FROM app.system_config WHERE key = 'grace_period'"
        )
    assert daemon.world.value("SELECT count(*) FROM app.alerts WHERE kind = 'settings_refused'") == 0
    assert daemon.same_process()


async def test_two_hundred_quick_saves_end_with_the_last_one_and_lose_nothing(daemon: Running) -> None:
    for number in range(200):

        def change(content: dict[str, Any], number: int = number) -> None:
            content["guidance"] = {"grace_period": f"{number + 1} s"}
            content["fetch"]["concurrency"] = number % 8 + 1
            for document in content["platforms"]["facebook"]["documents"].values():
                document["cadence"] = "1 s" if number == 199 else "1 h"

        daemon.edit(change)
        await asyncio.sleep(0.01)
    await daemon.until("SELECT value = '\"200 seconds\"' FROM app.system_config WHERE key = 'grace_period'")
    before = daemon.world.value("SELECT count(*) FROM app.captures")
    await daemon.until(f"SELECT count(*) >= {before} + 6 FROM app.captures")

    applied = daemon.world.rows(
        "SELECT before ->> 'sha256' AS old, after ->> 'sha256' AS new FROM app.audit_log"
        " WHERE action = 'config.applied' ORDER BY id"
    )
    assert [row["old"] for row in applied[1:]] == [row["new"] for row in applied[:-1]]
    assert len(applied) < 100  # saves that come close together are taken together
    assert daemon.world.value("SELECT count(*) FROM app.policy_documents WHERE state = 'active'") == 6
    assert daemon.world.value("SELECT count(*) FROM app.policy_snapshots") == 6
    assert daemon.world.value("SELECT count(*) FROM app.audit_log WHERE action = 'visit.late_result'") == 0
    assert daemon.world.value("SELECT count(*) FROM app.alerts WHERE kind <> 'master_key'") == 0
    assert daemon.same_process()


async def test_a_key_that_needs_a_restart_is_named_and_the_rest_holds_at_once(daemon: Running) -> None:
    def change(content: dict[str, Any]) -> None:
        content["database"]["pool_size"] = 7
        content["metrics"] = {"enabled": False, "listen": "127.0.0.1:9999"}
        content["guidance"] = {"grace_period": "9 min"}

    daemon.edit(change)
    await daemon.until("SELECT value = '\"540 seconds\"' FROM app.system_config WHERE key = 'grace_period'")
    await daemon.until("SELECT progress #> '{settings,needs_restart}' <> '[]' FROM app.workers")

    assert daemon.state("needs_restart") == ["database.pool_size", "metrics.listen"]
    assert daemon.same_process()


def reopened(service: Service) -> list[str]:
    """The rooms that are asked to open themselves again."""
    return [room for room in ("collect", "publish") if service.renewal(room).is_set()]


async def test_on_a_laptop_without_a_file_the_first_one_that_is_written_is_followed(
    database: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    async with await Database.open(database.daemon) as db:
        service = Service(db, load())
        assert service.settings.source_path is None
        await reconcile_at_start(db, service.settings)
        follower = Follower(service)
        assert not await follower.look() and tmp_path in follower.folders()

        written = tmp_path / "policywatch.yaml"
        written.write_text("fetch: {min_gap: 3 s}\nguidance: {grace_period: 8 min}\n")
        assert await follower.look()
        assert reopened(service) == ["collect"]
        assert str(service.settings.source_path) == str(written)

        written.write_text("fetch: {min_gap: 3 s}\nguidance: {grace_period: 5 min}\n")
        service.renewal("collect").clear()
        assert await follower.look() and reopened(service) == []
        await service.reader.close()
    last = database.run(
        "SELECT before, after FROM app.audit_log WHERE action = 'config.applied' ORDER BY id DESC"
    )[0]
    assert last["after"]["changed"] == {"guidance.grace_period": "5 min"}


async def test_what_changed_while_no_daemon_ran_is_audited_at_the_next_start(
    database: Scratch, tmp_path: Path
) -> None:
    file = tmp_path / "policywatch.yaml"

    def written(text: str) -> Settings:
        file.write_text(f"catalogue: none\ndatabase: {{state_folder: {tmp_path}}}\n{text}")
        return load(file)

    async with await Database.open(database.daemon) as db:
        await reconcile_at_start(db, written("fetch: {cadence: 6 h}"))
        await reconcile_at_start(db, written("fetch: {cadence: 7 h}"))
    rows = database.run("SELECT before, after FROM app.audit_log WHERE action = 'config.applied' ORDER BY id")
    assert "changed" not in rows[0]["after"]
    assert (rows[1]["before"]["changed"], rows[1]["after"]["changed"]) == (
        {"fetch.cadence": "6 h"},
        {"fetch.cadence": "7 h"},
    )
    assert (tmp_path / "applied-settings.json").stat().st_mode & 0o777 == 0o600


async def test_a_visit_under_way_ends_by_the_settings_it_began_with_and_nothing_is_claimed_meanwhile(
    database: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    visit, opened, claimed = Visitor.visit, list[Settings](), list[str]()

    async def slow(self: Visitor, claim: Claim, *more: Any) -> Visited:
        claimed.append(claim.name)
        began.set()
        await go_on.wait()
        return await visit(self, claim, *more)

    def opening(service: Service) -> Any:
        opened.append(service.settings)
        return open_schedule(service)

    monkeypatch.setattr(Visitor, "visit", slow)
    monkeypatch.setattr(collect, "open_schedule", opening)
    async with open_world(database, PLATFORMS[:1]) as world:
        service = await world.service()
        await reconcile(service.db, service.settings)
        running = asyncio.create_task(collect.run(service))
        await asyncio.wait_for(began.wait(), PATIENCE)

        wanted = world.settings.model_copy(
            update={"fetch": world.settings.fetch.model_copy(update={"concurrency": 3})}
        )
        service.replace_settings(wanted, ["collect"])
        for _ in range(3):
            await world.until("SELECT true")
        assert (len(claimed), len(opened), service.renewal("collect").is_set()) == (1, 1, True)

        go_on.set()
        await world.until("SELECT count(*) = 3 FROM app.policy_snapshots", seconds=PATIENCE)
        assert [settings.fetch.concurrency for settings in opened] == [world.settings.fetch.concurrency, 3]
        assert sorted(claimed) == sorted(set(claimed))
        service.stop()
        await asyncio.wait_for(running, PATIENCE)
    assert database.run("SELECT max(fence) AS n FROM app.policy_documents") == [{"n": 1}]


async def test_a_new_relay_takes_over_between_two_mails_without_a_restart(
    database: Scratch, tmp_path: Path
) -> None:
    async with SmtpSink() as old, SmtpSink() as new, mailing.world(database, tmp_path) as scene:
        scene.port = old.port
        async with scene.room() as room:
            first = await scene.approved(room)
            await scene.move_clock("6 minutes")
            room.woken.set()
            await scene.until_state(first, "sent")

            scene.port = new.port
            room.settings = scene.settings()
            room.renewed.set()
            second = await scene.approved(room)
            await scene.move_clock("6 minutes")
            room.woken.set()
            await scene.until_state(second, "sent")
        assert await scene.states() == {"sent": 10}
    assert old.recipients() == new.recipients() == dict.fromkeys(mailing.addresses(5), 1)
