"""`bench database`: every question of the desk is measured, and nothing of it stays behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from policywatch.db.bench_measure import worst_node
from policywatch.db.queries import load
from tests.databases import Cluster, for_settings


def _command(server: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> list[str]:
    """`bench database` on the server of this run, which the settings name as an administrator's."""
    settings = folder / "policywatch.yaml"
    settings.write_text(
        yaml.safe_dump({"database": {"mode": "dsn", "dsn": for_settings(server.superuser, monkeypatch)}}),
        "utf-8",
    )
    program = [sys.executable, "-m", "policywatch_tui.main", "--config", str(settings)]
    return [*program, "bench", "database", *options]


def _left(server: Cluster) -> set[str]:
    """Databases and logins of benchmarks on this server."""
    with server.connect() as connection:
        rows = connection.execute(
            "SELECT datname AS name FROM pg_database WHERE datname LIKE 'pwb\\_%'"
            " UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE 'pwb\\_%'"
        )
        return {row["name"] for row in rows}


@pytest.mark.needs_db
def test_every_question_of_the_desk_is_measured_and_the_scratch_database_is_dropped(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given the server of this run
    # when a small benchmark runs
    done = subprocess.run(
        _command(server, tmp_path, monkeypatch, "--scale", "300", "--runs", "5", "--json"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    # then it answers with every statement of the desk, each beside its floor and with a plan node
    assert done.returncode in (0, 1), done.stderr  # 1: this machine was too busy for a budget
    report = json.loads(done.stdout)
    figures = {figure["query"]: figure for figure in report["figures"]}
    assert {query.name for query in load("desk").values()} <= set(figures)
    assert {"bench.guidance_metrics", "publishing.claim_recipients", "collecting.claim_due"} <= set(figures)
    assert report["left_out"] == {}
    assert figures["desk.queue_page"]["rows"] > 0
    assert figures["desk.counts"]["floor_p95_ms"] > 0
    assert figures["desk.counts"]["node"]["what"]
    assert report["seed"]["rows"]["change_states"] == 300
    assert [budget["name"] for budget in report["budgets"]][:2] == ["queue page", "counts"]
    # and neither its database nor its logins are there any more
    assert re.fullmatch(r"pwb_[0-9a-f]+", report["database"])
    assert report["database"] not in _left(server)
    assert f"{report['database']}_person" not in _left(server)


@pytest.mark.needs_db
def test_an_ended_benchmark_leaves_nothing_behind(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a benchmark that fills its database
    before = _left(server)
    running = subprocess.Popen(
        _command(server, tmp_path, monkeypatch, "--scale", "50000"), stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not any(name.endswith("_daemon") for name in _left(server) - before):
            assert running.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline, "it made no database"
            time.sleep(0.05)
        # when it is asked to end
        running.send_signal(signal.SIGTERM)
        code = running.wait(60)
    finally:
        running.kill()
    # then it says that it was interrupted, and its database and logins are gone
    assert code == 130
    assert _left(server) - before == set()


def test_the_worst_node_is_the_one_with_most_time_of_its_own() -> None:
    plan = {
        "Node Type": "Limit",
        "Actual Total Time": 10.0,
        "Actual Loops": 1,
        "Actual Rows": 5,
        "Plans": [
            {
                "Node Type": "Nested Loop",
                "Actual Total Time": 9.0,
                "Actual Loops": 1,
                "Actual Rows": 5,
                "Plans": [
                    {
                        "Node Type": "Seq Scan",
                        "Relation Name": "a",
                        "Actual Total Time": 1.0,
                        "Actual Loops": 1,
                    },
                    {
                        "Node Type": "Index Scan",
                        "Relation Name": "b",
                        "Index Name": "b_pkey",
                        "Actual Total Time": 0.7,
                        "Actual Loops": 10,
                        "Actual Rows": 1,
                    },
                ],
            }
        ],
    }
    worst = worst_node(plan)
    assert (worst.what, worst.own_ms, worst.rows, worst.loops) == (
        "Index Scan using b_pkey on b",
        7.0,
        10,
        10,
    )
