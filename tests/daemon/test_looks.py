"""What a look means for what earlier looks left open: the rules alone, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from policywatch.db.collecting import Base
from policywatch.db.looks import Candidate, Variant
from policywatchd.judge.looks import MOST_LOOKS, Answer, Plan, Standing, decide
from policywatchd.judge.texts import Composed, Part, origin

HOUR = timedelta(hours=1)
A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


def parts(*texts: bytes) -> tuple[Part, ...]:
    return tuple(Part(number, 1, f"http://x.test/{number}", text) for number, text in enumerate(texts))


def base(id: int, text: bytes, *, of: tuple[Part, ...] | None = None) -> Base:
    made = of or parts(text)
    return Base(id, 1, datetime(2026, 11, 27, tzinfo=UTC), "platform", text, text, A, (), origin(made))


def composed(*texts: bytes, fresh: set[int] | None = None) -> Composed:
    made = parts(*texts)
    return Composed(made, {}, frozenset(range(len(made)) if fresh is None else fresh), len(made))


def candidate(after: Base, **more: Any) -> Candidate:
    fields = {"status": "second_look", "verdict": None, "looks": 1, "before_id": 1, "due": True, **more}
    return Candidate(7, 1, severity="low", summary="", reverts=None, after=after, **fields)


def look(text: bytes, standing: Standing | None = None, **more: Any) -> Plan:
    return decide(standing or Standing(), base(1, A), composed(text), text, HOUR, **more)


def test_the_first_text_of_a_document_waits_for_nothing() -> None:
    assert decide(Standing(), None, composed(A), A, HOUR) == Plan(None, waits=False)


def test_a_new_text_waits_and_the_old_one_says_nothing() -> None:
    assert look(B) == Plan(base(1, A))
    assert look(A).compares and look(A).answer is None


def test_the_same_text_again_confirms_and_is_the_base_from_then_on() -> None:
    plan = look(B, Standing(candidate(base(2, B))))
    assert (plan.answer, plan.base) == (Answer.CONFIRMED, base(2, B))


def test_a_look_before_its_time_confirms_nothing_and_may_undo() -> None:
    waiting = Standing(candidate(base(2, B), due=False))
    assert (look(B, waiting).answer, look(B, waiting).early) == (Answer.OPEN, True)
    assert look(A, waiting).answer is Answer.UNDONE


def test_the_old_text_again_undoes_and_remembers() -> None:
    plan = look(A, Standing(candidate(base(2, B))))
    assert (plan.answer, plan.remember, plan.base) == (Answer.UNDONE, True, base(1, A))


def test_a_third_text_takes_the_place_of_the_candidate_with_one_look_more() -> None:
    plan = look(C, Standing(candidate(base(2, B), looks=2)))
    assert (plan.answer, plan.looks, plan.remember) == (Answer.SUPERSEDED, MOST_LOOKS, False)


def test_what_a_person_has_already_is_not_replaced_by_further_texts() -> None:
    plan = look(C, Standing(candidate(base(2, B), status="unconfirmed", looks=MOST_LOOKS)))
    assert (plan.answer, plan.compares) == (Answer.OPEN, False)


def test_a_known_variant_neither_confirms_nor_undoes_but_ends_in_a_persons_hands() -> None:
    known = [Variant(C, 0, timedelta(0))]
    first = look(C, Standing(candidate(base(2, B)), known))
    last = look(C, Standing(candidate(base(2, B), looks=MOST_LOOKS - 1), known))
    assert [(plan.answer, plan.variant) for plan in (first, last)] == [(Answer.OPEN, C), (Answer.DOUBTED, C)]


def test_a_page_that_was_not_read_confirms_nothing() -> None:
    before, after = base(1, A, of=parts(A, A)), base(2, B, of=parts(A, B))
    plan = decide(Standing(candidate(after)), before, composed(A, B, fresh={0}), B, HOUR)
    assert (plan.answer, plan.compares) == (Answer.OPEN, False)


def test_a_base_or_a_rule_of_another_kind_ends_the_candidate_unremembered() -> None:
    other = candidate(base(2, B), before_id=9)
    ruled = candidate(base(2, B, of=(Part(0, 2, "http://x.test/0", B),)))
    for one in (other, ruled):
        plan = look(B, Standing(one))
        assert (plan.answer, plan.remember, plan.compares) == (Answer.SUPERSEDED, False, True)


def test_a_persons_verdict_outranks_every_look() -> None:
    taken = look(B, Standing(candidate(base(2, B), status="decided", verdict="accepted")))
    dropped = look(B, Standing(candidate(base(2, B), status="decided", verdict="bad_capture")))
    gone_back = look(A, Standing(candidate(base(2, B), status="decided", verdict="no_effect")))
    assert (taken.answer, taken.base) == (Answer.TAKEN, base(2, B))
    assert (dropped.answer, dropped.remember, dropped.compares) == (Answer.DROPPED, True, False)
    assert (gone_back.answer, gone_back.base, gone_back.compares) == (Answer.TAKEN, base(2, B), True)


def test_a_variant_is_no_change_until_three_looks_in_a_row_over_a_cadence() -> None:
    def seen(in_a_row: int, since: timedelta) -> Plan:
        return look(B, Standing(None, [Variant(B, in_a_row, since)]))

    assert not seen(0, timedelta(0)).compares
    assert not seen(2, timedelta(minutes=10)).compares
    assert not seen(1, 5 * HOUR).compares
    stays = seen(2, HOUR)
    assert (stays.settled, stays.compares, stays.waits) == (B, True, False)


def test_a_variant_whose_page_was_not_read_has_not_stayed() -> None:
    of = parts(A, A)
    known = Standing(variants=[Variant(B, 2, HOUR)])
    plans = [
        decide(known, base(1, A, of=of), composed(A, B, fresh=fresh), B, HOUR) for fresh in ({0}, {0, 1})
    ]
    assert [(plan.settled, plan.compares, plan.variant) for plan in plans] == [
        (None, False, None),
        (B, True, None),
    ]


def test_what_a_person_accepted_waits_for_no_second_look() -> None:
    assert not look(B, accepted=True).waits
    assert not look(C, Standing(candidate(base(2, B))), accepted=True).waits
    assert look(B, Standing(None, [Variant(B, 0, timedelta(0))]), accepted=True).settled == B
