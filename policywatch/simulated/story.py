"""The figures that the demo must come to, computed from the script alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policywatch.simulated.texts import Document, documents
from policywatch.simulated.truth import Truth

__all__ = ["Expected", "expected", "judge_found"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a perfect run finds after the given number of rounds beyond round 0."""

    platforms: int
    documents: int
    changes: int
    changes_by_round: tuple[int, ...]
    changed_pages: tuple[tuple[int, str], ...]


def expected(truth: Truth, rounds: int | None = None) -> Expected:
    """The figures up to and with round number `rounds` (default: all scripted rounds)."""
    last = truth.rounds - 1 if rounds is None else rounds
    by_round = [truth.changed(round_) for round_ in range(1, last + 1)]
    known = documents()
    return Expected(
        platforms=len({document.platform for document in known}),
        documents=len(known),
        changes=sum(map(len, by_round)),
        changes_by_round=tuple(map(len, by_round)),
        changed_pages=tuple(
            (round_, document.page)
            for round_, changed in enumerate(by_round, start=1)
            for document in sorted(changed)
        ),
    )


def judge_found(
    truth: Truth, round_: int, found: Sequence[tuple[str, str]]
) -> tuple[int, int, tuple[str, ...]]:
    """Changes found in one round, as (platform, document), against the script.

    Returns: how many are right, how many are false alarms (no change scripted, or the second of the same
    document), and the pages that were missed.
    """
    wanted = {document.page for document in truth.changed(round_)}
    pages = [Document(*pair).page for pair in found]
    right = wanted & set(pages)
    return len(right), len(pages) - len(right), tuple(sorted(wanted - right))
