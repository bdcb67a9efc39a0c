"""What a change means: the rubric's worked examples and others of the same kind, in words of our own."""

from __future__ import annotations

from datetime import date
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policywatch.domain.changes import Analysis, ChangeType, NoiseKind, Severity
from policywatch.reading.analyse import ENGINE, analyse
from policywatch.reading.compare import compare

AT = date(2026, 3, 1)


def judged(before: str, after: str, document: str = "Terms of Service", *, at: date = AT) -> Analysis:
    comparison = compare(before, after)
    analysis = analyse(comparison, at=at, document=document, platform="Platform")
    assert all(evidence.stands_in(comparison.passages) for evidence in analysis.evidence)
    assert analysis.evidence or not comparison.passages
    return analysis


def added(sentence: str, document: str = "Terms of Service") -> Analysis:
    return judged(
        "# Terms\n\nWelcome to the service.\n",
        f"# Terms\n\nWelcome to the service.\n\n{sentence}\n",
        document,
    )


def removed(sentence: str, document: str = "Terms of Service") -> Analysis:
    return judged(
        f"# Terms\n\nWelcome to the service.\n\n{sentence}\n",
        "# Terms\n\nWelcome to the service.\n",
        document,
    )


def reworded(before: str, after: str, document: str = "Terms of Service") -> Analysis:
    return judged(f"# Terms\n\n{before}\n", f"# Terms\n\n{after}\n", document)


def test_training_on_posts_without_a_way_out_is_critical() -> None:
    analysis = added("We may use your public posts to train our artificial intelligence models.")

    assert analysis.change_type is ChangeType.AI_AND_TRAINING
    assert analysis.severity is Severity.CRITICAL
    assert analysis.notify
    assert "ai training" in analysis.topics


def test_training_with_a_way_out_is_high() -> None:
    analysis = added(
        "We may use your public posts to train our artificial intelligence models. You can opt out at any time."
    )

    assert (analysis.change_type, analysis.severity) == (ChangeType.AI_AND_TRAINING, Severity.HIGH)


def test_a_newsworthiness_exception_that_goes_is_critical_and_that_comes_is_high() -> None:
    exception = "We may leave up content that is newsworthy, even where it shows graphic violence."

    assert removed(exception, "Community Guidelines").severity is Severity.CRITICAL
    assert added(exception, "Community Guidelines").severity is Severity.HIGH


def test_a_changed_period_is_at_least_medium_and_named_in_the_summary() -> None:
    analysis = reworded(
        "You have 14 days to appeal a suspension.", "You have 30 days to appeal a suspension."
    )

    assert analysis.severity.rank >= Severity.MEDIUM.rank
    assert analysis.change_type is ChangeType.ENFORCEMENT_AND_APPEALS
    assert '"14 days" becomes "30 days"' in analysis.summary
    assert [evidence.side for evidence in analysis.evidence][:2] == ["-", "+"]


def test_will_that_becomes_may_is_medium() -> None:
    analysis = reworded(
        "We will tell you before we share your personal data.",
        "We may tell you before we share your personal data.",
    )

    assert analysis.severity is Severity.MEDIUM
    assert analysis.change_type is ChangeType.DATA_USE_AND_PRIVACY
    assert analysis.notify


def test_a_new_court_is_high() -> None:
    analysis = reworded(
        "All disputes shall be brought in the courts of Kent County.",
        "All disputes shall be brought in the courts of Essex County and settled by binding arbitration.",
    )

    assert (analysis.change_type, analysis.severity) == (ChangeType.DISPUTE_AND_LIABILITY, Severity.HIGH)


def test_a_rule_for_advertisers_alone_is_medium_at_most() -> None:
    analysis = added(
        "Advertisers must submit a tax number or their ads account will be suspended.", "Advertising Policy"
    )

    assert analysis.severity is Severity.MEDIUM
    assert analysis.change_type is ChangeType.ADS_AND_COMMERCE
    assert not analysis.notify


def test_a_day_by_which_one_must_act_is_critical_and_stated() -> None:
    analysis = added(
        "You must accept the new terms no later than 1 June 2026 or you will lose access to your account."
    )

    assert analysis.severity is Severity.CRITICAL
    assert analysis.objection_deadline == date(2026, 6, 1)


def test_an_announcement_is_medium_with_its_date_and_its_end_is_nothing() -> None:
    notice = "We're updating our Terms of Service. The updates go into effect on May 1, 2026."

    coming = added(notice)
    assert (coming.severity, coming.notify) == (Severity.MEDIUM, True)
    assert coming.effective_date == date(2026, 5, 1)

    page = "# Terms\n\nWelcome to the service.\n"
    gone = judged(f"{page}\n{notice}\n", page, at=date(2026, 5, 20))
    assert (gone.severity, gone.change_type) == (Severity.NONE, ChangeType.EDITORIAL_ONLY)


def test_a_changed_effective_date_alone_is_low_and_filled() -> None:
    analysis = reworded("Effective: January 12, 2026", "Effective: March 3, 2026")

    assert (analysis.severity, analysis.change_type) == (Severity.LOW, ChangeType.EDITORIAL_ONLY)
    assert analysis.effective_date == date(2026, 3, 3)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Last updated: January 12, 2026", "Last updated: March 3, 2026"),
        ("Effective: January 12, 2026", "Effective: 12 January 2026"),
        ("You must not post recieved mail.", "You must not post received mail."),
        ("You may post Photos.", "You may post photos."),
        ("You can report a Tweet on Twitter.", "You can report a post on X."),
        ("Write to privacy@a.test about your rights.", "Write to data@a.test about your rights."),
        ("Rules apply and are are binding.", "Rules apply and are binding."),
    ],
)
def test_edits_that_leave_rights_alone_are_none(before: str, after: str) -> None:
    analysis = reworded(before, after)

    assert (analysis.severity, analysis.change_type) == (Severity.NONE, ChangeType.EDITORIAL_ONLY)
    assert analysis.effective_date is None
    assert not analysis.notify


def test_a_letter_that_turns_a_rule_over_is_no_spelling() -> None:
    assert reworded("You may now post it.", "You may not post it.").severity.rank >= Severity.MEDIUM.rank
    assert reworded("You can post it.", "You can't post it.").severity.rank >= Severity.MEDIUM.rank


def test_another_company_is_high_and_another_name_of_it_low() -> None:
    contract = "You contract with {}, which provides the service."

    other = reworded(contract.format("Chirp Inc."), contract.format("Chirp Joint Venture LLC"))
    renamed = reworded(
        contract.format("Chirp International Unlimited Company"),
        contract.format("X Internet Unlimited Company"),
    )

    assert (other.severity, other.change_type) == (Severity.HIGH, ChangeType.DISPUTE_AND_LIABILITY)
    assert renamed.severity is Severity.LOW


def test_noise_is_a_capture_artefact_of_no_severity() -> None:
    before = "# Terms\n\nRead [this](https://a.test/1).\n"
    comparison = compare(before, before.replace("/1", "/2"))

    analysis = analyse(comparison, at=AT, document="Terms", platform="Platform")

    assert comparison.noise_kind is NoiseKind.LINK_TARGETS
    assert (analysis.change_type, analysis.severity) == (ChangeType.CAPTURE_ARTEFACT, Severity.NONE)
    assert analysis.engine == ENGINE


def test_the_weightiest_edit_of_many_decides_and_the_others_are_named() -> None:
    before = "# Terms\n\nWelcome.\n\n## Data\n\nWe keep logs for 30 days.\n\n## Contact\n\nWrite to us.\n"
    after = (
        "# Terms\n\nWelcome!\n\n## Data\n\nWe keep logs for 90 days.\n\n"
        "We will also collect biometric face data from your selfie and share it with our affiliates.\n\n"
        "## Contact\n\nWrite to us.\n"
    )

    analysis = judged(before, after, "Privacy Policy")

    assert (analysis.change_type, analysis.severity) == (ChangeType.DATA_USE_AND_PRIVACY, Severity.HIGH)
    assert analysis.sections == ("Data",)
    assert "biometric" in analysis.summary
    assert analysis.summary.endswith("2 more places differ.")


texts = st.lists(
    st.sampled_from(
        [
            "# Rules",
            "## Your data",
            "We may share your data with affiliates.",
            "We will share your data with researchers until 1 May 2026.",
            "*   Do not post graphic violence.",
            "You have 14 days to appeal.\nYou have 30 days to appeal.",
            "Effective from 2 May 2026 all disputes go to arbitration.",
            "Inc. e.g. U.S. law. 3.2 x",
            "“Quoted — text” with nbsp\u00a0here",
            "| a | b |",
        ]
    )
    | st.text(max_size=30),
    max_size=8,
).map("\n\n".join)


@settings(max_examples=150)
@given(texts, texts)
def test_every_quote_stands_in_the_text_and_the_same_input_gives_the_same_analysis(
    before: str, after: str
) -> None:
    comparison = compare(before, after)

    analysis = analyse(comparison, at=AT, document="Privacy Policy", platform="Platform")

    assert all(evidence.stands_in(comparison.passages) for evidence in analysis.evidence)
    assert analysis.evidence or not comparison.passages
    assert analysis.summary.count("\n") == 0
    assert analysis == analyse(compare(before, after), at=AT, document="Privacy Policy", platform="Platform")
    assert 0 <= analysis.confidence <= 1


@pytest.mark.parametrize(
    "piece",
    ["[", "](", "[a](", "![](data:", "*", "a_", "# ", "| ", "- ", "1.", "<br>", "http://", '](x "', "((", "may ", "1 day ",
     "January 1 ", "x@", "a@b.", "©", "effective ", "Inc. A ", "We may not. ", "A. ", "1,", "3 days "],
)  # fmt: skip
def test_hostile_text_costs_detail_and_never_minutes(piece: str) -> None:
    text = "x" + piece * (60_000 // len(piece)) + "y"

    start = process_time()
    judged("# A\n\nWelcome.\n", text)
    judged(text, text + " z")

    assert process_time() - start < 5  # CPU seconds; quadratic work takes minutes here
