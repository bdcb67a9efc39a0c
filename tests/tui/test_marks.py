"""What is said of a change beside its passages."""

from __future__ import annotations

from policywatch_tui.desk.marks import marks, short_mark


def test_a_change_as_usual_has_no_mark() -> None:
    row = {"status": "queued", "reverts": None, "alternates": 0, "pages_judged": 3, "pages_total": 3}
    assert (marks(row), short_mark(row)) == ((), "")
    assert (marks({}), short_mark({})) == ((), "")


def test_a_return_a_repetition_and_alternation_name_the_other_change() -> None:
    assert marks({"reverts": 12}) == ("reverts C-12",)
    assert short_mark({"reverts": 12}) == "reverts C-12"
    assert marks({"same_as": 12}) == ("the same two texts as C-12",)
    assert marks({"alternates": 3}) == ("two variants, 4 times: the page shows both texts by turns",)


def test_what_was_not_seen_twice_or_not_whole_says_so() -> None:
    row = {"status": "unconfirmed", "pages_judged": 30, "pages_total": 31, "alternates": 2}
    assert marks(row)[0].startswith("unconfirmed")
    assert marks(row)[-1] == "30 of 31 pages judged"
    assert short_mark(row) == "unconfirmed, two variants, 30 of 31 pages"
