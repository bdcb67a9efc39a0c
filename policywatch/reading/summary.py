"""One plain sentence on a change: where, what, in the platform's own words.

Every sentence is a template around quotes that stand verbatim in the passages; nothing is paraphrased, so nothing
can be made up.
"""

from __future__ import annotations

from policywatch.domain.changes import Comparison, Evidence, NoiseKind, Passage, PassageKind, Severity
from policywatch.reading.findings import Finding

__all__ = ["noise_summary", "section_name", "shortened", "summary_of"]

_WORDS = 20  # of a quote inside the sentence
_NOISE = {
    NoiseKind.LINK_TARGETS: "Only link targets differ; the words are the same.",
    NoiseKind.MARKUP: "Only layout and mark-up differ; the words are the same.",
    NoiseKind.RELATIVE_TIME: "Only a relative time or a counter differs.",
    NoiseKind.REORDERED: "The same statements stand in another order.",
    NoiseKind.NAVIGATION: "Only navigation around the text differs.",
    NoiseKind.PAGE_SET: "Pages entered or left the collected document.",
    NoiseKind.CAPTURE_FAILURE: "The page was not caught as it is.",
    NoiseKind.LANGUAGE: "The page came in another language.",
    NoiseKind.DUPLICATE: "The same text is caught twice, or no longer twice.",
    NoiseKind.NONE: "The two texts are the same.",
}


def noise_summary(comparison: Comparison) -> str:
    """The sentence for a comparison that nobody needs to read."""
    return _NOISE[comparison.noise_kind]


def shortened(quote: str) -> str:
    """The beginning of a quote, cut between words: still verbatim."""
    at, words = 0, 0
    while words < _WORDS and at < len(quote):
        while at < len(quote) and quote[at].isspace():
            at += 1
        while at < len(quote) and not quote[at].isspace():
            at += 1
        words += 1
    return quote[:at].rstrip().rstrip(",;:") or quote


def section_name(passage: Passage) -> str:
    """The innermost heading above a passage, or ''."""
    return passage.section[-1] if passage.section else ""


def summary_of(
    finding: Finding, comparison: Comparison, document: str, passages_left: int
) -> tuple[str, tuple[Evidence, ...]]:
    """The sentence on the weightiest finding, and the evidence for each quote in it."""
    passage = comparison.passages[finding.passage]
    name = section_name(passage)
    where = f'"{shortened(name)}"' if name else f"the {document}"
    sentence, evidence = _said(finding, passage, where)
    if passages_left == 1:
        sentence += " One more place differs."
    elif passages_left > 1:
        sentence += f" {passages_left} more places differ."
    return sentence, evidence


def _said(finding: Finding, passage: Passage, where: str) -> tuple[str, tuple[Evidence, ...]]:
    quote = shortened(finding.quote)
    whole = Evidence(finding.side, finding.passage, quote)
    if finding.old and finding.new:
        pair = Evidence("-", finding.passage, finding.old), Evidence("+", finding.passage, finding.new)
        if quote == finding.new:
            return f'In {where}, "{finding.old}" becomes "{finding.new}".', pair
        return f'In {where}, "{finding.old}" becomes "{finding.new}": "{quote}".', (*pair, whole)
    if finding.test == "effective date" and finding.severity is Severity.LOW and finding.day is not None:
        return f'In {where}, an effective date of {finding.day} is stated: "{quote}".', (whole,)
    if finding.test.startswith("editorial: "):
        return f'In {where}, only {_REASONS[finding.test[11:]]} differs: "{quote}".', (whole,)
    if passage.kind is PassageKind.MOVED:
        return f'A passage now stands in {where}: "{quote}".', (whole,)
    if passage.kind is PassageKind.RENUMBERED:
        return f'In {where}, only numbering differs: "{quote}".', (whole,)
    if finding.test == "announcement":
        return f'A notice in {where} says: "{quote}".', (whole,)
    if passage.kind is PassageKind.REMOVED:
        return f'{where[:1].upper()}{where[1:]} no longer says: "{quote}".', (whole,)
    if passage.kind is PassageKind.ADDED:
        return f'{where[:1].upper()}{where[1:]} now says: "{quote}".', (whole,)
    verb = "is reworded to" if finding.side == "+" else "no longer reads"
    return f'A sentence in {where} {verb}: "{quote}".', (whole,)


_REASONS = {
    "case and punctuation": "letter case or punctuation",
    "date format": "the form of a date",
    "last-updated date": 'a "last updated" date',
    "brand name": "a brand name",
    "spelling": "spelling",
    "contact details": "a contact detail",
    "notice gone": "a past notice",
    "pointer": "a pointer",
}
