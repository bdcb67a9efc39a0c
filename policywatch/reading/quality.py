"""Whether a capture shows the policy, or a wall, an error page, a torn answer, another page.

A capture is held against the document's own history and searched for the signs of what stands in front of policies.
Signs add up: no single weak one, and never the length alone, makes a capture suspect, since policies are rewritten,
shortened and moved. What comes of a suspect capture (kept, never compared, never the base; a person may accept it)
is decided elsewhere. Pure; the weights were set on the recorded history (docs/evaluation.md).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policywatch.reading import quality_signs as signs
from policywatch.reading.compare import reader_hash
from policywatch.reading.extract import MIN_TEXT
from policywatch.reading.tongue import told, tongue

__all__ = ["THRESHOLD", "History", "Look", "Quality", "Signal", "headings", "judge", "remember", "since"]

THRESHOLD = 0.5  # badness from which a capture is suspect
_GOOD_LENGTHS = 5  # the last good texts whose lengths are remembered
_SHORT = ((0.05, 0.4), (0.25, 0.3), (0.4, 0.2), (0.6, 0.1))  # share of the usual length -> weight
_FEW_HEADINGS = 3  # fewer say nothing by their absence
_LOST = 0.5  # share of the usual headings whose absence counts
_FEW_WORDS = 8  # a smaller vocabulary says nothing
_UNLIKE = 0.12  # share of the usual words; rewritten policies keep more (the least recorded: 0.14, a stub; else 0.18)
_TWIN = 0.1  # share of headings and words that may differ after a change in common
_GARBLED = 0.001  # share of the characters
_WORDS_TO_TELL = 200  # characters from which the language of a text is told


@dataclass(frozen=True, slots=True)
class Look:
    """One capture. Texts that came without HTTP (archives) have `status` None and an empty `head`.

    `url` was asked, `final_url` answered ("" = the same). `head`: the first 20,000 characters of the decoded body.
    `text` is the extracted text or None; `fault` says why there is none, or what came incomplete. `whole` False: the
    body has no end, though that of the last good capture had one.
    """

    status: int | None = None
    content_type: str = ""
    final_url: str = ""
    url: str = ""
    redirects: Sequence[Mapping[str, Any]] = ()
    head: str = ""
    text: str | None = None
    fault: str | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class History:
    """What earlier good captures of the document were like; the empty history knows nothing.

    `lengths`: characters of up to five last good texts, newest first. `headings`, `language` and `words` of the last
    good text (as `headings`, `tongue` and `signs.vocabulary` give them). `known_texts`: reader hashes of the
    platform's other pages. `since` makes one.
    """

    lengths: tuple[int, ...] = ()
    headings: frozenset[str] = frozenset()
    language: str = ""
    known_texts: frozenset[bytes] = frozenset()
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Signal:
    """One sign that the capture is bad: its name, its weight (0 to 1) and a sentence for people."""

    name: str
    weight: float
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Plain types, for storing."""
        return {"name": self.name, "weight": self.weight, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Quality:
    """The verdict: `score` is badness from 0 to 1, `suspect` whether it reaches the threshold."""

    score: float
    signals: tuple[Signal, ...]
    suspect: bool

    def to_json(self) -> dict[str, Any]:
        """Plain types, for storing and for crossing into and out of the reader's child."""
        return {
            "score": self.score,
            "suspect": self.suspect,
            "signals": [signal.to_json() for signal in self.signals],
        }


def headings(text: str) -> frozenset[str]:
    """The headings of `text` in a form that survives new numbering and years."""
    return signs.headings(text)


def remember(texts: Sequence[str], known_texts: Iterable[bytes] = ()) -> History:
    """The history that the good `texts` (newest first) leave behind."""
    return since([len(text) for text in texts], texts[0] if texts else None, known_texts)


def since(lengths: Sequence[int], last: str | None, known_texts: Iterable[bytes] = ()) -> History:
    """The history of a document whose `last` good text is at hand, and of the earlier ones (newest first) the lengths."""
    if last is None:
        return History(tuple(lengths[:_GOOD_LENGTHS]), known_texts=frozenset(known_texts))
    return History(
        tuple(lengths[:_GOOD_LENGTHS]),
        headings(last),
        tongue(last),
        frozenset(known_texts),
        signs.vocabulary(last),
    )


def judge(look: Look, history: History, document_language: str) -> Quality:
    """How bad the capture is. Never raises for any text, however broken."""
    found = [*_of_answer(look)]
    if look.text is None:
        found.append(Signal("no_text", 1.0, "the page gave no text"))
    else:
        found += _of_text(look, look.text, history, document_language)
    score = round(min(1.0, sum((signal.weight for signal in found), 0.0)), 3)
    return Quality(score, tuple(_storable(signal) for signal in found), score >= THRESHOLD)


def _storable(signal: Signal) -> Signal:
    """The signal without letters that a terminal or a database refuses; pages are quoted in it."""
    if signal.detail.isprintable():
        return signal
    shown = "".join(letter if letter.isprintable() else " " for letter in signal.detail)
    return Signal(signal.name, signal.weight, shown)


def _of_answer(look: Look) -> Iterable[Signal]:
    """What the server's answer says before its text is read."""
    if look.fault:
        yield Signal("fault", 1.0, look.fault[:200])
    if look.status is not None and look.status not in (200, 203, 304):
        yield Signal("status", 1.0, f"the server answered {look.status}")
    kind = look.content_type.partition(";")[0].strip().lower()
    if kind.startswith(("image/", "audio/", "video/", "font/")):
        yield Signal("content_type", 1.0, f"the server sent {kind[:60]}")


def _of_text(look: Look, text: str, history: History, document_language: str) -> Iterable[Signal]:
    """What the text and the page around it say."""
    here = headings(text)
    usual = min(statistics.median(history.lengths), history.lengths[0]) if history.lengths else 0
    share = len(text) / usual if usual else 1.0
    lost = len(history.headings - here) / len(history.headings) if history.headings else 0.0
    language = tongue(text) if len(text) >= _WORDS_TO_TELL else ""
    if len(text) in history.lengths and here == history.headings and language in ("", history.language):
        return  # as it always was
    page = signs.Page(look.head, text)
    stands = bool(history.lengths) and share >= 0.6 and lost < _LOST and page.lawful
    if len(text.strip()) < MIN_TEXT:
        yield Signal("thin", 0.6, f"{len(text.strip())} characters are no policy")
    for name, weight, detail in (*_of_way(look), *page.marks()):
        yield Signal(name, weight / 2 if stands else weight, detail)
    yield from _of_history(text, share, lost, here, history, page)
    if not look.whole and share < 1.0:
        yield Signal("unclosed", 0.5, "the page breaks off before its end")
    yield from _of_letters(text)
    declared = told(document_language)
    kept = len(history.headings) >= _FEW_HEADINGS and lost < _LOST
    if not kept and not (language and language == declared and history.language not in ("", language)):
        yield from _of_words(text, history)  # a page that came to its declared language keeps none of them
    expected = {declared, history.language} - {""}
    if language and expected and language not in expected:
        yield Signal("language", 0.6, f"the text is in {language}, expected {' or '.join(sorted(expected))}")
    if history.known_texts and reader_hash(text) in history.known_texts:
        # Two documents may be one text under two names, and then change together.
        twin = lost < _TWIN and _kept_words(text, history) > 1 - _TWIN
        yield Signal("other_page", 0.2 if twin else 0.6, "the text is that of another page of the platform")


def _of_way(look: Look) -> Iterable[signs.Mark]:
    """Where the redirects led."""
    if not look.final_url or look.final_url == look.url:
        return
    if word := signs.gate_in_path(look.url, look.final_url):
        yield "gate", 0.5, f"the page led to {word}"
    elif signs.to_front_page(look.url, look.final_url):
        yield "front_page", 0.3, "the page led to the front page"
    if signs.site(look.url) != signs.site(look.final_url):
        yield "other_site", 0.3, f"the page led to {signs.site(look.final_url)[:100]}"


def _of_history(
    text: str, share: float, lost: float, here: frozenset[str], history: History, page: signs.Page
) -> Iterable[Signal]:
    """What is missing against the document's own past."""
    short = next((weight for limit, weight in _SHORT if share < limit), 0.0)
    if short:
        yield Signal("short", short, f"{share:.0%} of the usual length")
    fresh = here - history.headings
    if len(fresh) == 1:  # the last heading of a cut text may be a stump
        fresh = frozenset(one for one in fresh if not any(old.startswith(one) for old in history.headings))
    many = len(history.headings) >= _FEW_HEADINGS
    if many and lost >= _LOST:
        weight = 0.1 if fresh and page.lawful else 0.3 if lost == 1.0 and page.legal < 3 else 0.2
        yield Signal("headings", weight, f"{lost:.0%} of the usual headings are missing")
    if history.lengths and share < 0.75:
        torn = signs.torn(text)
        if torn and not fresh:
            yield Signal("cut", 0.4, "the text ends in the middle of a sentence")
        elif share < 0.3 and many and lost >= _LOST and not fresh:
            yield Signal("cut", 0.3, "only some of the usual headings are left, and none is new")


def _of_words(text: str, history: History) -> Iterable[Signal]:
    """Whether next to none of the usual words is left."""
    if len(history.words) < _FEW_WORDS:
        return
    kept = _kept_words(text, history)
    if kept < _UNLIKE:
        yield Signal("unlike", 0.4, f"{kept:.0%} of the usual words are left")


def _kept_words(text: str, history: History) -> float:
    """Share of the usual words that `text` still has."""
    return len(history.words & signs.vocabulary(text)) / max(1, len(history.words))


def _of_letters(text: str) -> Iterable[Signal]:
    """Letters that came wrong."""
    broken = text.count("\ufffd")
    if broken > max(1, _GARBLED * len(text)):
        yield Signal("replacement", 0.6, f"{broken} letters could not be read")
    pairs = signs.mojibake(text)
    if pairs > max(2, _GARBLED * len(text)):
        yield Signal("mojibake", 0.6, f"{pairs} letters were read in the wrong encoding")
