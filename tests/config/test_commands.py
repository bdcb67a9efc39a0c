"""`policywatch config` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policywatch import settings
from policywatch_tui.commands.base import run_guarded
from policywatch_tui.main import cli


@pytest.fixture(autouse=True)
def an_account_without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("POLICYWATCH_DATABASE__STATE_FOLDER", str(tmp_path / "state"))
    monkeypatch.delenv("POLICYWATCH_CONFIG", raising=False)


def test_the_defaults_are_without_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(cli, ["config", "check", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert (told["platforms"], told["documents"], told["pages"], told["faults"]) == (7, 53, 192, [])


def test_every_fault_is_printed_with_its_place_and_exit_code_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policywatch.yaml"
    path.write_text("mail:\n  prot: 25\nguidance:\n  grace_period: ten\n")

    assert run_guarded(cli, ["config", "check"]) == 2
    assert run_guarded(cli, ["--json", "config", "check"]) == 2

    captured = capsys.readouterr()
    assert f'{path}, line 2, column 3: unknown key "prot" in mail' in captured.err
    assert "line 4, column 17: guidance.grace_period" in captured.err
    assert [(fault["line"], fault["key"]) for fault in json.loads(captured.out)["faults"]] == [
        (2, "mail.prot"),
        (4, "guidance.grace_period"),
    ]


def test_what_the_settings_name_and_is_not_there_is_exit_code_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "mail: {user: bob, tls: tls, password: {secret: smtp-password}}\nmembers: {file: members.csv}\n"
    (tmp_path / "policywatch.yaml").write_text(text)

    assert run_guarded(cli, ["config", "check"]) == 1

    told = capsys.readouterr().err
    assert "mail.password: the secret smtp-password is nowhere to be found" in told
    assert f"members.file: there is no file {tmp_path / 'members.csv'}" in told


def test_one_section_or_all_of_it_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(cli, ["config", "show", "guidance"]) == 0
    assert "grace_period: 5 min" in capsys.readouterr().out

    assert run_guarded(cli, ["config", "show", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == list(settings.Settings.model_fields)

    assert run_guarded(cli, ["config", "show", "guidanse"]) == 2
    assert "Sections: database" in capsys.readouterr().err


def test_the_schema_and_the_path_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(cli, ["config", "schema"]) == 0
    assert capsys.readouterr().out == settings.schema_text()

    assert run_guarded(cli, ["config", "path"]) == 0
    assert "the defaults hold" in capsys.readouterr().out

    path = tmp_path / "mine.yaml"
    path.touch()
    assert run_guarded(cli, ["--config", str(path), "config", "path", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(path)


def test_a_selector_that_will_break_soon_is_a_warning_and_no_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = {"url": "https://mine.example/terms", "select": ["main .css-1x2y3z"]}
    mine = {"name": "Mine", "documents": {"terms": {"name": "Terms", "pages": [page]}}}
    (tmp_path / "policywatch.yaml").write_text(json.dumps({"platforms": {"mine": mine}}))

    assert run_guarded(cli, ["config", "check"]) == 0
    told = capsys.readouterr()
    assert 'mine/terms https://mine.example/terms: "css-1x2y3z" looks made by a build tool' in told.err
    assert "selectors of the shipped rules" in told.err and "_9p78" not in told.err
    assert "No faults." in told.out

    assert run_guarded(cli, ["config", "check", "--json"]) == 0
    warnings = json.loads(capsys.readouterr().out)["warnings"]
    assert [one["selector"] for one in warnings if not one["shipped"]] == ["main .css-1x2y3z"]
    assert any("_9p78" in one["selector"] for one in warnings if one["shipped"])


def test_what_is_no_selector_and_no_path_is_a_fault_of_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [
        {"url": "https://mine.example/terms", "select": ["main["]},
        {"url": "https://mine.example/api", "select": ["$..body"]},
        {"url": "https://mine.example/good", "select": ["$.sections[*].body"], "remove": [".ad"]},
    ]
    mine = {"name": "Mine", "documents": {"terms": {"name": "Terms", "pages": pages}}}
    (tmp_path / "policywatch.yaml").write_text(json.dumps({"platforms": {"mine": mine}}))

    assert run_guarded(cli, ["config", "check"]) == 1
    told = capsys.readouterr().err
    assert 'https://mine.example/terms: "main[" is no CSS selector.' in told
    assert 'https://mine.example/api: "$..body" is no path into a JSON answer.' in told
    assert "/good" not in told
