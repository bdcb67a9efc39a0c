"""The recorded history of the seven platforms, where it is at hand: noise is named, words are kept, time is held.

The history is no part of this repository; `POLICYWATCH_CORPUS` names its folder.
"""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from policywatch.domain.changes import NoiseKind, Severity
from policywatch.reading.analyse import analyse
from policywatch.reading.compare import compare

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("POLICYWATCH_CORPUS", ROOT / "../shared/corpus"))
pytestmark = [
    pytest.mark.needs_corpus,
    pytest.mark.skipif(not (CORPUS / "pga.bundle").is_file(), reason="the policy history is not at hand"),
]

PER_CLASS = 25
Row = dict[str, str]
Read = Callable[[str, str], str]


def table(name: str) -> list[Row]:
    opener = gzip.open if name.endswith(".gz") else open
    with opener(CORPUS / name, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    """Reads one version: `read(commit, path)`."""
    repository = tmp_path_factory.mktemp("history") / "history.git"
    subprocess.run(
        ["git", "clone", "--quiet", "--mirror", str(CORPUS / "pga.bundle"), str(repository)], check=True
    )
    git = subprocess.Popen(
        ["git", "-C", str(repository), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert git.stdin is not None and git.stdout is not None
    stdin, stdout = git.stdin, git.stdout

    def version(commit: str, path: str) -> str:
        stdin.write(f"{commit}:{path}\n".encode())
        stdin.flush()
        size = int(stdout.readline().split()[2])
        return stdout.read(size + 1)[:-1].decode("utf-8")

    yield version
    stdin.close()
    git.wait(timeout=10)


@pytest.fixture(scope="module")
def sample() -> dict[str, list[Row]]:
    """Rows of each class, spread evenly over the history."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in table("transitions.tsv.gz"):
        if row["prev_commit"]:
            rows[row["class"]].append(row)
    return {name: some[:: max(1, len(some) // PER_CLASS)] for name, some in rows.items()}


def noise_of(rows: list[Row], read: Read) -> Counter[NoiseKind]:
    return Counter(
        compare(read(row["prev_commit"], row["path"]), read(row["commit"], row["path"])).noise_kind
        for row in rows
    )


def test_changes_of_link_targets_alone_are_noise(sample: dict[str, list[Row]], read: Read) -> None:
    kinds = noise_of(sample["link_targets_only"], read)

    assert kinds[NoiseKind.LINK_TARGETS] >= 0.95 * kinds.total()


def test_changes_of_markup_and_relative_times_are_noise(sample: dict[str, list[Row]], read: Read) -> None:
    kinds = noise_of(sample["whitespace_or_markup_only"] + sample["relative_time_or_counter_only"], read)

    assert kinds[NoiseKind.NONE] <= 0.05 * kinds.total()


def test_changed_wording_is_never_called_link_or_time_noise(sample: dict[str, list[Row]], read: Read) -> None:
    rows = sample["text_small"] + sample["text_medium"] + sample["text_large"]

    kinds = noise_of(rows, read)

    assert kinds[NoiseKind.LINK_TARGETS] == kinds[NoiseKind.RELATIVE_TIME] == kinds[NoiseKind.REORDERED] == 0
    # Survey boxes, language lists, doubled captures and hidden addresses count as words in the recorded classes.
    assert kinds[NoiseKind.NONE] >= 0.8 * kinds.total()


def test_labelled_changes_are_judged_near_their_label(read: Read) -> None:
    """A floor under the rules, not a figure to be proud of: the labels were seen while they were written."""
    rows = [row for row in table("gold.tsv") if row["noise_kind"] == "none"]
    near = heavy = found = 0
    for row in rows:
        comparison = compare(read(row["prev_commit"], row["path"]), read(row["commit"], row["path"]))
        analysis = analyse(
            comparison,
            at=date.fromisoformat(row["time"][:10]),
            document=row["document"],
            platform=row["platform"],
        )
        label = Severity(row["severity"])
        near += abs(analysis.severity.rank - label.rank) <= 1
        if label.rank >= Severity.HIGH.rank:
            heavy += 1
            found += analysis.severity.rank >= Severity.HIGH.rank
        assert all(evidence.stands_in(comparison.passages) for evidence in analysis.evidence)

    assert near >= 0.9 * len(rows)
    assert found >= 0.65 * heavy


def test_a_pair_is_compared_and_judged_within_its_budget(sample: dict[str, list[Row]], read: Read) -> None:
    """40 ms of CPU in the middle and 100 ms at the 95th per cent, over text changes of 40 to 90 KB."""
    rows = [
        row
        for name in ("text_small", "text_medium", "text_large")
        for row in sample[name]
        if 40_000 <= int(row["bytes_after"]) <= 90_000
    ]
    spent = []
    for row in rows:
        before, after = read(row["prev_commit"], row["path"]), read(row["commit"], row["path"])
        start = time.process_time()
        analyse(compare(before, after), at=date(2026, 1, 1), document=row["document"], platform="")
        spent.append(time.process_time() - start)
    spent.sort()

    assert spent[len(spent) // 2] <= 0.040
    assert spent[len(spent) * 95 // 100] <= 0.100
