"""The recorded history of the seven platforms, replayed as captures: which of them are held as suspect?

    python -m benchmarks.quality [--corpus PATH] [--json]

Every version is one capture, in the order of the record (a renamed service goes on where it stopped); each is judged against the last five versions of its
document that were judged good. A suspect one never enters that history, until a person accepts it. The person is
played by hindsight: a version that stood for two looks (12 h) is accepted, unless the very next version brings the
old text back byte for byte. Versions of archives came without HTTP, so only the text can speak. The history is no part
of this repository; `POLICYWATCH_CORPUS` names its folder.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from policywatch.reading.compare import reader_hash
from policywatch.reading.quality import History, Look, Quality, judge, remember

__all__ = ["CORPUS", "Outcome", "figures", "histories", "replay"]

CORPUS = Path(os.environ.get("POLICYWATCH_CORPUS", Path(__file__).resolve().parents[1] / "../shared/corpus"))
TWO_LOOKS = timedelta(hours=12)
_STUB = 800  # characters: no policy of the record is shorter
WORDING = ("text_small", "text_medium", "text_large")
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One version: its row of the record, the verdict, whether the next version undoes it, whether it was accepted."""

    row: Row
    quality: Quality
    undone: bool
    accepted: bool
    seconds: float

    def case(self) -> dict[str, Any]:
        """What a reader of the figures needs to look it up."""
        return {
            "document": self.row["path"].removesuffix(".md"),
            "time": self.row["time"],
            "kind": self.row["kind"],
            "class": self.row["class"],
            "words": [int(self.row["words_before"]), int(self.row["words_after"])],
            "score": self.quality.score,
            "signals": [f"{signal.name} {signal.weight}: {signal.detail}" for signal in self.quality.signals],
            "undone": self.undone,
            "accepted": self.accepted,
        }


@dataclass(slots=True)
class _Document:
    """What is remembered of a document on the way."""

    good: list[str] = field(default_factory=list)  # newest first
    history: History = field(default_factory=History)
    hash: bytes = b""

    def take(self, text: str) -> None:
        """A good text becomes the base."""
        self.good = [text, *self.good[:4]]
        self.history = remember(self.good)
        self.hash = reader_hash(text)


def _rows(corpus: Path) -> list[Row]:
    with gzip.open(corpus / "transitions.tsv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _texts(repository: Path, rows: list[Row]) -> Iterator[tuple[Row, str]]:
    with subprocess.Popen(
        ["git", "-C", str(repository), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as git:
        assert git.stdin is not None and git.stdout is not None
        for row in rows:
            git.stdin.write(f"{row['commit']}:{row['path']}\n".encode())
            git.stdin.flush()
            size = int(git.stdout.readline().split()[2])
            yield row, git.stdout.read(size + 1)[:-1].decode("utf-8")
        git.stdin.close()


def _undone(repository: Path, rows: list[Row]) -> tuple[set[str], dict[str, timedelta]]:
    """The commits whose change the next version undoes, and how long each version stood."""
    listed = subprocess.run(
        ["git", "-C", str(repository), "cat-file", "--batch-check=%(objectname)"],
        input="\n".join(f"{row['commit']}:{row['path']}" for row in rows).encode(),
        capture_output=True,
        check=True,
    )
    blobs = listed.stdout.decode().split("\n")
    chains: dict[str, list[tuple[Row, str]]] = defaultdict(list)
    for row, blob in zip(rows, blobs, strict=False):
        chains[row["path"]].append((row, blob))
    undone: set[str] = set()
    stood: dict[str, timedelta] = {}
    for chain in chains.values():
        for index, (row, _) in enumerate(chain):
            if index + 1 == len(chain):
                stood[row["commit"]] = timedelta(0)
                continue
            after, blob = chain[index + 1]
            stood[row["commit"]] = datetime.fromisoformat(after["time"]) - datetime.fromisoformat(row["time"])
            if index and blob == chain[index - 1][1]:
                undone.add(row["commit"])
    return undone, stood


@contextmanager
def _repository(corpus: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "history.git"
        subprocess.run(
            ["git", "clone", "--quiet", "--mirror", str(corpus / "pga.bundle"), str(repository)], check=True
        )
        yield repository


def histories(corpus: Path = CORPUS) -> dict[str, tuple[History, str]]:
    """By path: what the last five versions (without stubs) leave behind, and the newest of them."""
    chains: dict[str, list[str]] = defaultdict(list)
    with _repository(corpus) as repository:
        for row, text in _texts(repository, _rows(corpus)):
            if len(text) >= _STUB:
                chains[row["path"]] = [text, *chains[row["path"]][:4]]
    return {path: (remember(texts), texts[0]) for path, texts in chains.items()}


def replay(corpus: Path = CORPUS) -> list[Outcome]:
    """Judge every version of the history in `corpus`, in the order of the record."""
    rows = _rows(corpus)
    outcomes: list[Outcome] = []
    with _repository(corpus) as repository:
        log = subprocess.run(
            ["git", "-C", str(repository), "rev-list", "--reverse", "main"], capture_output=True, check=True
        )
        order = {commit: index for index, commit in enumerate(log.stdout.decode().split())}
        undone, stood = _undone(repository, rows)
        platforms: dict[str, dict[str, _Document]] = defaultdict(lambda: defaultdict(_Document))
        for row, text in _texts(repository, sorted(rows, key=lambda row: order[row["commit"]])):
            documents = platforms[row["platform"]]
            document = documents[row["document"]]  # a renamed service goes on
            others = frozenset(other.hash for other in documents.values() if other.hash) - {document.hash}
            history = replace(document.history, known_texts=others)
            started = time.process_time()
            quality = judge(Look(text=text), history, "en")
            seconds = time.process_time() - started
            back = row["commit"] in undone
            accepted = quality.suspect and stood[row["commit"]] >= TWO_LOOKS and not back
            if accepted or not quality.suspect:
                document.take(text)
            outcomes.append(Outcome(row, quality, back, accepted, seconds))
    return outcomes


def figures(outcomes: list[Outcome]) -> dict[str, Any]:
    """What is asked of the replay, with every held case."""
    held = [one for one in outcomes if one.quality.suspect]

    def of(*classes: str, undone: bool | None = None, only_held: bool = False) -> list[Outcome]:
        return [
            one
            for one in (held if only_held else outcomes)
            if one.row["class"] in classes and undone in (None, one.undone)
        ]

    kept = of("text_medium", "text_large", undone=False)
    kept_held = of("text_medium", "text_large", undone=False, only_held=True)
    brand = next(
        one
        for one in outcomes
        if one.row["path"] == "LinkedIn/Brand Guidelines.md" and one.row["time"].startswith("2025-02-14")
    )
    spent = sorted(one.seconds for one in outcomes)
    return {
        "versions": len(outcomes),
        "held": len(held),
        "held_by_class": dict(Counter(one.row["class"] for one in held)),
        "accepted_after_two_looks": sum(one.accepted for one in held),
        "collapse_undone": len(of("collapse", undone=True)),
        "collapse_undone_held": len(of("collapse", undone=True, only_held=True)),
        "brand_guidelines_2025_02_14": "queued" if not brand.quality.suspect else "held, acceptable",
        "text_medium_large_kept": len(kept),
        "text_medium_large_kept_held": len(kept_held),
        "text_medium_large_kept_held_share": round(len(kept_held) / len(kept), 4),
        "text_undone": len(of(*WORDING, undone=True)),
        "text_undone_held": len(of(*WORDING, undone=True, only_held=True)),
        "text_undone_held_cases": [one.case() for one in of(*WORDING, undone=True, only_held=True)],
        "held_cases": [one.case() for one in held],
        "judge_ms_p50": round(spent[len(spent) // 2] * 1000, 2),
        "judge_ms_p95": round(spent[len(spent) * 95 // 100] * 1000, 2),
    }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--corpus", type=Path, default=CORPUS, help="folder with pga.bundle and transitions.tsv.gz"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object with every case")
    options = parser.parse_args()
    if not (options.corpus / "pga.bundle").is_file():
        print(
            f"The policy history is not at hand: {options.corpus}. Name its folder by POLICYWATCH_CORPUS.",
            file=sys.stderr,
        )
        return 2
    found = figures(replay(options.corpus))
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    for name, value in found.items():
        if not isinstance(value, list):
            print(f"{name:40} {value}")
    for case in found["held_cases"]:
        mark = " undone" if case["undone"] else " accepted" if case["accepted"] else ""
        print(f"held {case['score']:.2f} {case['time'][:16]} {case['class']:18} {case['document']}{mark}")
        print("     " + "; ".join(case["signals"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
