"""A text that is rather that of another page."""

from __future__ import annotations

from policywatch.reading.resemblance import kept, resembles, titled_as
from policywatch.simulated.texts import Document, original

TERMS = original(Document("x", "terms-of-service"))
PRIVACY = original(Document("x", "privacy-policy"))
GUIDELINES = original(Document("x", "community-guidelines"))


def test_another_page_in_a_newer_wording_is_found() -> None:
    newer = (
        PRIVACY.replace("We", "From now on we", 3)
        + "\n\nA new paragraph that nobody has seen on this page before.\n"
    )

    assert kept(newer, TERMS) < 0.3
    assert resembles(newer, TERMS, [GUIDELINES, PRIVACY])
    assert not resembles(newer, PRIVACY, [GUIDELINES, TERMS])


def test_a_rewritten_policy_is_nobody_elses() -> None:
    rewritten = "\n\n".join(
        f"Rule {n}: what you post here stays yours, and we may show it for as long as you leave it there."
        for n in range(9)
    )
    assert not resembles(rewritten, TERMS, [PRIVACY, GUIDELINES])


def test_a_text_without_long_lines_resembles_nothing() -> None:
    assert kept("Yes.\n", TERMS) == 1.0
    assert not resembles("Yes.\n", TERMS, [PRIVACY])


def test_a_text_under_the_name_of_another_document_is_found_though_nobody_knows_that_one() -> None:
    names = ["Privacy Policy", "Community Guidelines"]
    assert titled_as(PRIVACY, TERMS, "Terms of Service", names) == "Privacy Policy"
    assert titled_as(TERMS, TERMS, "Terms of Service", names) == ""
    renamed = TERMS.replace("Terms of Service", "User Agreement")
    assert titled_as(renamed, TERMS, "Terms of Service", names) == ""
    assert titled_as(PRIVACY, renamed, "Terms of Service", names) == ""  # its own name never stood there
