"""A repository of a few kilobytes may name more files than any machine can list."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pygit2
import pytest

from policywatch.errors import UsageError
from policywatchd.collect.archives import mirror, repository
from policywatchd.collect.archives.repository import open_archive
from tests.daemon.archives import History, text


def bomb(folder: Path, *, depth: int, width: int) -> None:
    """A history whose last commit holds one text in `width` folders, each of them as often in the next, and so on."""
    history = History(folder)
    history.commit("First record of X Terms", {"X/Terms.md": text()})
    made = history.repository
    inner, mode = made.create_blob(b"terms"), pygit2.enums.FileMode.BLOB
    for _ in range(depth):
        builder = made.TreeBuilder()
        for number in range(width):
            builder.insert(f"{number}.md", inner, mode)
        inner, mode = builder.write(), pygit2.enums.FileMode.TREE
    who = pygit2.Signature("Archive", "archive@example.org", 1700000000, 0)
    made.create_commit("HEAD", who, who, "Update", inner, [made.head.target])


def test_a_tree_that_holds_itself_many_times_is_read_where_versions_are(tmp_path: Path) -> None:
    bomb(tmp_path / "r", depth=12, width=20)

    with open_archive(str(tmp_path / "r")) as archive:
        found = [version.path for version in archive.versions(100_000)]

    assert found == ["X/Terms.md"]


def test_git_takes_no_large_file_into_memory(tmp_path: Path) -> None:
    """A pack of 200 kB whose one file has 200 MB, unpacked as a fetch does it, with 120 MB of address space."""
    made, taken, pack = tmp_path / "made.git", tmp_path / "taken.git", tmp_path / "one.pack"
    packing = (
        'git init -q --bare "$1" && head -c 200000000 /dev/zero | git -C "$1" hash-object -w --stdin |'
        ' git -C "$1" pack-objects -q --stdout > "$2" && git init -q --bare "$3"'
    )
    subprocess.run(["/bin/sh", "-c", packing, "sh", made, pack, taken], check=True)

    git = ["git", *mirror._options(), "-C", str(taken), "unpack-objects", "-q"]
    with pack.open("rb") as stream:
        done = subprocess.run(
            ["/bin/sh", "-c", 'ulimit -v 120000; exec "$@"', "sh", *git], stdin=stream, check=False
        )

    assert done.returncode == 0


def test_more_files_than_a_history_can_have_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "_MOST_FILES", 300)
    bomb(tmp_path / "r", depth=2, width=20)

    with open_archive(str(tmp_path / "r")) as archive, pytest.raises(UsageError):
        list(archive.versions(100_000))


def test_what_a_commit_made_is_told_by_its_blobs(tmp_path: Path) -> None:
    history = History(tmp_path / "r")
    history.commit("First record of X Terms", {"X/Terms.md": text(), "X/Rules.md": text(), "README.md": "no"})
    history.commit("Update X Terms", {"X/Terms.md": text(Conduct="Other words."), "X/deep/er.md": "no"})
    history.commit("Update", {"X/Rules.md": None, "Y/Terms.md": text()})

    with open_archive(str(tmp_path / "r")) as archive:
        found = [(version.path, version.message[:6]) for version in archive.versions(100_000)]

    assert found == [
        ("X/Rules.md", "First "), ("X/Terms.md", "First "), ("X/Terms.md", "Update"), ("Y/Terms.md", "Update"),
    ]  # fmt: skip
