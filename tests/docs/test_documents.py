"""The documents say what is so: commands, links, words, keys, settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest

from policywatch.db.embedded import Server
from policywatch.domain import chain
from policywatch.domain.changes import ChangeType, NoiseKind, PassageKind, Severity
from policywatch_tui.commands.people import ROLES
from tests.databases import embedded_folder
from tests.docs.commands import Written, fault_of, subcommands, written
from tests.docs.keys_table import PAGE, with_table
from tests.docs.settings_page import settings_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
COMMANDS = [command for page in PAGES for command in written(page)]
TO_RUN = sorted({command.page for command in COMMANDS if command.run})


# -- Commands --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_of_the_documents_is_one_of_the_program(command: Written) -> None:
    assert command.text.split()[0] == "policywatch"
    assert fault_of(command.arguments) == ""


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("frobnicate", "no command frobnicate"),
        ("changes list --wrong", "No such option"),
        ("changes verdict C-1 perhaps", "perhaps"),
        ("changes verdict C-1", "is missing"),
        ("changes show C-1 C-2", "too many arguments"),
        ("db", "needs a command"),
    ],
)
def test_a_command_that_is_none_is_seen(line: str, fault: str) -> None:
    assert fault in fault_of(line.split())


def test_there_are_commands_to_compare() -> None:
    assert len(COMMANDS) > 60
    assert TO_RUN == ["operator.md"]


@pytest.fixture(scope="module")
def state_folder() -> Iterator[Path]:
    """Where the commands of the documents find, and make, an embedded server of their own."""
    with embedded_folder() as folder:
        try:
            yield folder
        finally:
            Server(folder).stop()


@pytest.mark.needs_db
@pytest.mark.parametrize("page", TO_RUN)
def test_commands_marked_to_run_end_as_stated(page: str, state_folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POLICYWATCH_")}
    environment |= {
        "POLICYWATCH_CONFIG": str(ROOT / "policywatch.yaml"),
        "POLICYWATCH_DATABASE__STATE_FOLDER": str(state_folder),
    }
    for command in COMMANDS:
        if command.page != page or not command.run:
            continue
        done = subprocess.run(
            [sys.executable, "-m", "policywatch_tui.main", *command.arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

        assert done.returncode == command.exit_code, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, f"{command}\n{done.stderr}"


# -- The design's table of commands ----------------------------------------------------------------------


def later_commands(design: str) -> dict[str, frozenset[str]]:
    """What the design marks as coming later: command -> commands below it (none: the command as a whole)."""
    [sentence] = re.findall(r"come with later issues \(a test compares\): (.*?)[;.]", design)
    found = {}
    for words in re.findall(r"`([^`]+)`", sentence):
        name, _, below = words.partition(" ")
        found[name] = frozenset(below.split("|")) if below else frozenset()
    return found


def commands_of_table(
    design: str, nouns: dict[str, frozenset[str]]
) -> tuple[set[tuple[str, str]], set[str], list[str]]:
    """What the table names: (command, command below it), commands, and words that are neither nor prose."""
    table = design.partition("## 8. The command line")[2].split("```")[1]
    pairs: set[tuple[str, str]] = set()
    alone: set[str] = set()
    strange: list[str] = []
    for line in table.splitlines():
        noun = ""
        for word in re.sub(r"\([^)]*\)|\[[^]]*\]", " ", line).split():
            if word in nouns.get(noun, ()):
                pairs.add((noun, word))
            elif word in nouns:
                noun = word
                alone.add(word)
            elif nouns.get(noun):
                strange.append(f"{noun} {word}")
    return pairs, alone, strange


def test_the_designs_table_names_what_exists_and_what_comes_later() -> None:
    design = (DOCS / "design.md").read_text("utf-8")
    existing, later = subcommands(), later_commands(design)
    both = {
        name: existing.get(name, frozenset()) | later.get(name, frozenset()) for name in {*existing, *later}
    }

    pairs, alone, strange = commands_of_table(design, both)

    assert strange == []
    assert alone == set(both)
    assert pairs == {(name, below) for name, belows in both.items() for below in belows}
    for name, belows in later.items():
        assert not belows & existing.get(name, frozenset()), f"{name}: no longer later"
        assert belows or name not in existing, f"{name}: no longer later"


# -- Links, words, generated parts -----------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The names by which the headings of a page are linked to."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(file.read_text("utf-8")), f"{page.name}: {target}"


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("severity", Severity),
        ("verdict", chain.Verdict),
        ("capture", chain.CaptureState),
        ("snapshot, kind", chain.SnapshotKind),
        ("snapshot, source", chain.SnapshotSource),
        ("passage", PassageKind),
        ("noise", NoiseKind),
        ("change", chain.ChangeStatus),
        ("type of a change", ChangeType),
        ("approval request", chain.ApprovalState),
        ("publication", chain.PublicationState),
        ("recipient", chain.RecipientState),
    ],
)
def test_the_glossary_has_the_values_of_the_program(row: str, values: type[StrEnum]) -> None:
    states = (DOCS / "glossary.md").read_text("utf-8").partition("## Kinds and states")[2]
    [told] = re.findall(rf"^\| {row} \| (.*) \|$", states, re.MULTILINE)
    assert re.findall(r"`(\w+)`", told) == [str(value) for value in values]


def test_the_glossary_has_the_roles() -> None:
    [told] = re.findall(r"^\| role \| (.*) \|$", (DOCS / "glossary.md").read_text("utf-8"), re.MULTILINE)
    assert re.findall(r"`(\w+)`", told) == ROLES


def test_the_table_of_keys_is_the_desks_own() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_table(page), "run: python -m tests.docs.keys_table"


def test_the_page_of_settings_is_written_from_the_code() -> None:
    assert (DOCS / "settings.md").read_text("utf-8") == settings_page(), (
        "run: python -m tests.docs.settings_page docs/settings.md"
    )


def test_every_make_target_of_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        if page.name != "design.md":  # it names targets of later issues too
            named = set(re.findall(r"(?:^|`)make ([a-z-]+)\b", page.read_text("utf-8"), re.MULTILINE))
            assert named <= targets, page.name
