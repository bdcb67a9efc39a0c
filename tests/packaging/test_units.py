"""The units of systemd: they name what there is, they are accepted, and they are walled in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from policywatchd.main import cli as daemon

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "monitoring" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
INSTALLED = "/opt/policywatch"


@pytest.fixture
def analyze() -> str:
    """The program systemd-analyze; where it is missing the test is skipped, or fails under REQUIRE_ALL."""
    found = shutil.which("systemd-analyze")
    if found is None:
        if os.environ.get("REQUIRE_ALL"):
            pytest.fail("systemd-analyze is missing")
        pytest.skip("systemd-analyze is not here")
    return found


def keys(unit: Path) -> dict[str, list[str]]:
    """Every key with its values; continuation lines are not used in our units."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        if not line.startswith(("#", "[")) and "=" in line:
            key, _, value = line.partition("=")
            found.setdefault(key.strip(), []).append(value.strip())
    return found


def command(unit: Path) -> list[str]:
    (line,) = keys(unit)["ExecStart"]
    return line.split()


def test_the_daemon_is_started_by_a_verb_that_it_has() -> None:
    program, *arguments = command(UNITS / "policywatch.service")

    assert program == f"{INSTALLED}/.venv/bin/policywatchd"
    group = daemon.make_context("policywatchd", list(arguments))
    verb = arguments[-1]
    assert isinstance(daemon, click.Group)
    assert verb == "run"
    assert daemon.get_command(group, verb) is not None
    assert group.params["config"] == Path("/etc/policywatch/policywatch.yaml")


def test_a_backup_is_started_by_the_script_of_this_tree() -> None:
    program, *arguments = command(UNITS / "policywatch-backup.service")

    script = ROOT / Path(program).relative_to(INSTALLED)
    assert os.access(script, os.X_OK)
    assert arguments == ["--config", "/etc/policywatch/policywatch.yaml"]


def test_readiness_and_life_are_the_daemons_own_words() -> None:
    unit = keys(UNITS / "policywatch.service")

    assert unit["Type"] == ["notify"]
    assert int(unit["WatchdogSec"][0]) >= 30  # the loops' own limit is 60 s, a heartbeat comes every 5 s
    assert int(unit["TimeoutStopSec"][0]) > 30  # open mail connections are finished within 30 s
    assert unit["Restart"] == ["on-failure"]


def test_all_units_share_one_account_and_one_state_folder() -> None:
    shared = ("User", "DynamicUser", "StateDirectory", "StateDirectoryMode", "Environment", "UMask")

    values = [{key: keys(unit)[key] for key in shared} for unit in SERVICES]

    assert len(SERVICES) >= 2
    assert all(one == values[0] for one in values)


def test_systemd_accepts_the_units(analyze: str, tmp_path: Path) -> None:
    tree = tmp_path / "policywatch"
    (tree / ".venv" / "bin").mkdir(parents=True)
    (tree / ".venv" / "bin" / "policywatchd").symlink_to(Path(sys.executable).parent / "policywatchd")
    (tree / "monitoring").symlink_to(ROOT / "monitoring")
    copies = []
    for unit in UNITS.iterdir():
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text("utf-8").replace(INSTALLED, str(tree)), encoding="utf-8")
        copies.append(str(copy))

    told = subprocess.run([analyze, "verify", *copies], capture_output=True, text=True, timeout=60)

    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_a_service_is_walled_in(analyze: str, unit: Path) -> None:
    told = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip

    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", told.stdout)
    assert exposure is not None, told.stderr
    assert float(exposure[1]) <= 1.5
