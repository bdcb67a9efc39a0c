"""What a look means for what earlier looks left open: candidates, variants, confirmation, doubt.

The belief (a document's newest snapshot) moves only when a text was seen twice. Until then the new text is a
*candidate*: snapshot and change are stored, the belief stays what it was. Pure: rows and hashes in, a plan out; the
plan is carried out by `queue` in the transaction that proves the fence. The rules stand in docs/decisions/0009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from policywatch.db.collecting import Base
from policywatch.db.looks import Candidate, Variant
from policywatchd.judge.texts import Composed, differing_pages, is_comparable, origin

__all__ = ["MOST_LOOKS", "Answer", "Plan", "Standing", "decide"]

MOST_LOOKS = 3  # without two that agree; then a person decides
_SETTLES = 3  # looks in a row after which a variant is the policy
_ALMOST = 0.9  # of a cadence: visits are spread by a twentieth


class Answer(StrEnum):
    """What a look says of a candidate."""

    CONFIRMED = "confirmed"  # the same text again: the belief moves
    TAKEN = "taken"  # a person decided meanwhile that it is the policy
    DROPPED = "dropped"  # a person decided meanwhile that it is a bad capture
    UNDONE = "undone"  # the old text again
    SUPERSEDED = "superseded"  # yet another text, or a base of another kind
    DOUBTED = "doubted"  # looked often enough: a person decides
    OPEN = "open"  # nothing can be said: look again


@dataclass(frozen=True, slots=True)
class Standing:
    """What earlier looks left open of a document."""

    candidate: Candidate | None = None
    variants: Sequence[Variant] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a look.

    `answer` for the candidate (`remember`: its text is a variant from now on). `base`: what the text is compared
    with. `compares` False: nothing more comes of the look. `variant`: the known variant that was seen; `settled`:
    the one that is the policy now. `looks`: how many looks without agreement the new text is the last of.
    `waits`: a change in it needs another look.
    """

    base: Base | None
    answer: Answer | None = None
    remember: bool = False
    compares: bool = True
    variant: bytes | None = None
    settled: bytes | None = None
    looks: int = 1
    waits: bool = True
    early: bool = False  # the candidate's time has not come: nothing of it is written


def decide(
    standing: Standing,
    base: Base | None,
    composed: Composed,
    reader_hash: bytes,
    cadence: timedelta,
    *,
    accepted: bool = False,
) -> Plan:
    """What a look at `composed` means. `accepted`: a person took this very text for the policy."""
    candidate = standing.candidate
    if base is None:
        return Plan(None, waits=False)
    if candidate is None:
        return _alone(standing, base, composed, reader_hash, cadence, accepted=accepted)
    if candidate.verdict is not None:
        return _decided(standing, candidate, base, composed, reader_hash, cadence, accepted=accepted)
    after = candidate.after
    if candidate.before_id != base.id or not is_comparable(after.origin, composed.parts):
        return Plan(base, Answer.SUPERSEDED, waits=not accepted)
    known = reader_hash in (after.reader_hash, base.reader_hash)
    if known and not differing_pages(base.origin, after.origin) <= composed.fresh:
        return Plan(base, Answer.OPEN, compares=False)
    if reader_hash == after.reader_hash and not candidate.due and not accepted:
        return Plan(base, Answer.OPEN, compares=False, early=True)
    if reader_hash == after.reader_hash:
        return Plan(after, Answer.CONFIRMED, waits=not accepted)
    if reader_hash == base.reader_hash:
        return Plan(base, Answer.UNDONE, remember=True)
    if accepted:
        return Plan(base, Answer.SUPERSEDED, waits=False)
    known = any(one.reader_hash == reader_hash for one in standing.variants)
    if candidate.looks >= MOST_LOOKS:  # a person has it already
        return Plan(base, Answer.OPEN, compares=False, variant=reader_hash if known else None)
    if known:
        last = candidate.looks + 1 >= MOST_LOOKS
        answer = Answer.DOUBTED if last else Answer.OPEN
        return Plan(base, answer, compares=False, variant=reader_hash)
    return Plan(base, Answer.SUPERSEDED, looks=candidate.looks + 1)


def _decided(
    standing: Standing,
    candidate: Candidate,
    base: Base,
    composed: Composed,
    reader_hash: bytes,
    cadence: timedelta,
    *,
    accepted: bool,
) -> Plan:
    """A person was faster than the second look: what they said holds."""
    bad = candidate.verdict == "bad_capture"
    if bad and reader_hash == candidate.after.reader_hash:
        return Plan(base, Answer.DROPPED, remember=True, compares=False)
    stands = base if bad else candidate.after
    plan = _alone(standing, stands, composed, reader_hash, cadence, accepted=accepted)
    return Plan(
        plan.base,
        Answer.DROPPED if bad else Answer.TAKEN,
        remember=bad,
        compares=plan.compares,
        variant=plan.variant,
        settled=plan.settled,
        waits=plan.waits,
    )


def _alone(
    standing: Standing,
    base: Base,
    composed: Composed,
    reader_hash: bytes,
    cadence: timedelta,
    *,
    accepted: bool,
) -> Plan:
    """Nothing is open: a known variant is no change until it stays."""
    if reader_hash == base.reader_hash or not is_comparable(base.origin, composed.parts):
        return Plan(base, waits=not accepted)
    for one in standing.variants:
        if one.reader_hash != reader_hash:
            continue
        if not differing_pages(base.origin, origin(composed.parts)) <= composed.fresh:
            return Plan(base, compares=False)  # its page was not read: a stand-in has not been seen again
        if accepted or (one.in_a_row + 1 >= _SETTLES and one.since >= cadence * _ALMOST):
            return Plan(base, settled=reader_hash, waits=False)
        return Plan(base, compares=False, variant=reader_hash)
    return Plan(base, waits=not accepted)
