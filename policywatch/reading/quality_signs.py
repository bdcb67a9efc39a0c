"""The signs of what stands in front of policies: walls, challenges, errors, torn ends, wrong letters.

Facts about a page, with the weight each has by itself; what they mean together is `quality`'s business. Sizes are
bounded: of a long text only its top and its end are searched, since a wall has no long text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from urllib.parse import urlsplit

from policywatch.reading.blocks import MAX_LINES
from policywatch.reading.quality_words import BUTTONS, LEGAL, MISSING, WALLS
from policywatch.reading.typography import unify

__all__ = [
    "Mark",
    "Page",
    "gate_in_path",
    "headings",
    "mojibake",
    "site",
    "to_front_page",
    "torn",
    "vocabulary",
]

Mark = tuple[str, float, str]
_HEAD = 20_000  # characters of the body that are searched
_TOP, _END = 3_000, 1_200  # characters of the text that are searched
_SMALL = 2_000  # a text below it can be a wall as a whole
_LINE = 120  # a longer line is prose, no title, message or button
_VOCABULARY = 24_000  # characters that give a text's vocabulary
_BODY = 12_000  # characters whose words are counted
_RICH, _DENSE = 8, 4  # different legal words that only a policy has, and only a dense one
_LAWLESS = 3  # fewer different legal words are hardly a policy
_SENTENCE = 80  # characters: a longer line is no menu entry
_UNFINISHED = 40  # characters: a shorter last line is a name or a button, and needs no full stop
_MENU = 400  # a shorter text may do without sentences

_UNDERLINE = re.compile(r"(?:=+|-{2,})\s*$")
_COUNTED = re.compile(r"[\d\W_]+")
_WORD = re.compile(r"[^\W\d_]+")
_LONG_WORD = re.compile(r"[^\W\d_]{4,}")
_TARGET = re.compile(r"\]\([^()\s]*\)")  # pictures may be written out in it
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,300})", re.IGNORECASE)
_PASSWORD = re.compile(r"""<input[^>]{0,500}type\s?=\s?["']?password""", re.IGNORECASE)
_SCRIPTS = re.compile(r"<(script|style|noscript)\b.*?(?:</\1\s{0,9}>|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]{0,5000}>")
# Tokens that stand only on the challenge itself; scripts of the same makers stand on good pages, too.
_CHALLENGE = (
    *("_cf_chl_opt", "cf-chl-", "cf_chl_", "challenge-form", "challenge-running", "captcha-delivery.com"),
    *("px-captcha", "sec-if-cpt-container", "gokuprops", "awswafcookiedomainlist", "_incapsula_resource?"),
    *("ddos-guard", "distil_r_captcha", "recaptcha-checkbox", "captcha-container", "anubis_challenge"),
)
_GATES = (
    "login",
    "log-in",
    "signin",
    "sign-in",
    "consent",
    "checkpoint",
    "challenge",
    "captcha",
    "authwall",
    "sorry",
    "error",
    "notfound",
    "not-found",
    "404",
)
_SECOND_LEVELS = frozenset(("co", "com", "org", "net", "gov", "ac", "edu", "or", "ne", "go", "gob"))
_ENDS = ".!?:;…。！？)]}\"'”’»*|>_"
_HALF = re.compile(
    r"(?:\b(?:and|or|the|a|an|of|to|in|for|with|that|you|your|we|our|is|are|und|oder|der|die|das|et|y|de)|[,(\-–])$"
)
_MOJIBAKE = re.compile(
    "[ÂÃ][\u0080-\u00bf]|â(?:[\u0080-\u009f]|€[\u0080-\u024f\u2010-\u2122]?)|Ã[\u0152-\u0192\u2010-\u2122]"
)


def headings(text: str) -> frozenset[str]:
    """Headings (`#` or underlined), without case, numbering, marks and years."""
    found: set[str] = set()
    above = ""
    for line in text.split("\n", MAX_LINES):
        if line.startswith("#"):
            found.add(_plain(line[:500]))
        elif line[:1] in ("=", "-") and above.strip() and _UNDERLINE.match(line[:500]):
            found.add(_plain(above[:500]))
        above = line
    return frozenset(found - {""})


def vocabulary(text: str) -> frozenset[str]:
    """The different words of four letters and more, without case; links' targets are no words."""
    return frozenset(_LONG_WORD.findall(_TARGET.sub("]", text)[:_VOCABULARY].lower()))


def _plain(line: str) -> str:
    return _COUNTED.sub(" ", unify(_TARGET.sub("]", line))).strip().lower()


def _missing(prose: str) -> list[str]:
    """What `prose` says of a page that is not there."""
    return [match.group() for pattern in MISSING for match in pattern.finditer(prose)]


def site(url: str) -> str:
    """The registrable part of the host, by rule of thumb (`bbc.co.uk`, `facebook.com`)."""
    try:
        labels = (urlsplit(url).hostname or "").strip(".").split(".")
    except ValueError:
        return ""
    count = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS else 2
    return ".".join(labels[-count:])


def _path(url: str) -> str:
    try:
        return urlsplit(url).path.lower()
    except ValueError:
        return ""


def gate_in_path(asked: str, answered: str) -> str:
    """The word for a gate among the parts of the answering path that the asked one did not have, or ""."""
    had = set(re.split(r"[/._]", _path(asked)))
    for part in re.split(r"[/._]", _path(answered)):
        if part not in had and part in _GATES:
            return part[:60]
    return ""


def to_front_page(asked: str, answered: str) -> bool:
    """Whether a deep address was answered by the front page."""
    return len(_path(asked).strip("/")) > 3 and len(_path(answered).strip("/")) <= 2


def torn(text: str) -> bool:
    """Whether the last line stops in the middle of a sentence or of its mark-up."""
    line = text.rstrip()[-4_000:].rsplit("\n", 1)[-1].strip()
    if not line:
        return False
    open_marks = (
        line.count("[") > line.count("]") or line.rfind("](") > line.rfind(")") or line.count("**") % 2
    )
    if open_marks or (line.startswith("| ") and not line.endswith("|")):
        return True
    if line[-1] in _ENDS:
        return False
    if _HALF.search(line.lower()):
        return True
    listed = line.startswith(("#", "* ", "- ", "|", "["))
    return len(_TARGET.sub("]", line)) > (2 * _SENTENCE if listed else _UNFINISHED)


def mojibake(text: str) -> int:
    """How many letters look like UTF-8 that was read as Latin-1."""
    if not any(letter in text for letter in "ÂÃâ"):
        return 0
    return sum(1 for _ in _MOJIBAKE.finditer(text))


class Page:
    """One page, read once: its source's top, and the top and end of its text."""

    def __init__(self, head: str, text: str) -> None:
        self.head, self.text = head[:_HEAD], text
        self.small = len(text) < _SMALL

    @cached_property
    def sample(self) -> str:
        """The searched part of the text."""
        if len(self.text) <= _TOP + _END:
            return self.text
        return self.text[:_TOP] + "\n" + self.text[-_END:]

    @cached_property
    def _law(self) -> tuple[int, float]:
        """Different words of law and rule, and their share of all words, at the top of the text."""
        words = _WORD.findall(_TARGET.sub("]", self.text[:_BODY]).lower())
        found = [word for word in words if word in LEGAL]
        return len(set(found)), len(found) / max(1, len(words))

    @property
    def legal(self) -> int:
        """How many different words of law and rule the text has."""
        return self._law[0]

    @property
    def lawful(self) -> bool:
        """Whether the text is written like a policy, so that what it says of log-in or captchas is its subject."""
        different, share = self._law
        return (different >= _RICH and share >= 0.01) or (different >= _DENSE and share >= 0.04)

    @cached_property
    def prose(self) -> float:
        """Share of the text that stands in long lines; menus have next to none."""
        lines = [
            len(line) for raw in _TARGET.sub("]", self.text[:_BODY]).split("\n") if (line := raw.strip())
        ]
        return sum(length for length in lines if length >= _SENTENCE) / max(1, sum(lines))

    @cached_property
    def lines(self) -> list[str]:
        """The short lines of the sample as a reader reads them, without case."""
        raw = (line.strip(" \t#*_>-=|[]") for line in _TARGET.sub("]", self.sample).split("\n"))
        return [unify(line).lower() for line in raw if line and len(line) <= _LINE]

    @cached_property
    def title(self) -> str:
        """The page's title, without case."""
        found = _TITLE.search(self.head)
        return unify(found.group(1)).lower() if found else ""

    def marks(self) -> Iterator[Mark]:
        """Every sign of the page itself."""
        yield from self._walls()
        yield from self._source()
        if self.legal < _LAWLESS and self.text.strip():
            yield "no_legal_words", 0.25, "hardly a word of law or rule"
        if len(self.text) >= _MENU and self.prose < 0.2 and self.text[:_BODY].isascii():
            yield "no_prose", 0.25, "short lines and links, hardly a sentence"

    def _walls(self) -> Iterator[Mark]:
        """Messages of walls: a line of its own weighs more than a phrase in prose."""
        prose = unify(self.sample).lower()
        for name, phrases in WALLS.items():
            said = [phrase for phrase in phrases if phrase in prose]
            titled = next((phrase for phrase in phrases if phrase in self.title), "")
            if name == "missing":
                said += _missing(prose)
                titled = titled or next(iter(_missing(self.title)), "")
            buttons = sorted(BUTTONS.intersection(self.lines)) if name == "consent" else []
            weight = self._weight(said, buttons)
            if titled:
                weight = max(weight, 0.1 if self.lawful else 0.4)
            if weight:
                yield name, weight, f'it says "{(said or buttons or [titled])[0]}"'

    def _weight(self, said: list[str], buttons: list[str]) -> float:
        """What one kind of message weighs in a text of this size and wording."""
        if self.small and len(buttons) > 1:
            return 0.5
        if not said:
            return 0.0
        alone = any(phrase in line for phrase in said for line in self.lines)
        if self.lawful:
            return 0.0 if not self.small else 0.2 if alone else 0.1
        if self.small:
            return 0.5 if alone or len(said) > 1 else 0.3
        return 0.4 if alone else 0.1

    def _source(self) -> Iterator[Mark]:
        """Signs in the page's source."""
        if not self.head:
            return
        lowered = self.head.lower()
        rich = self.lawful
        if token := next((token for token in _CHALLENGE if token in lowered), ""):
            yield "challenge", 0.2 if rich else 0.5, f"the source holds {token}"
        if _PASSWORD.search(self.head):
            yield "password", 0.1 if rich else 0.3, "the page asks for a password"
        if self.small and not rich:
            bare = _TAG.sub(" ", _SCRIPTS.sub(" ", self.head)).split()
            if len(bare) < 40 and "<script" in lowered and len(self.head) > 400:
                yield "script_only", 0.4, "next to nothing but scripts"
