"""`bench collect`: a small web that misbehaves, the real collector, and figures beside the truth."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.databases import Cluster, for_settings

pytestmark = [pytest.mark.needs_db, pytest.mark.story]

SMALL: dict[str, Any] = {
    "name": "twelve documents",
    "rounds": 8,
    "documents": {"count": 12, "platforms": 4, "hosts": 3, "pages": [1, 1, 3]},
    "noise": {"share": 0.3},
    "bad": {
        "share": 0.1,
        "rounds": [2, 6],
        "lasting": [1, 3],
        "kinds": ["captcha", "login_redirect", "soft_404", "half", "forbidden", "too_many_wait", "server_error"],
    },
    "changes": {"count": 8, "rounds": [1, 6]},
    "refused": 0.08,
    "moved": 0.08,
}  # fmt: skip
FIGURES = {
    "reported", "errors", "requests", "not_modified", "max_in_flight_per_host", "cpu_s", "rss_mb",
}  # fmt: skip


async def bench(
    server: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch, scenario: dict[str, Any], *more: str
) -> tuple[int, dict[str, Any]]:
    """`bench collect` on the server of this run; its exit code and its report."""
    settings, file = folder / "policywatch.yaml", folder / "scenario.json"
    dsn = for_settings(server.superuser, monkeypatch)
    settings.write_text(yaml.safe_dump({"database": {"mode": "dsn", "dsn": dsn}}), "utf-8")
    file.write_text(json.dumps(scenario), "utf-8")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "policywatch_tui.main", "--config", str(settings), "--json"),
        *("bench", "collect", "--scenario", str(file), *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(90):
            out, words = await child.communicate()
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()
    assert child.returncode in (0, 1), words.decode()
    return child.returncode, json.loads(out)


async def test_every_real_change_of_a_web_that_misbehaves_is_found_once_and_nothing_else(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given twelve documents of which some change, some are walled for a while, one is refused by robots.txt
    truth = tmp_path / "truth.json"
    # when the collector visits them for nine rounds
    code, report = await bench(server, tmp_path, monkeypatch, SMALL, "--seed", "2", "--truth", str(truth))
    # then it found what the truth says, and nothing of what must not happen happened
    assert report["faults"] == dict.fromkeys(report["faults"], 0), report["notes"]
    assert (code, report["held"]) == (0, True)
    written = json.loads(truth.read_text("utf-8"))
    assert report["changes"] == sum(len(one["changes"]) for one in written["by_round"]) == 8
    assert report["changes_found"] + report["undecided"] >= 8
    # and each round has its figures
    assert [row["round"] for row in report["by_round"]] == list(range(9))
    assert all(set(row) >= FIGURES for row in report["by_round"])
    assert report["by_round"][0]["reported"] == 0
    assert sum(row["errors"] for row in report["by_round"]) > 0
    assert sum(row["not_modified"] for row in report["by_round"]) > 0
    # and the scratch database is gone
    with server.connect() as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'pwb\\_%'").fetchall()
    assert left == []


async def test_a_page_that_makes_its_host_ask_for_time_does_not_hide_its_document(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given documents of three pages, one of which answers 429 for three rounds, all on one host
    scenario = {
        "rounds": 6,
        "documents": {"count": 3, "platforms": 3, "hosts": 1, "pages": [3]},
        "bad": {"share": 0.34, "rounds": [1, 4], "lasting": [3, 3], "brief": 0, "kinds": ["too_many_wait", "too_many"]},
        "changes": {"count": 2, "rounds": [4, 4]},
    }  # fmt: skip
    # when the collector visits them
    code, report = await bench(server, tmp_path, monkeypatch, scenario)
    # then it is told in time that they are blind, and nothing is late
    assert report["faults"] == dict.fromkeys(report["faults"], 0), report["notes"]
    assert code == 0
    assert max(row["blind"] for row in report["by_round"]) > 0


PARAGRAPH = "You may use the service as these terms say, and we may change them within thirty days. " * 20


@asynccontextmanager
async def somebody_elses_server() -> AsyncIterator[tuple[int, list[str]]]:
    """A server of three pages, one of which changes in round 2; its port, and the hosts that were asked."""
    rounds, hosts = [0], list[str]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                path = head.split(" ")[1]
                status, body = "200 OK", ""
                if path.startswith("/round/"):
                    rounds[0] = int(path.rpartition("/")[2])
                elif path == "/robots.txt":
                    status = "404 Not Found"
                else:
                    hosts.append(head.lower().partition("host: ")[2].partition("\r\n")[0])
                    fresh = (
                        "<p>We now keep logs for 99 days.</p>" if path == "/terms" and rounds[0] > 1 else ""
                    )
                    body = f"<html><body><h1>Terms of {path}</h1><p>{PARAGRAPH}</p>{fresh}</body></html>"
                answer = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                writer.write(answer.encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], hosts


async def test_an_outside_server_on_loopback_is_visited_and_judged_by_the_files_truth(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with somebody_elses_server() as (port, hosts):
        # given a scenario that names a server and what changes there
        scenario = {
            "rounds": 4,
            "server": {"host": "127.0.0.1", "port": port, "advance": "/round/{round}"},
            "documents": [
                {
                    "platform": "acme",
                    "key": key,
                    "pages": [{"url": f"http://{host}/{key}", "select": ["body"]}],
                }
                for key, host in (
                    ("terms", "acme.test"),
                    ("privacy", "acme.test"),
                    ("rules", "rules.test:8080"),
                )
            ],
            "truth": [{"round": 2, "document": "acme/terms"}],
        }
        # when it is played
        code, report = await bench(server, tmp_path, monkeypatch, scenario)
    # then the one change was found, the manners were kept, and every host was that server
    assert (code, report["changes_found"], report["max_in_flight_per_host"]) == (0, 1, 1), report["notes"]
    assert sum(row["reported"] for row in report["by_round"]) == 1
    assert {host.partition(":")[0] for host in hosts} == {"acme.test", "rules.test"}
