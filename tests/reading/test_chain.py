"""The states of the chain are those of the schema, and end where the design says."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

from policywatch.domain.chain import (
    APPROVAL_STEPS,
    PUBLICATION_STEPS,
    ApprovalState,
    CaptureState,
    ChangeStatus,
    PublicationState,
    RecipientState,
    SnapshotKind,
    SnapshotSource,
    Verdict,
    may_follow,
)
from policywatch.domain.changes import NoiseKind, Severity

SCHEMA = Path(__file__).resolve().parents[2] / "migrations" / "001_initial_schema.sql"


@pytest.mark.parametrize(
    "words",
    [
        CaptureState, SnapshotSource, SnapshotKind, ChangeStatus, Verdict, ApprovalState, PublicationState,
        RecipientState, NoiseKind, Severity,
    ],
)  # fmt: skip
def test_the_schema_knows_exactly_these_words(words: type[StrEnum]) -> None:
    lists = re.findall(r"\bIN\s*\(('[^()]*')\)", SCHEMA.read_text(encoding="utf-8"))
    known = [frozenset(re.findall(r"'(\w+)'", one)) for one in lists]

    assert frozenset(words) in known


def test_every_state_has_its_steps_and_a_way_to_an_end() -> None:
    assert set(APPROVAL_STEPS) == set(ApprovalState)
    assert set(PUBLICATION_STEPS) == set(PublicationState)
    assert not PUBLICATION_STEPS[PublicationState.SENT]


def test_a_withdrawn_publication_is_never_released_and_a_yes_can_only_be_voided() -> None:
    assert may_follow(PublicationState.GRACE, PublicationState.WITHDRAWN)
    assert not may_follow(PublicationState.WITHDRAWN, PublicationState.RELEASING)
    assert [state for state in ApprovalState if may_follow(ApprovalState.APPROVED, state)] == [
        ApprovalState.VOIDED
    ]
    assert not may_follow(ApprovalState.APPROVED, PublicationState.SENT)


def test_only_queued_and_unconfirmed_changes_wait_for_a_reviewer() -> None:
    assert [status for status in ChangeStatus if status.waiting] == [
        ChangeStatus.UNCONFIRMED,
        ChangeStatus.QUEUED,
    ]
