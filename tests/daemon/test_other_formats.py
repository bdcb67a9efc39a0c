"""A policy as a PDF and as the answer of an API: read, compared, and never taken for another when it comes broken."""

from __future__ import annotations

import json
import textwrap

import pytest

from tests.daemon.told_pages import LEAVE, TOLD, changed, page, told_world
from tests.databases import Scratch
from tests.reading.pdf_writing import Placed, column, pdf

pytestmark = pytest.mark.needs_db

STRICTER = changed("You may appeal against a suspension within 3 days.")
LINES = 40  # on a page


def as_pdf(text: str) -> bytes:
    """The policy as a word processor prints it: wrapped, over pages, with a number below each."""
    lines: list[str] = []
    for block in text.strip().split("\n\n"):
        lines += [*textwrap.wrap(block.lstrip("# "), 88), ""]
    pages: list[list[Placed]] = []
    for number, start in enumerate(range(0, len(lines), LINES), start=1):
        pages.append([*column(lines[start : start + LINES]), (300, 30, 9, f"Page {number}")])
    return pdf(pages)


def as_answer(text: str) -> bytes:
    """The policy as an API hands it out: one section a block, HTML inside."""
    sections = [{"id": number, "body": f"<p>{block}</p>"} for number, block in enumerate(text.split("\n\n"))]
    return json.dumps({"views": 1, "data": {"sections": sections}}).encode()


async def test_a_policy_that_is_a_pdf_is_read_and_its_edit_found(database: Scratch) -> None:
    async with told_world(database, [page("terms-of-service", select=["body"])]) as told:
        told.say(as_pdf(TOLD))
        first = await told.look()
        again = await told.look()
        told.say(as_pdf(STRICTER))
        edited = await told.look()

        assert (first.outcome, again.outcome, edited.outcome) == ("first", "unchanged", "change")
        (row,) = told.world.rows("SELECT passages FROM app.policy_changes")
        (passage,) = row["passages"]
        assert LEAVE in passage["before"] and "within 3 days" in passage["after"]


async def test_a_pdf_that_comes_cut_or_locked_is_an_error_and_never_a_change(database: Scratch) -> None:
    async with told_world(database, [page("terms-of-service", select=["body"])]) as told:
        told.say(as_pdf(TOLD))
        await told.look()
        believed = told.believed()

        causes = []
        for body in (as_pdf(TOLD)[:-400], pdf([column(["locked"])], encrypted=True), pdf([[], []])):
            told.say(body)
            visited = await told.look()
            causes.append((visited.outcome, told.document()["cause"]))
        told.say(as_pdf(TOLD))
        recovered = await told.look()

        assert [outcome for outcome, _ in causes] == ["failed"] * 3
        for (_, cause), words in zip(causes, ("end is missing", "password", "pictures"), strict=True):
            assert words in cause
        assert (recovered.outcome, told.changes(), told.believed()) == ("unchanged", [], believed)


async def test_a_web_page_that_is_a_pdf_by_now_asks_for_its_rule_and_announces_nothing(
    database: Scratch,
) -> None:
    async with told_world(database) as told:
        await told.look()
        told.say(as_pdf(STRICTER))
        turned = await told.look()
        cause = told.document()["cause"]
        told.set([page("terms-of-service", select=["body"])])
        ruled = await told.look()

        assert turned.outcome == "failed" and "came as a PDF" in cause
        assert told.document()["health"] == "ok"
        assert ruled.outcome in ("technical", "change")
        assert told.world.value("SELECT count(*) FROM app.policy_snapshots WHERE kind = 'first'") == 1


async def test_a_policy_from_an_api_is_read_by_paths_and_only_its_own_words_count(database: Scratch) -> None:
    rule = page("terms-of-service", select=["$.data.sections[*].body"])
    async with told_world(database, [rule]) as told:
        told.say(as_answer(TOLD))
        first = await told.look()
        told.say(as_answer(TOLD).replace(b'"views": 1', b'"views": 2'))
        counted = await told.look()
        told.say(as_answer(STRICTER))
        edited = await told.look()
        told.say(as_answer(TOLD)[:-9])
        cut = await told.look()

        assert [one.outcome for one in (first, counted, edited, cut)] == [
            "first",
            "unchanged",
            "change",
            "failed",
        ]
        assert "no valid JSON" in told.document()["cause"]
