"""The units of systemd: they name what there is, they are accepted, and they are walled in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from policywatch.settings import Settings
from policywatchd import reader
from policywatchd.main import cli as daemon
from policywatchd.render.browser import Limits
from policywatchd.render.main import cli as renderer

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "monitoring" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
RENDER = UNITS / "policywatch-render.service"
#: What `systemd-analyze security` may say. A browser's own sandbox needs namespaces, its scripts written code.
EXPOSED = {RENDER.stem: 2.0}
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


def test_a_page_that_eats_memory_ends_its_reader_and_never_the_service() -> None:
    daemon_, renderer_ = keys(UNITS / "policywatch.service"), keys(RENDER)

    assert daemon_["OOMPolicy"] == renderer_["OOMPolicy"] == ["continue"]  # systemd's own: stop the service
    assert _bytes(daemon_["MemoryMax"]) >= 1.5 * reader.MEMORY  # what reads a page has a limit of its own
    assert _bytes(renderer_["MemoryMax"]) > Limits().memory


def _bytes(said: list[str]) -> int:
    return int(said[0].removesuffix("G")) << 30


def test_readiness_and_life_are_the_daemons_own_words() -> None:
    unit = keys(UNITS / "policywatch.service")

    assert unit["Type"] == ["notify"]
    assert int(unit["WatchdogSec"][0]) >= 30  # the loops' own limit is 60 s, a heartbeat comes every 5 s
    assert int(unit["TimeoutStopSec"][0]) > 30  # open mail connections are finished within 30 s
    assert unit["Restart"] == ["on-failure"]


def test_the_renderer_is_started_with_options_that_it_has_and_serves_where_the_daemon_asks() -> None:
    program, *arguments = command(RENDER)

    assert program == f"{INSTALLED}/.venv/bin/policywatch-render"
    chosen = renderer.make_context("policywatch-render", list(arguments)).params
    joined = keys(UNITS / "policywatch-with-render.conf")
    assert joined["Environment"] == [f"POLICYWATCH_FETCH__RENDER_SOCKET={chosen['socket']}"]
    assert str(chosen["socket"]) == Settings().fetch.render_socket.as_posix()
    assert chosen["socket"].parent == Path("/run", *keys(RENDER)["RuntimeDirectory"])
    assert chosen["group_may_ask"] and not chosen["no_sandbox"]


def test_the_renderer_has_an_account_of_its_own_and_shares_a_group_alone() -> None:
    unit, daemon_unit = keys(RENDER), keys(UNITS / "policywatch.service")
    joined = keys(UNITS / "policywatch-with-render.conf")
    made = (UNITS / "policywatch.sysusers").read_text("utf-8").splitlines()

    assert unit["User"] != daemon_unit["User"]
    assert unit["Group"] == joined["SupplementaryGroups"]
    assert f"g {unit['Group'][0]} -" in made
    assert "StateDirectory" not in unit and "LoadCredential" not in unit
    assert unit["RuntimeDirectoryMode"] == ["0750"]


def test_a_browser_has_its_limits() -> None:
    unit = keys(RENDER)
    memory = next(one for one in renderer.params if one.name == "memory").default

    assert unit["MemoryMax"] == ["2G"] and isinstance(memory, int) and memory < 2048
    assert int(unit["TasksMax"][0]) <= 512
    assert (
        "MemoryDenyWriteExecute" not in unit and "ProcSubset" not in unit
    )  # Chromium does not start with them


def test_all_other_units_share_one_account_and_one_state_folder() -> None:
    shared = ("User", "DynamicUser", "StateDirectory", "StateDirectoryMode", "Environment", "UMask")

    values = [{key: keys(unit)[key] for key in shared} for unit in SERVICES if unit != RENDER]

    assert len(values) >= 2
    assert all(one == values[0] for one in values)


def test_systemd_accepts_the_units(analyze: str, tmp_path: Path) -> None:
    tree = tmp_path / "policywatch"
    (tree / ".venv" / "bin").mkdir(parents=True)
    for program in ("policywatchd", "policywatch-render"):
        made = tree / ".venv" / "bin" / program  # a stand-in: only whether it is there is asked
        made.write_text("#!/bin/sh\n", encoding="utf-8")
        made.chmod(0o755)
    (tree / "monitoring").symlink_to(ROOT / "monitoring")
    copies = []
    for unit in (*SERVICES, *UNITS.glob("*.timer")):
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
    assert float(exposure[1]) <= EXPOSED.get(unit.stem, 1.5)
