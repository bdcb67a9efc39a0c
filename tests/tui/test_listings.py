"""Listings of commands on a terminal of 80 cells and in a pipe, and what a command says while nobody serves it."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from policywatch.db import listing
from policywatch.errors import ServiceAway
from policywatch_tui.commands import asking, base
from policywatch_tui.commands.base import Shell
from policywatch_tui.commands.offline import offline_words
from policywatch_tui.main import cli

CAUSE = "robots.txt of help.example.org cannot be fetched: the name help.example.org is not known, and it was asked"
ROWS: list[dict[str, Any]] = [
    {
        "document": "a" * 40,
        "state": "degraded",
        "at": "2026-11-27 21:35Z",
        "due": "2026-11-27",
        "cause": CAUSE,
    },
    {"document": "b", "state": "ok", "at": "2026-11-27 21:36Z", "due": "2026-11-28", "cause": None},
]
COLUMNS = ("document", "state", "at", "due")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_width", lambda: 80)


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_the_cause_stands_whole_under_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    Shell().table("documents", ROWS, COLUMNS, beneath=("cause",))
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert " ".join(part.strip() for part in lines[2:4]) == CAUSE
    assert len(lines) == 5


@pytest.mark.usefixtures("terminal")
def test_a_column_without_room_is_left_out_and_not_cut_to_half_a_date(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Shell().table("documents", ROWS, COLUMNS)
    out = capsys.readouterr().out
    assert "21:35Z" in out
    assert "due" not in out and "2026-11-28" not in out


@pytest.mark.usefixtures("terminal")
def test_the_beginning_of_a_long_text_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Shell().table("documents", ROWS, ("state", "cause"))
    out = capsys.readouterr().out
    assert "robots.txt of help.example.org" in out
    assert max(len(line) for line in out.splitlines()) == 80


def test_in_a_pipe_a_row_is_one_line_with_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    Shell().table("documents", ROWS, COLUMNS, beneath=("cause",))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [*COLUMNS, "cause"]
    assert lines[1].endswith(CAUSE)
    assert len(lines) == 3


def test_json_is_the_same_whatever_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Shell(as_json=True).table("documents", ROWS, ("document",), beneath=("cause",))
    assert json.loads(capsys.readouterr().out) == {"documents": ROWS}


def test_an_empty_listing_says_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    Shell().table("documents", [], COLUMNS, none="No text holds that.")
    Shell().table("documents", [], COLUMNS)
    assert capsys.readouterr().out == "No text holds that.\nNo documents.\n"


def test_names_of_several_hosts_that_nobody_knows_mean_that_we_are_offline() -> None:
    lost = [
        "the name a.example is not known",
        "robots.txt of b.example cannot be fetched: the name b.example is not known",
    ]
    assert "on the network" in offline_words([*lost, None, "not looked at yet"])
    assert offline_words(lost[:1]) == ""
    assert offline_words([*lost, "404 Not Found"]) == ""
    assert offline_words([]) == ""


async def test_a_request_that_no_daemon_serves_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    async def waiting(_db: object, _request: int) -> dict[str, Any]:
        return {"state": "waiting", "result": None}

    async def nobody(_db: object) -> list[dict[str, Any]]:
        return []

    monkeypatch.setattr(listing, "request", waiting)
    monkeypatch.setattr(listing, "workers", nobody)
    monkeypatch.setattr(asking, "_LOOK", 0.001)
    with pytest.raises(ServiceAway, match="No daemon runs") as told:
        await asking.answered(cast(Any, None), 1, 120)
    assert "policywatch daemon run" in told.value.remedy


def test_a_mistyped_command_is_asked_about(capsys: pytest.CaptureFixture[str]) -> None:
    assert base.run_guarded(cli, ["statsu"]) == 2
    assert "Did you mean 'status'?" in capsys.readouterr().err
    assert base.run_guarded(cli, ["xyzzy"]) == 2
    assert "No such command 'xyzzy'" in capsys.readouterr().err
