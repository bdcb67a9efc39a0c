"""The small pure parts: prompt, freshness, split sequences, the window over a list."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch_tui.desk import queueview, sheets
from policywatch_tui.desk.esc import RepeatGuard, SplitGuard
from policywatch_tui.desk.fresh import POLL_SECONDS, STALE_SECONDS, Freshness, seconds_to_next_look
from policywatch_tui.desk.line import cells, text_of
from policywatch_tui.desk.prompt import Answer, Question, QuestionKind, snooze_until
from policywatch_tui.desk.rows import Counts, Standing
from policywatch_tui.desk.triage import Triage
from policywatch_tui.desk.window import Window
from tests.tui.world import NOW, approvals, publications


def test_a_split_arrow_key_reaches_no_binding() -> None:
    guard = SplitGuard()
    assert not guard.swallows("escape", 0.0)
    assert guard.swallows("[", 0.15)
    assert guard.swallows("A", 0.16)
    assert not guard.swallows("a", 0.17)


def test_a_split_kitty_sequence_reaches_no_binding() -> None:
    guard = SplitGuard()
    guard.swallows("escape", 0.0)
    assert all(guard.swallows(key, 0.1) for key in "[106;;106u")
    assert not guard.swallows("u", 0.2)


def test_a_bracket_typed_long_after_escape_is_a_key() -> None:
    guard = SplitGuard()
    guard.swallows("escape", 0.0)
    assert not guard.swallows("[", 1.5)


def test_a_held_verdict_key_acts_once() -> None:
    guard = RepeatGuard()
    assert guard.allows("a", 0.0)
    assert not any(guard.allows("a", 0.033 * place) for place in range(1, 40))
    assert guard.allows("x", 1.4)
    assert guard.allows("a", 1.5)


def test_enter_alone_answers_no_question_that_writes() -> None:
    yes = Question(QuestionKind.YES, "take back?")
    assert yes.feed("enter", None) is Answer.OPEN
    assert yes.feed("y", "y") is Answer.GIVEN
    count = Question(QuestionKind.TEXT, "how many?", required=True, digits=True)
    assert count.feed("enter", None) is Answer.OPEN
    assert count.complaint
    for key in "4a8b":
        count.feed(key, key)
    assert count.given == "48"
    assert count.feed("enter", None) is Answer.GIVEN


def test_escape_cancels_and_any_other_key_than_y_is_no() -> None:
    assert Question(QuestionKind.TEXT, "?").feed("escape", None) is Answer.CANCELLED
    assert Question(QuestionKind.YES, "?").feed("x", "x") is Answer.CANCELLED


@given(st.text(max_size=80), st.integers(1, 100))
def test_a_prompt_fits_its_row(given: str, width: int) -> None:
    question = Question(QuestionKind.TEXT, "why high?", given=given)
    drawn, column = question.drawn(width)
    assert 0 <= column < max(width, 2)
    assert cells(text_of(drawn)) <= max(width, len("why high? ") + 1)


def test_a_snooze_is_a_span_or_a_day() -> None:
    assert snooze_until("4h", NOW, UTC) == NOW + timedelta(hours=4)
    assert snooze_until("1w", NOW, UTC) == NOW + timedelta(weeks=1)
    day = snooze_until("2025-11-30", NOW, UTC)
    assert day is not None
    assert (day.day, day.hour) == (30, 9)
    assert snooze_until("0", NOW, UTC) is None


@pytest.mark.parametrize("wrong", ["", "soon", "2020-01-01", "0h", "999w", "4 hours"])
def test_what_is_no_snooze_is_refused_with_a_sentence(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        snooze_until(wrong, NOW, UTC)


def test_the_word_at_the_top_never_claims_more_than_is_known() -> None:
    fresh = Freshness()
    assert fresh.word(0.0, UTC)[0] == "not loaded yet"
    fresh.told(NOW, 100.0)
    assert fresh.word(101.0, UTC)[0] == "live 12:03"
    assert "STALE 2m" in fresh.word(100.0 + STALE_SECONDS + 40, UTC)[0]
    fresh.lost(200.0)
    assert "OFFLINE 12:05, 1 unconfirmed" in fresh.word(900.0, UTC, 1)[0]
    fresh.contact(901.0)
    assert fresh.word(901.0, UTC)[0].startswith("live")


def test_server_time_goes_on_by_the_monotonic_clock() -> None:
    fresh = Freshness()
    fresh.told(NOW, 100.0)
    assert fresh.now(160.0) == NOW + timedelta(seconds=60)


@given(
    st.integers(0, 50),
    st.integers(1, 20),
    st.lists(
        st.tuples(st.sampled_from(["move", "go", "page", "resize", "recount", "place"]), st.integers(-60, 60))
    ),
)
def test_the_cursor_is_always_on_a_row_that_is_in_sight(
    count: int, height: int, steps: list[tuple[str, int]]
) -> None:
    window = Window(count=count, height=height)
    for what, by in steps:
        if what == "move":
            window.move(by)
        elif what == "go":
            window.go(by)
        elif what == "page":
            window.page(by / 2 or 1)
        elif what == "resize":
            window.resize(by)
        elif what == "recount":
            window.recount(by)
        else:
            window.place(by, by // 2)
        assert 0 <= window.cursor <= max(0, window.count - 1)
        assert window.top <= window.cursor < window.top + window.height
        assert window.top >= 0


def test_at_the_edge_the_window_jumps_half_a_page() -> None:
    window = Window(count=100, height=20)
    for _ in range(20):
        window.move(1)
    assert (window.cursor, window.top) == (20, 10)


def test_an_empty_queue_is_called_clear_only_where_every_source_was_read() -> None:
    def words(good: int, total: int) -> str:
        standing = Standing(now=NOW, person="ben", role="reviewer", documents=total, documents_good=good)
        return " ".join(text_of(row) for row in queueview.empty_words(standing, Counts()))

    assert "Queue is clear" in words(21, 21)
    assert "BUT 2 of 21" in words(19, 21)
    assert "no document is watched" in words(0, 0)
    unread = Standing(now=NOW, person="ben", role="reviewer", documents=21, documents_good=19)
    assert text_of(queueview.empty_words(unread, Counts(undecided=500))[0]) == "not loaded yet"
    assert text_of(queueview.empty_words(None, None)[0]) == "not loaded yet"


def test_an_empty_queue_says_how_many_pages_can_be_read() -> None:
    said = "41 of 192 pages are readable: 30 by plain HTTP, 11 by a browser"
    for good in (21, 19):  # healthy or not
        standing = Standing(
            now=NOW, person="ben", role="reviewer", documents=21, documents_good=good, readable=said
        )
        assert text_of(queueview.empty_words(standing, Counts())[-1]) == f"{said}."
    assert queueview.readable_words(Standing(now=NOW, person="ben", role="reviewer")) == ()
    assert queueview.readable_words(None) == ()


def test_a_silent_daemon_a_frozen_system_refused_settings_and_blind_sources_are_said() -> None:
    def said(**more: object) -> str:
        standing = Standing(now=NOW, person="ben", role="reviewer", **more)  # type: ignore[arg-type]
        return text_of(queueview.troubles(standing, NOW))

    assert said(daemon_seen_at=NOW - timedelta(seconds=40)) == ""
    assert "daemon silent 5m" in said(daemon_seen_at=NOW - timedelta(minutes=5))
    assert "no daemon runs" in said()
    assert "FROZEN" in said(daemon_seen_at=NOW, frozen=True)
    assert "1 source blind" in said(daemon_seen_at=NOW, documents_blind=1)
    assert "2 sources blind" in said(daemon_seen_at=NOW, documents_blind=2)
    fault = '/etc/policywatch/policywatch.yaml:3:5: unknown key "x" in fetch'
    assert 'settings refused: policywatch.yaml:3:5: unknown key "x"' in said(
        daemon_seen_at=NOW, settings_fault=fault
    )


def test_in_80_cells_blind_sources_are_seen_beside_refused_settings() -> None:
    fault = (
        "/etc/policywatch/policywatch.yaml:18:13: platforms.x.documents.terms-of-service needs the key select"
    )
    standing = Standing(
        now=NOW,
        person="ben",
        role="reviewer",
        daemon_seen_at=NOW - timedelta(minutes=5),
        documents_blind=3,
        settings_fault=fault,
    )
    seen = text_of(queueview.status(Triage(), more=False, standing=standing, now=NOW))[:80]
    assert "daemon silent 5m" in seen
    assert "3 sources blind" in seen
    assert "settings refused: " in seen


def test_a_daemon_that_the_desk_began_is_looked_for_soon_and_not_for_ever() -> None:
    assert seconds_to_next_look(0, offline=False, daemon_seen=False) < POLL_SECONDS / 5
    assert seconds_to_next_look(0, offline=False, daemon_seen=True) == POLL_SECONDS
    assert seconds_to_next_look(50, offline=False, daemon_seen=False) == POLL_SECONDS
    assert seconds_to_next_look(50, offline=True, daemon_seen=False) < POLL_SECONDS / 5


def test_the_sheet_holds_all_that_a_yes_binds() -> None:
    request = approvals()[0]
    sheet = " ".join(" ".join(text_of(row) for row in sheets.approval_sheet(request, 79, NOW, UTC)).split())
    for part in (
        "eu-members",
        "4,812 recipients",
        "31 suppressed",
        "9f2c 41aa",
        request.subject,
        "30 min",
        "12:33",
    ):
        assert part in sheet
    for word in request.body.split():
        assert word in sheet


def test_every_state_of_a_publication_says_what_is_most_worth_knowing() -> None:
    shown = [
        text_of(sheets.publication_line(row, here=False, width=80, now=NOW, zone=UTC))
        for row in publications()
    ]
    assert "sends in 12m" in shown[0]
    assert "3,120/4,812 sent  failed 7" in shown[1]
    assert "4,790/4,812 sent" in shown[2]
    assert "nobody was mailed" in shown[3]
