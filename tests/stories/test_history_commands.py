"""A first installation gets a history from the command line, on an embedded server of this file's own."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policywatch.db.embedded import Server
from policywatch_tui.commands.base import run_guarded
from policywatch_tui.main import cli
from tests.daemon.archives import History, text, told_history
from tests.databases import QUICK, embedded_folder

pytestmark = [pytest.mark.needs_db, pytest.mark.story]

SHORTER = text(Appeals="You may appeal a decision within 7 days. A person looks at every appeal.")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with embedded_folder() as made:
        server = Server(made, extra=QUICK)
        server.start()
        yield made
        server.stop()


def test_an_installation_is_begun_repeated_and_given_histories(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def typed(*arguments: str, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        capfd.readouterr()
        ended = run_guarded(cli, list(arguments))
        out, err = capfd.readouterr()
        assert ended == code, (arguments, out, err)
        return out, err

    def told(*arguments: str, code: int = 0) -> dict[str, Any]:
        found = json.loads(typed("--json", *arguments, code=code)[0])
        assert isinstance(found, dict)
        return found

    # Given an account without settings and without a database
    for name, value in (("HOME", str(tmp_path)), ("POLICYWATCH_DATABASE__STATE_FOLDER", str(folder))):
        monkeypatch.setenv(name, value)
    for name in ("POLICYWATCH_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    # When it begins, then there are settings, a catalogue, and the advice to bring a history
    out, _ = typed("init")
    written = tmp_path / ".config/policywatch/policywatch.yaml"
    assert f"Settings: {written}" in out
    assert "53 documents are in the catalogue" in out
    assert "none was looked at yet" in out
    assert "policywatch import SOURCE" in out
    written.write_text(
        written.read_text("utf-8").replace("contact: null", "contact: ops@example.org"), "utf-8"
    )

    # When dated files are brought, of which one is bad, then they are told before they are stored
    tree = tmp_path / "tree/Twitter/Terms of Service"
    tree.mkdir(parents=True)
    (tree / "2022-01-01.md").write_text(text(), "utf-8")
    (tree / "2022-02-01.md").write_text(SHORTER, "utf-8")
    (tree / "2022-02-30.md").write_text(SHORTER, "utf-8")
    out, _ = typed("import", "tree", "--dry-run", code=6)
    assert "x/terms-of-service" in out
    assert "2022-02-30.md" in out
    assert "2 would be added" in out
    report = told("init", "--import", "tree", code=6)
    assert report["settings_written"] is False
    assert report["import"]["snapshots_added"] == 2
    assert written.read_text("utf-8").count("ops@example.org") == 1

    # And once there is one, init has nothing more to advise, and an archive is added platform by platform
    out, _ = typed("init")
    assert "no history" not in out
    history = History(tmp_path / "archive")
    history.commit("First record of Bluesky Privacy Policy", {"Bluesky/Privacy Policy.md": text()})
    history.commit("First record of TikTok Privacy Policy", {"TikTok/Privacy Policy.md": text()})
    report = told("import", "archive", "--platform", "bluesky")
    assert (report["snapshots_added"], report["left_out"]) == (1, 1)
    _, err = typed("import", "archive", "--platform", "myspace", code=2)
    assert "There is no platform myspace" in err
    assert told("import", "archive")["snapshots_added"] == 1


def test_the_store_is_weighed_and_every_version_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    told_history(tmp_path / "archive")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert run_guarded(cli, ["--json", "bench", "storage", "--corpus", "archive", "--reads", "20"]) == 0

    report = json.loads(capfd.readouterr().out)
    assert (report["versions"], report["unequal"], report["held"]) == (12, [], True)
    assert 0 < report["payload_bytes"] < report["contents_bytes"]
    assert report["git_packed_bytes"] > 0
