"""A real history, a small one: Bluesky's thirty versions out of the archive of seven platforms.

The history is no part of this repository; `POLICYWATCH_CORPUS` names its folder.
"""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
from pathlib import Path

import pygit2
import pytest

from policywatch.db import contents
from policywatch.db.pool import Database
from policywatch.settings import load
from policywatchd.collect.archives.importing import import_source
from policywatchd.upkeep.reconcile import reconcile
from tests.databases import Scratch

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("POLICYWATCH_CORPUS", ROOT / "../shared/corpus"))
pytestmark = [
    pytest.mark.needs_db,
    pytest.mark.needs_corpus,
    pytest.mark.skipif(not (CORPUS / "pga.bundle").is_file(), reason="the policy history is not at hand"),
]

NOISE = {"identical", "link_targets_only", "whitespace_or_markup_only", "relative_time_or_counter_only"}


def only(folder: Path, service: str) -> dict[str, bytes]:
    """The archive with one service alone, in its own order; returns the texts by the new commits."""
    clone = folder / "all.git"
    subprocess.run(
        ["git", "clone", "--bare", "--quiet", str(CORPUS / "pga.bundle"), str(clone)],
        check=True,
        capture_output=True,
    )
    old = pygit2.Repository(str(clone))
    new = pygit2.init_repository(str(folder / service), initial_head="main")
    texts: dict[str, bytes] = {}
    order = pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.REVERSE
    for commit in old.walk(old.head.target, order):
        if not commit.parents:
            continue
        for delta in commit.parents[0].tree.diff_to_tree(commit.tree).deltas:
            if not delta.new_file.path.startswith(f"{service}/"):
                continue
            body = old[delta.new_file.id].peel(pygit2.Blob).data
            new.index.add(
                pygit2.IndexEntry(delta.new_file.path, new.create_blob(body), pygit2.enums.FileMode.BLOB)
            )
            parents = [] if new.head_is_unborn else [new.head.target]
            made = new.create_commit(
                "HEAD", commit.author, commit.committer, commit.message, new.index.write_tree(), parents
            )
            texts[str(made)] = body
    return texts


def classes(platform: str) -> list[str]:
    """The class of each change of a platform, as the corpus measured it, in the order of the history."""
    with gzip.open(CORPUS / "transitions.tsv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row["class"] for row in rows if row["platform"] == platform and row["kind"] == "change"]


async def test_a_real_history_comes_back_byte_for_byte_and_is_told_from_noise(
    database: Scratch, tmp_path: Path
) -> None:
    texts = only(tmp_path, "Bluesky")
    settings = load(None, {})

    async with await Database.open(database.daemon) as db:
        await reconcile(db, settings)
        report = await import_source(settings, db, str(tmp_path / "Bluesky"))
        rows = database.run(
            "SELECT k.source_ref, s.text_sha256 FROM app.policy_snapshots s JOIN app.snapshot_keys k ON k.id = s.id"
            " ORDER BY s.id"
        )
        stored = {row["source_ref"]: await contents.fetch(db, bytes(row["text_sha256"])) for row in rows}

    assert stored == texts
    assert (report.versions, report.first, report.documents, report.documents_created) == (30, 3, 3, 0)
    known = classes("Bluesky")
    noise = sum(one in NOISE for one in known)
    # What the corpus counts as wording may be navigation to us; what it counts as noise is noise
    assert report.changes == len(known)
    assert noise <= report.noise.total() <= noise + 3
    assert report.changes_added + report.noise.total() == len(known)
