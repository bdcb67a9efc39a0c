"""Foreign text is shown and never obeyed; columns are cut by cells; the diff keeps its marks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.domain.changes import Passage, PassageKind, Span
from policywatch_tui.desk import fmt, queueview
from policywatch_tui.desk.clean import clean, clean_lines, escaped
from policywatch_tui.desk.diffview import laid_out, pieces, wrapped
from policywatch_tui.desk.line import Look, cells, crop, justified, line, text_of
from policywatch_tui.desk.triage import Triage
from tests.tui.world import NOW, passages, queue_rows


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred", "<U+001B>[31mred"),
        ("\x1b]52;c;aGk=\x07", "<U+001B>]52;c;aGk=<U+0007>"),
        ("a\x9b2Jb", "a<U+009B>2Jb"),
        ("pay\u202eeerf", "pay<U+202E>eerf"),
        ("zero\u200bwidth", "zero<U+200B>width"),
        ("soft\u00adhyphen", "soft<U+00AD>hyphen"),
        ("\ufefffirst", "<U+FEFF>first"),
        ("tag\U000e0041", "tag<U+E0041>"),
        ("bell\x07 del\x7f", "bell<U+0007> del<U+007F>"),
        ("line\nbreak\tand tab", "line break and tab"),
        ("[/nope] [@click=app.quit]x[/]", "[/nope] [@click=app.quit]x[/]"),
        ("café 東京 e\u0301", "café 東京 e\u0301"),
    ],
)
def test_what_a_terminal_would_obey_becomes_a_visible_mark(hostile: str, shown: str) -> None:
    assert clean(hostile) == shown


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    assert all(ord(sign) >= 32 and not 127 <= ord(sign) < 160 for sign in clean(text))
    assert all(sign == "\n" or ord(sign) >= 32 for sign in clean_lines(text))


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.integers(0, 40))
def test_a_cut_text_has_exactly_its_width(text: str, width: int) -> None:
    assert cells(fmt.cut(clean(text), width)) <= width
    assert cells(fmt.pad(clean(text), width)) == width
    assert cells(text_of(crop(line(clean(text)), width))) <= width


@given(st.text(st.characters(codec="utf-8"), max_size=200), st.integers(2, 40))
def test_wrapping_loses_nothing_but_the_spaces_at_which_it_breaks(text: str, width: int) -> None:
    shown = clean(text)
    rows = wrapped(shown, width)
    assert all(cells(shown[start:end]) <= width for start, end in rows)
    assert "".join(shown[start:end] for start, end in rows).replace(" ", "") == shown.replace(" ", "")


@given(
    st.text(max_size=60),
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 20)), max_size=5),
)
def test_the_pieces_of_a_marked_text_are_the_text(text: str, raw: list[tuple[int, int]]) -> None:
    spans = [Span(start, start + length) for start, length in raw]
    text = text.replace("\r", "")
    assert "".join(piece for piece, _ in pieces(text, spans)) == clean_lines(text)


def test_a_hidden_character_does_not_shift_the_marks_behind_it() -> None:
    passage = Passage(PassageKind.REWORDED, (), "a\u200bb cat", "a\u200bb dog", (Span(4, 7),), (Span(4, 7),))
    rows = laid_out([passage], 60).rows
    marked = [text for row in rows for text, look in row if look in (Look.ADDED_MARK, Look.REMOVED_MARK)]
    assert marked == ["cat", "dog"]


def test_a_change_is_shown_under_its_headings_with_signs_and_marks() -> None:
    view = laid_out(passages(), 78)
    texts = [text_of(row) for row in view.rows]
    assert texts[0].startswith("--- 1/3  Terms of Service > 14. Disputes -")
    assert texts[1].startswith("- 14.2 Any dispute")
    assert texts[2].startswith("+ 14.2 Any dispute")
    assert "[moved]" in texts[view.starts[2]]
    assert view.next_start(0) == view.starts[1]
    assert view.previous_start(view.starts[1]) == 0
    assert all(cells(text) <= 78 for text in texts)


@pytest.mark.parametrize("width", [0, 1, 3, 10, 40, 60, 79, 80, 100, 120, 200])
def test_a_queue_row_never_overflows_and_survives_any_width(width: int) -> None:
    triage = Triage("ben")
    triage.fill(queue_rows(12))
    row = triage.list.rows[2041]
    drawn = queueview.queue_line(triage, row, here=True, width=width, now=NOW, zone=UTC)
    if width >= 24:
        assert cells(text_of(drawn)) <= width
    assert cells(text_of(crop(drawn, width))) <= width


@pytest.mark.parametrize(
    ("span", "word"),
    [
        (timedelta(seconds=40), "now"),
        (timedelta(minutes=5), "5m"),
        (timedelta(hours=2), "2h"),
        (timedelta(days=3, hours=4), "3d"),
        (-timedelta(hours=1), "now"),
    ],
)
def test_an_age_has_one_unit(span: timedelta, word: str) -> None:
    assert fmt.age(NOW - span, NOW) == word


def test_a_countdown_runs_by_the_second_only_in_the_last_minute() -> None:
    assert fmt.countdown(NOW + timedelta(minutes=12, seconds=40), NOW) == "12m"
    assert fmt.countdown(NOW + timedelta(hours=1, minutes=5), NOW) == "1h 5m"
    assert fmt.countdown(NOW + timedelta(seconds=42), NOW) == "42s"
    assert fmt.countdown(NOW, NOW) == "due"


def test_a_clock_names_the_day_when_it_is_another_one() -> None:
    assert fmt.clock(datetime(2025, 11, 12, 9, 5, tzinfo=UTC), UTC, NOW) == "09:05"
    assert fmt.clock(datetime(2025, 11, 11, 9, 5, tzinfo=UTC), UTC, NOW) == "11 Nov 09:05"
    assert fmt.clock(datetime(2024, 2, 1, 9, 5, tzinfo=UTC), UTC, NOW) == "1 Feb 2024 09:05"


def test_the_right_part_of_a_line_wins_over_the_left_one() -> None:
    drawn = justified([("a long title of a screen", Look.PLAIN)], [("live", Look.DIM)], 12)
    assert text_of(drawn) == "a long  live"[:7] + " live" or text_of(drawn).endswith("live")
    assert cells(text_of(drawn)) == 12


def test_json_that_is_printed_holds_nothing_that_a_terminal_obeys() -> None:
    said = {"cause": "a\x1b[2J\x9b31m\u202e\u2028\ud800\U000e0041 é 😀", "list": [1, "b"]}

    text = escaped(json.dumps(said, ensure_ascii=False, indent=2))

    assert json.loads(text) == said
    assert text.replace("\n", "").isprintable() and "é 😀" in text
    assert text.encode()
