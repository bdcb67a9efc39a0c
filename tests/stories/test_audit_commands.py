"""`policywatch audit`: lists, checks, anchors and exports, as typed by an auditor."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases import Scratch
from tests.db.audit_world import Attacker, sealed, write
from tests.stories.test_bad_input import Run, run, settings

__all__ = ["run"]

pytestmark = pytest.mark.needs_db


@pytest.fixture
def auditor(database: Scratch, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Commands of an auditor, on a log with two seals."""
    settings(tmp_path, database.person("otto", "auditor"), monkeypatch)
    write(database, 6)
    asyncio.run(sealed(database))
    write(database, 6, "later.act")
    asyncio.run(sealed(database))
    return run


def test_what_fits_is_said_and_what_cannot_be_known(auditor: Run, database: Scratch) -> None:
    told = auditor("audit", "verify")
    assert told.code == 0, told
    assert "Everything that was checked fits" in told.out
    assert "Not known without an anchor" in told.out
    anchored = auditor("audit", "anchor", "kept.jsonl")
    assert anchored.code == 0, anchored
    again = auditor("audit", "anchor", "kept.jsonl")
    assert (again.code, len(Path("kept.jsonl").read_text().splitlines())) == (0, 1)
    told = auditor("audit", "verify", "--anchor", "kept.jsonl", "--json")
    said = json.loads(told.out)
    assert (said["ok"], said["anchors_good"], said["seals"]) == (True, 1, 2)
    assert not any("without an anchor" in sentence for sentence in said["cannot_be_known"])


def test_a_rewritten_log_is_found_by_the_anchor_and_exits_1(auditor: Run, database: Scratch) -> None:
    assert auditor("audit", "anchor", "kept.jsonl").code == 0
    with Attacker(database) as attacker:
        attacker.run("UPDATE app.audit_log SET actor = 'somebody else' WHERE action = 'test.act'")
        attacker.leaves()
        attacker.seals()
    assert auditor("audit", "verify").code == 0
    told = auditor("audit", "verify", "--anchor", "kept.jsonl")
    assert told.code == 1
    assert "Seal 2 is not the one of the anchor" in told.out
    assert "BROKEN" in told.out
    refused = auditor("audit", "anchor", "kept.jsonl")
    refused.refused(1, "has no longer the seal 2", "audit verify --anchor")
    assert len(Path("kept.jsonl").read_text().splitlines()) == 1


def test_an_export_is_checked_where_there_is_no_database(
    auditor: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert auditor("audit", "anchor", "kept.jsonl").code == 0
    assert auditor("audit", "export", "all.jsonl").code == 0
    assert (
        auditor("audit", "export", "some.jsonl", "--action", "later.act", "--since", "2020-01-01").code == 0
    )
    assert Path("all.jsonl").stat().st_mode & 0o777 == 0o600
    auditor("audit", "export", "all.jsonl").refused(2, "exists")
    (tmp_path / "policywatch.yaml").unlink()
    monkeypatch.setenv("POLICYWATCH_DATABASE__MODE", "nowhere")
    for name in ("all.jsonl", "some.jsonl"):
        told = auditor("audit", "verify", "--file", name, "--anchor", "kept.jsonl")
        assert told.code == 0, told
        assert "1 of 1 anchors agree" in told.out
    assert "what was asked for" in told.out
    text = Path("all.jsonl").read_text(encoding="utf-8")
    Path("bad.jsonl").write_text(text.replace("later.act", "other.act", 1), encoding="utf-8")
    told = auditor("audit", "verify", "--file", "bad.jsonl")
    assert told.code == 1
    assert "does not fit its own hash" in told.out
    auditor("audit", "verify", "--file", "kept.jsonl").refused(1, "cannot be checked", "line 1")
    auditor("audit", "verify", "--anchor", "all.jsonl").refused(1, "is no anchor")


def test_the_check_that_the_auditors_page_prints_needs_nothing_of_ours(auditor: Run, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "auditor.md").read_text(encoding="utf-8")
    script = tmp_path / "check.py"
    script.write_text(page.partition("```python\n")[2].partition("```")[0], encoding="utf-8")

    def checked(name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-S", str(script), name], capture_output=True, text=True, timeout=30
        )

    assert auditor("audit", "anchor", "kept.jsonl").code == 0
    newest = json.loads(Path("kept.jsonl").read_text())
    assert auditor("audit", "export", "all.jsonl").code == 0
    assert auditor("audit", "export", "some.jsonl", "--action", "later.act").code == 0
    for name in ("all.jsonl", "some.jsonl"):
        done = checked(name)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].endswith(newest["chain"])
    text = Path("all.jsonl").read_text(encoding="utf-8")
    Path("bad.jsonl").write_text(text.replace("later.act", "other.act", 1), encoding="utf-8")
    assert "AssertionError" in checked("bad.jsonl").stderr


def test_lists_are_narrowed_by_object_and_time(auditor: Run) -> None:
    told = auditor("audit", "list", "--object", "thing/3", "--json")
    assert {r["action"] for r in json.loads(told.out)["audit"]} == {"test.act", "later.act"}
    told = auditor("audit", "list", "--object", "thing", "--until", "2020-01-01", "--json")
    assert json.loads(told.out)["audit"] == []
    assert auditor("audit", "list", "--until", "noon").code == 2


def test_others_are_told_whom_to_ask(
    run: Run, database: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(tmp_path, database.person("rita", "reviewer"), monkeypatch)
    for command in (["verify"], ["anchor", "kept.jsonl"], ["export", "all.jsonl"]):
        told = run("audit", *command)
        assert told.code == 4, told
        assert "auditors and administrators" in told.err
    assert not Path("kept.jsonl").exists()
    assert not Path("all.jsonl").exists()
    assert not Path("all.jsonl.part").exists()
