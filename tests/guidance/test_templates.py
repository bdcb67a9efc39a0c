"""The first wording of guidance says in plain words what changed, and quotes what the policy says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from policywatch.domain.changes import Analysis, ChangeType, Evidence, Passage, PassageKind, Severity
from policywatch.domain.guidance import AcceptedChange, EvidenceQuote
from policywatch.errors import UsageError
from policywatch.guidance.editing import from_editor, to_editor
from policywatch.guidance.evidence import MAX_QUOTE, plain, quotes_of
from policywatch.guidance.rendering import revise
from policywatch.guidance.templates import Templates, compose, shipped

LOGS = AcceptedChange(
    change_id=41,
    platform="LinkedIn",
    document="Privacy Policy",
    url="http://linkedin.test/privacy-policy",
    found=date(2026, 11, 27),
    change_type=ChangeType.DATA_USE_AND_PRIVACY,
    severity=Severity.HIGH,
    summary="LinkedIn keeps logs for 365 days; before, it kept them for 30.",
    quotes=(
        EvidenceQuote(41, 0, "-", "We keep logs of your use for 30 days.", ("Privacy Policy", "7. Periods")),
        EvidenceQuote(41, 0, "+", "We keep logs of your use for 365 days.", ("Privacy Policy", "7. Periods")),
    ),
    effective_date=date(2027, 1, 1),
    objection_deadline=date(2026, 12, 20),
)
AGE = replace(
    LOGS,
    change_id=42,
    platform="TikTok",
    document="Terms of Service",
    url="http://tiktok.test/terms-of-service",
    summary="The minimum age is 16.",
    quotes=(),
    effective_date=None,
    objection_deadline=None,
)


def test_guidance_on_one_change_tells_the_whole_story() -> None:
    subject, text = compose([LOGS])

    assert subject == "LinkedIn has changed its Privacy Policy"
    assert (
        text
        == """Hello,

LinkedIn has changed a policy that matters to you. This is what is new.

# LinkedIn: Privacy Policy

LinkedIn keeps logs for 365 days; before, it kept them for 30.

The policy no longer says in the section "7. Periods":

> We keep logs of your use for 30 days.

The policy now says in the section "7. Periods":

> We keep logs of your use for 365 days.

* Applies from: 1 January 2027
* Last day to object or to act: 20 December 2026
* Seen by us on: 27 November 2026
* Read the whole policy: http://linkedin.test/privacy-policy

If you are not sure what this means for your account or your work, write to
us before you act.
"""
    )


def test_guidance_on_several_changes_names_each_platform_once() -> None:
    subject, text = compose([LOGS, AGE, replace(AGE, change_id=43, document="Privacy Policy")])

    assert subject == "LinkedIn and TikTok: 3 policy changes you should know"
    assert text.count("\n# ") == 3
    assert text.count("Applies from") == 1
    assert "\n\n\n" not in text and not any(line.endswith(" ") for line in text.split("\n"))


def test_every_quote_of_a_change_stands_verbatim_in_text_and_html() -> None:
    long = replace(
        LOGS, quotes=(EvidenceQuote(41, 0, "+", "You must " + "label every video " * 20 + "now.", ()),)
    )

    revision = revise(*compose([long]))

    unquoted = " ".join(line.removeprefix("> ") for line in revision.text.split("\n"))
    assert long.quotes[0].quote in unquoted
    assert long.quotes[0].quote in revision.html
    assert max(map(len, revision.text.split("\n"))) <= 76


def test_foreign_words_cannot_steer_the_mail() -> None:
    evil = replace(
        LOGS,
        summary="fine\r\nBcc: eve@evil.test\x1b[31m\u202e",
        document="Terms\n# Forged heading",
        quotes=(
            EvidenceQuote(41, 0, "+", "a <script>alert(1)</script> {{ 7*7 }}\n\n# x http://evil.test/", ()),
        ),
    )

    revision = revise(*compose([evil]))

    assert "\x1b" not in revision.text and "\u202e" not in revision.text
    assert "\nBcc" not in revision.text and "\n# Forged" not in revision.text
    assert "{{ 7*7 }}" in revision.text
    assert "<script>" not in revision.html and 'href="http://evil.test/"' not in revision.html


def test_a_template_of_the_operator_is_confined() -> None:
    def with_text(source: str) -> Templates:
        return Templates("own", "s", source, shipped().html)

    for source in (
        "{{ changes.__class__.__mro__ }}",
        "{{ ''.__class__ }}",
        "{% include '/etc/passwd' %}",
        "{{ missing }}",
        "{% if %}",
        "{{ 1 // 0 }}",
        "{{ changes.append(1) }}",
        "{{ range(10000000) | length }}",
    ):
        with pytest.raises(UsageError, match=r"template own\.text"):
            compose([LOGS], with_text(source))
    assert compose([LOGS], with_text("{{ changes | length }}"))[1] == "1\n"


def test_a_template_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="no mail template") as fault:
        shipped("../x")

    assert fault.value.remedy.endswith("one of: guidance.")


def test_guidance_about_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one accepted change"):
        compose([])


PASSAGES = (
    Passage(PassageKind.REWORDED, ("A", "B"), "kept for 30 days", "kept for 365 days"),
    Passage(PassageKind.ADDED, ("A",), "", "A new clause " + "of words " * 200),
)


def analysis(*evidence: Evidence) -> Analysis:
    return Analysis(
        "rules/1",
        ChangeType.DATA_USE_AND_PRIVACY,
        (),
        Severity.HIGH,
        0.5,
        True,
        (),
        None,
        None,
        "s",
        (),
        evidence,
    )


def test_quotes_come_from_evidence_that_stands_in_the_text() -> None:
    quotes = quotes_of(
        9,
        analysis(
            Evidence("+", 0, "365 days"),
            Evidence("+", 0, "kept for 365"),
            Evidence("-", 0, "30 days"),
            Evidence("+", 0, "invented"),
            Evidence("+", 5, "nowhere"),
        ),
        PASSAGES,
    )

    assert [(quote.side, quote.quote) for quote in quotes] == [("-", "30 days"), ("+", "365 days")]
    assert quotes[0].section == ("A", "B") and quotes[0].change_id == 9


def test_without_evidence_the_passages_speak_and_long_ones_are_cut_at_a_word() -> None:
    quotes = quotes_of(9, analysis(), PASSAGES)

    assert [(quote.passage, quote.side) for quote in quotes] == [(0, "-"), (0, "+"), (1, "+")]
    assert len(quotes[2].quote) <= MAX_QUOTE
    assert PASSAGES[1].after.startswith(quotes[2].quote + " ")
    assert EvidenceQuote.from_json(quotes[2].to_json()) == quotes[2]


def test_plain_text_is_one_line_of_visible_signs() -> None:
    assert plain(" a\x1b[0m\r\nb\u200b\u202ec\td ") == "a[0m bc d"


def test_a_draft_survives_the_editor() -> None:
    subject, text = compose([LOGS])

    assert from_editor(to_editor(subject, text)) == (subject, text)
    assert from_editor("subject: Short\r\n\r\nHello\r\n") == ("Short", "Hello\n")
    for broken in ("", "Hello\n", "Subject:\n\ntext", "Subject: s\n\n"):
        with pytest.raises(UsageError):
            from_editor(broken)
