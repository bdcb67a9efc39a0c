"""Row-level security as an operator meets it: switched, told, backed up; the work goes on, and it costs little."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from policywatch.db import backup, rls
from policywatch.db.queries import load
from policywatch_tui.commands.base import run_guarded
from policywatch_tui.main import cli
from tests.databases import Cluster, Scratch, for_settings
from tests.db.attack_world import OURS, THEIRS, World, furnish

pytestmark = pytest.mark.needs_db
MANY = Path(__file__).parents[1] / "sql" / "many_changes.sql"


@pytest.fixture
def world(database: Scratch) -> Iterator[World]:
    """Two platforms, RLS on."""
    yield furnish(database, rls=True)


async def test_it_is_off_until_it_is_switched_on_and_a_switch_that_stands_writes_nothing(
    database: Scratch,
) -> None:
    off = await rls.state(database.owner)
    assert (off.on, off.whole, off.limited, off.scoped) == (False, True, 0, 0)
    on = await rls.switch(database.owner, on=True)
    assert (on.on, on.whole, on.limited) == (True, True, on.tables)
    assert await rls.switch(database.owner, on=True) == on
    again = await rls.switch(database.owner, on=False)
    assert (again.on, again.whole, again.limited) == (False, True, 0)
    rows = database.run("SELECT actor, after FROM app.audit_log WHERE action = 'config.rls' ORDER BY id")
    assert [r["after"] for r in rows] == [{"rls": True}, {"rls": False}]


async def test_a_policy_that_somebody_lifted_is_told(database: Scratch) -> None:
    await rls.switch(database.owner, on=True)
    database.run("ALTER TABLE app.guidance_drafts NO FORCE ROW LEVEL SECURITY")
    half = await rls.state(database.owner)
    assert (half.on, half.whole, half.limited) == (False, False, half.tables - 1)
    assert (await rls.switch(database.owner, on=True)).whole


def test_the_command_switches_and_says_what_holds(
    database: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "policywatch.yaml"
    dsn = json.dumps(for_settings(database.owner, monkeypatch))
    settings.write_text(
        f"database:\n  mode: dsn\n  dsn: {dsn}\n  owner_dsn: {dsn}\n  state_folder: {tmp_path}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("POLICYWATCH_CONFIG", str(settings))
    monkeypatch.chdir(tmp_path)
    assert run_guarded(cli, ["migrate", "rls", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rls"] is False
    assert run_guarded(cli, ["migrate", "rls", "on"]) == 0
    assert re.match(
        r"Row-level security is on: it holds in (\d+) of \1 tables; 0 people", capsys.readouterr().out
    )
    assert run_guarded(cli, ["migrate", "rls", "off", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "rls": False,
        "whole": True,
        "limited": 0,
        "scoped": 0,
        "tables": 21,
    }


def test_people_limited_to_a_platform_take_a_change_from_verdict_to_release(world: World) -> None:
    """Reviewer, editor and approver are limited to one platform, the daemon to none."""
    change = world.ids[OURS]["change"]
    before = world.database.run("SELECT undecided FROM read.queue_counts")[0]["undecided"]
    world.must("reviewer", "decide_change", change, 1, "accepted", "so")
    assert world.database.run("SELECT undecided FROM read.queue_counts")[0]["undecided"] == before - 1
    draft = world.must("editor", "create_draft", "t", "s", "b", "", [change])["id"]
    world.must("editor", "revise_draft", draft, 1, "s", "b2", "")
    asked = world.must("editor", "submit_draft", draft, 2, "all")["id"]
    with world.connected("daemon") as daemon:
        daemon.execute("SELECT app.record_audience(%s, 2, 0, NULL)", [asked])
    hash_ = bytes(world.value("SELECT content_hash FROM app.approval_requests WHERE id = %s", asked))
    publication = world.must("approver", "approve_request", asked, 2, hash_, 2)["id"]
    world.database.replace_clock()
    world.database.move_clock("6 minutes")
    with world.connected("daemon") as daemon:
        assert daemon.execute("SELECT app.release_publication(%s) AS s", [publication]).fetchone() == {
            "s": "releasing"
        }
        daemon.execute(
            "INSERT INTO app.publication_recipients (publication_id, recipient_hash) VALUES (%s, sha256('a')), (%s, sha256('b'))",
            [publication, publication],
        )
        daemon.execute("SELECT app.recipients_frozen(%s)", [publication])
    with world.connected("viewer") as viewer:
        row = viewer.execute(
            "SELECT state, queued FROM read.publications WHERE id = %s", [publication]
        ).fetchone()
    assert row == {"state": "releasing", "queued": 2}
    world.must("editor", "stop_publication", publication)


def test_a_draft_that_also_rests_on_another_platform_is_not_seen_and_keeps_its_changes(world: World) -> None:
    both = [world.ids[OURS]["accepted"], world.ids[THEIRS]["accepted"]]
    mixed = world.must("author", "create_draft", "both", "s", "b", "", both)["id"]
    general = world.must("author", "create_draft", "none", "s", "b", "", [])["id"]
    with world.connected("approver") as approver:
        seen = {r["id"] for r in approver.execute("SELECT id FROM read.drafts").fetchall()}
    assert mixed not in seen
    assert general in seen
    # its change stays decided, although the one who would undo it sees no draft
    refused = world.act("boss", "undo_verdict", world.ids[OURS]["accepted"], 2)
    assert (refused["code"], refused["sentence"]) == (
        "PW422",
        f"A draft quotes C-{world.ids[OURS]['accepted']}.",
    )


async def test_a_backup_by_an_administrator_who_is_no_superuser_is_whole(
    world: World, server: Cluster, tmp_path: Path
) -> None:
    """pg_dump refuses tables with policies unless it is told that they pass; here they do, and the counts say so."""
    role = server.role("dba")
    if not world.value("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", role):
        server.administrate("CREATE ROLE {role} LOGIN", role=role)
        server.administrate("GRANT pw_owner, pg_read_all_data TO {role}", role=role)
        with server.connect() as connection:
            connection.execute(f"ALTER ROLE {role} PASSWORD '{server.password(role)}'".encode())
    owner = make_conninfo(world.database.superuser, user=role, password=server.password(role))
    programs = server.embedded.programs() if server.embedded is not None else None
    place, manifest = await backup.create(owner, tmp_path / "backups", programs=programs, program="test")
    assert (
        manifest.rows["app.change_states" if "app.change_states" in manifest.rows else "change_states"] == 6
    )
    major = world.value("SELECT current_setting('server_version_num')::integer / 10000")
    tool = backup.program_of("pg_restore", major, programs)
    text = subprocess.run(
        [tool, "--data-only", "--table=change_states", "-f", "-", place / backup.DUMP],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert len(re.findall(r"^\d+\t", text, re.MULTILINE)) == 6


def test_a_critical_change_asks_for_more_approvals_where_that_is_set(database: Scratch) -> None:
    world = furnish(database, rls=False)
    database.run("UPDATE app.system_config SET value = '2' WHERE key = 'approvals_needed_critical'")
    ids = world.ids[OURS]
    world.must("boss", "decide_change", ids["change"], 1, "accepted", None)
    needed = dict[str, int]()
    for name, changes in (
        ("high", [ids["change"]]),
        ("critical", [ids["change"], ids["accepted"]]),
        ("none", []),
    ):
        draft = world.must("author", "create_draft", name, "s", "b", "", changes)["id"]
        answer = world.must("author", "submit_draft", draft, 1, "all")
        needed[name] = world.value(
            "SELECT approvals_needed FROM app.approval_requests WHERE id = %s", answer["id"]
        )
        if name == "critical":
            assert answer["sentence"] == f"A-{answer['id']} asks 2 persons for G-{draft}."
            asked = answer["id"]
    assert needed == {"high": 1, "critical": 2, "none": 1}
    with world.connected("daemon") as daemon:
        daemon.execute("SELECT app.record_audience(%s, 2, 0, NULL)", [asked])
    hash_ = bytes(world.value("SELECT content_hash FROM app.approval_requests WHERE id = %s", asked))
    first = world.must("second", "approve_request", asked, 2, hash_, 2)
    assert first["sentence"] == f"A-{asked} has 1 of 2 approvals."
    assert world.act("second", "approve_request", asked, 3, hash_, 2)["code"] == "PW422"
    assert "is approved" in world.must("approver", "approve_request", asked, 3, hash_, 2)["sentence"]


def test_the_queue_page_of_a_hundred_thousand_changes_costs_at_most_three_times_as_much(
    database: Scratch,
) -> None:
    """Off, on for who is not limited, on for who is limited to one of two platforms; medians of the same connection."""
    login = database.person("limited", "reviewer", platforms=[OURS])
    free = database.person("free", "reviewer")
    with psycopg.connect(database.superuser, autocommit=True) as root:
        root.execute("SET policywatch.many = '50000'")
        root.execute(MANY.read_bytes())
        root.execute("UPDATE app.platforms SET position = 1000 WHERE key = 'x'")
        root.execute(MANY.read_bytes())
        root.execute("VACUUM ANALYZE")
    platforms = database.run(
        "SELECT platform AS key FROM read.platform_status WHERE unreviewed > 0 ORDER BY 1"
    )
    assert [p["key"] for p in platforms] == ["facebook", "x"]
    desk = load("desk")
    page = {"rank": None, "at": None, "after": None, "most": 200}

    def measure(conninfo: str) -> dict[str, float]:
        with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as connection:
            times = dict[str, list[float]]()
            for _ in range(25):
                for name, query, values in (("page", desk.queue_page, page), ("counts", desk.counts, None)):
                    began = time.perf_counter()
                    rows = connection.execute(query.text.encode(), values).fetchall()
                    times.setdefault(name, []).append(time.perf_counter() - began)
                    assert len(rows) == (200 if name == "page" else 1)
        return {name: statistics.median(t) * 1000 for name, t in times.items()}

    off = measure(login)
    database.run("SELECT app.rls_on()")
    limited, unlimited = measure(login), measure(free)
    for name in off:
        print(
            f"rls of 100,000 changes, {name}: off {off[name]:.1f} ms, limited {limited[name]:.1f} ms"
            f" ({limited[name] / off[name]:.1f} x), not limited {unlimited[name]:.1f} ms ({unlimited[name] / off[name]:.1f} x)"
        )
    assert limited["page"] <= 3 * off["page"]
    assert unlimited["page"] <= 3 * off["page"]
