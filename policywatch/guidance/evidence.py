"""Quotes for guidance: words that stand in the stored text, chosen from the evidence of an analysis."""

from __future__ import annotations

import re
import unicodedata

from policywatch.domain.changes import Analysis, Passage
from policywatch.domain.guidance import EvidenceQuote

__all__ = ["MAX_QUOTE", "plain", "quotes_of"]

#: Longest quote in a mail, in characters; a longer one is cut at a word: what is left still stands verbatim.
MAX_QUOTE = 700

_SPACE = re.compile(r"[ \t\u00a0]+")


def quotes_of(
    change_id: int, analysis: Analysis, passages: tuple[Passage, ...], *, most: int = 3
) -> tuple[EvidenceQuote, ...]:
    """The quotes that guidance on this change begins with: at most so many, one a side of a passage.

    Evidence that does not stand in its passage is left out. Where the analysis gives none, the first passages
    speak for themselves.
    """
    chosen: dict[tuple[int, str], EvidenceQuote] = {}
    for evidence in analysis.evidence:
        if evidence.stands_in(passages):
            place = evidence.passage, evidence.side
            section = passages[evidence.passage].section
            chosen.setdefault(place, EvidenceQuote(change_id, *place, _cut(evidence.quote), section))
    if not chosen:
        for number, passage in enumerate(passages):
            for side, text in (("-", passage.before), ("+", passage.after)):
                if text.strip():
                    quote = EvidenceQuote(change_id, number, side, _cut(text), passage.section)
                    chosen.setdefault((number, side), quote)
    return tuple(sorted(list(chosen.values())[:most], key=lambda quote: (quote.passage, quote.side != "-")))


def _cut(quote: str) -> str:
    quote = quote.strip()
    if len(quote) <= MAX_QUOTE:
        return quote
    head, space, _ = quote[:MAX_QUOTE].rpartition(" ")
    return head.rstrip() if space else quote[:MAX_QUOTE]


def plain(text: str) -> str:
    """Foreign text on one line, without what could steer a terminal or a mail reader.

    Takes out control characters, direction marks and other invisible signs (Unicode categories Cc, Cf, Co,
    Cs); line breaks become spaces.
    """
    one_line = re.sub(r"[\r\n\t\v\f\u2028\u2029]+", " ", text)
    seen = "".join(sign for sign in one_line if unicodedata.category(sign) not in ("Cc", "Cf", "Co", "Cs"))
    return _SPACE.sub(" ", seen).strip()
