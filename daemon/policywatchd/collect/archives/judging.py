"""What a version's text says, worked out in a process beside the import: hashes, comparison, analysis.

Runs in children (two at most), each with the repository open by itself, so that texts do not travel. Answers in
plain values ready to be stored. No database here.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pygit2

from policywatch.db.contents import as_text
from policywatch.domain.changes import Comparison
from policywatch.reading import analyse, compare
from policywatchd.collect.archives import suspects
from policywatchd.collect.archives.repository import open_repository, read_blob
from policywatchd.collect.archives.suspects import Chain, Found

__all__ = ["Judged", "Question", "judge", "screen", "start"]

_repository: pygit2.Repository | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One version to judge. `before` is the blob it is compared with, None for a first or technical version."""

    blob: str
    before: str | None
    at: date
    document: str
    platform: str


@dataclass(frozen=True, slots=True)
class Judged:
    """The answer. `change` is None where nothing was compared; else the columns of a change and its analysis."""

    sha256: bytes
    reader_hash: bytes
    link_hash: bytes
    change: dict[str, Any] | None


def start(folder: str) -> None:
    """Make this child ready: it leaves Ctrl-C to its parent, and ends when its parent is gone."""
    global _repository
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _repository = open_repository(Path(folder))


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def judge(questions: list[Question]) -> list[Judged]:
    """Answer for a run of versions of one document, in their order (a text is read once for two comparisons)."""
    return [_judged(question) for question in questions]


def screen(chain: Chain) -> list[Found]:
    """The suspect versions of one path."""
    return suspects.screen(chain, _text, lambda blob: _hashes(blob)[1])


def _judged(question: Question) -> Judged:
    sha256, reader_hash, link_hash = _hashes(question.blob)
    return Judged(sha256, reader_hash, link_hash, None if question.before is None else _change(question))


def _change(question: Question) -> dict[str, Any]:
    assert question.before is not None
    comparison, passages = _compared(question.before, question.blob)
    analysis = analyse.analyse(
        comparison, at=question.at, document=question.document, platform=question.platform
    )
    return {
        "noise_kind": comparison.noise_kind.value,
        "words_added": comparison.words_added,
        "words_removed": comparison.words_removed,
        "passages": passages,
        "analysis": analysis.to_json(),
    }


@lru_cache(maxsize=8)
def _text(blob: str) -> str:
    assert _repository is not None, "start() comes first"
    return as_text(read_blob(_repository, blob))


@lru_cache(maxsize=256)
def _hashes(blob: str) -> tuple[bytes, bytes, bytes]:
    assert _repository is not None, "start() comes first"
    body = read_blob(_repository, blob)
    text = as_text(body)
    return hashlib.sha256(body).digest(), compare.reader_hash(text), compare.link_hash(text)


@lru_cache(maxsize=32)
def _compared(before: str, after: str) -> tuple[Comparison, str]:
    """Pages that flip to and fro ask the same question again and again."""
    comparison = compare.compare(_text(before), _text(after))
    passages = [passage.to_json() for passage in comparison.passages]
    return comparison, json.dumps(passages, ensure_ascii=False, separators=(",", ":"))
