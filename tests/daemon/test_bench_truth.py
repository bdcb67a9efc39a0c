"""The judge of `bench collect` is judged: a perfect run has no fault, and each planted fault is counted as what it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policywatch.simulated import scenario_file
from policywatch.simulated.scenario import BadKind
from policywatch.simulated.scenario_script import Script, ScriptedDocument, Span, Version
from policywatchd.bench.truth import FAULTS, Truth

START = datetime(2026, 11, 27, 12, tzinfo=UTC)
ROUND = timedelta(hours=12) * 1.06
LAST = 10


def text(document: ScriptedDocument, version: int) -> str:
    """The stored text of a document of one page."""
    return "\n\n".join(document.blocks(0, version)) + "\n"


class Played:
    """A run of four documents, of which the first changes in round 4. Each test lets one thing go wrong."""

    def __init__(self, pages: int = 1) -> None:
        about = {"count": 4, "platforms": 4, "hosts": 2, "pages": [pages]}
        script = Script(scenario_file.parse({"rounds": LAST, "documents": about, "noise": {"share": 0}}))
        self.truth = Truth(script, ROUND, timedelta(days=7))
        self.document = script.documents[0]
        blocks = self.document.blocks(0, 0)
        changed = (*blocks, "## Arbitration\n\nYou agree to arbitration.")
        self.document.versions.append(Version(4, 0, None, changed))
        self.document.versions[-1] = Version(4, 0, script.scenario.changes.kinds[0], changed)
        self.standing: list[dict[str, Any]] = [
            {"document": one.full_name, "health": "ok", "cause": None, "blind_since": None, "alerted": False}
            for one in script.documents
        ]

    @property
    def name(self) -> str:
        return self.document.full_name

    def rounds(self) -> Iterator[int]:
        for round_ in range(LAST + 1):
            yield round_
            self.truth.end_round(round_, START + ROUND * round_, self.standing)

    def end(self, **texts: str) -> dict[str, int]:
        believed = {
            one.full_name: text(one, one.version(0, LAST)) for one in self.truth.script.documents
        } | texts
        self.truth.finish(self.standing, believed)
        found = self.truth.figures()["faults"]
        return {name: count for name, count in found.items() if count}

    def report(self, round_: int, before: str | None = None, after: str | None = None) -> None:
        was = text(self.document, 0) if before is None else before
        now = text(self.document, 1) if after is None else after
        self.truth.report(self.name, round_, was, now, round_)


def play(*reports: tuple[int, str | None, str | None]) -> dict[str, int]:
    played = Played()
    for round_ in played.rounds():
        for at, before, after in reports:
            if at == round_:
                played.report(round_, before, after)
    return played.end()


def test_a_perfect_run_has_no_fault() -> None:
    played = Played()
    for round_ in played.rounds():
        if round_ == 4:
            played.report(4)
    assert played.end() == {}
    assert set(played.truth.figures()["faults"]) == set(FAULTS)


def test_links_and_relative_times_make_no_other_text() -> None:
    told = text(Played().document, 1).replace("(/archive/0)", "(http://h0.test/archive/0?session=1)")
    assert play((4, None, f"Last reviewed 9 days ago\n\n{told}")) == {}


def test_a_change_that_nobody_reported_is_missed() -> None:
    assert play() == {"missed": 1}


@pytest.mark.parametrize(("round_", "faults"), [(5, {}), (6, {"late": 1})])
def test_a_change_may_be_reported_one_round_after_its_second_look(
    round_: int, faults: dict[str, int]
) -> None:
    assert play((round_, None, None)) == faults


def test_bad_rounds_do_not_count_against_the_report_of_a_change() -> None:
    played = Played()
    played.document.spans.append(Span(0, BadKind.CAPTCHA, 4, 4))
    for round_ in played.rounds():
        if round_ == 6:
            played.report(6)
    assert played.end() == {}


def test_a_change_that_was_reported_before_is_found_twice() -> None:
    assert play((4, None, None), (5, None, None)) == {"found_twice": 1}


def test_a_wall_as_a_change_is_a_false_alarm_and_bad_content() -> None:
    played = Played()
    wall = "# Just a moment...\n\nChecking that you are human."
    for round_ in played.rounds():
        if round_ == 4:
            played.report(4)
        if round_ == 6:
            played.truth.snapshot(played.name, "change", wall, 6)
            played.report(6, text(played.document, 1), wall)
    assert played.end() == {"false_alarms": 1, "bad_taken_as_content": 1}


def test_two_texts_of_the_same_words_are_a_report_of_markup() -> None:
    same = text(Played().document, 1)
    assert play((4, None, None), (6, same, same.replace("## ", "### "))) == {"markup_only_reports": 1}


def test_an_old_version_that_comes_back_is_a_false_alarm() -> None:
    document = Played().document
    assert play((4, None, None), (6, text(document, 1), text(document, 0))) == {"false_alarms": 1}


def test_a_document_that_stays_on_its_old_text_is_stuck() -> None:
    played = Played()
    for round_ in played.rounds():
        if round_ == 4:
            played.report(4)
    assert played.end(**{played.name: text(played.document, 0)}) == {"stuck_afterwards": 1}


@pytest.mark.parametrize("told", [True, False])
def test_a_page_that_is_bad_for_two_cadences_has_to_count_as_blind(told: bool) -> None:
    played = Played()
    played.document.spans.append(Span(0, BadKind.FORBIDDEN, 6, 8))
    row = played.standing[0]
    for round_ in played.rounds():
        if round_ == 4:
            played.report(4)
        row["blind_since"] = START if told and round_ in (7, 8) else None
    assert played.end() == ({} if told else {"blind_reported_late": 1})


def test_a_source_that_sees_again_must_not_stay_blind() -> None:
    played = Played()
    for round_ in played.rounds():
        if round_ == 4:
            played.report(4)
        played.standing[0]["alerted"] = round_ >= 8
    assert played.end() == {"blind_not_closed": 1}


def test_each_page_of_a_document_is_known_by_itself() -> None:
    played = Played(pages=3)
    document, urls = played.document, [page.url for page in played.document.pages]

    def whole(first: int, leave_out: int | None = None) -> str:
        texts = ["\n\n".join(document.blocks(page, first if page == 0 else 0)) for page in range(3)]
        kept = [
            f"# {url}\n\n{one}"
            for at, (url, one) in enumerate(zip(urls, texts, strict=True))
            if at != leave_out
        ]
        return "\n\n".join(kept)

    identity = played.truth.identify(document, whole(1, leave_out=2))
    assert identity == (frozenset({1}), frozenset({0}), None)
    played.truth.report(played.name, 1, whole(0), whole(1), 4)
    assert played.truth.found == {(played.name, 0, 1): 4}
