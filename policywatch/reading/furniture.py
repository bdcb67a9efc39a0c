"""Lines of a page that are no policy: counters, buttons, boxes, lists of related pages, menus of languages.

Whole lines and whole sections alone, and only such as no sentence of a policy reads like. Each function is
one of the named filters: it runs where the rule of a page asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["drop_buttons", "drop_counters", "drop_languages", "drop_related"]

_LONGEST = 400  # characters; a longer line is text
_NUMBER = r"\d{1,3}(?:[.,\s]?\d{3}){0,3}(?:[.,]\d{1,2})?\s?[kKmMbB]?"
_COUNTED = (
    r"(?:views?|likes?|dislikes?|comments?|members?|answers?|followers?|subscribers?|replies|reactions?|shares?|"
    r"reposts?|downloads?|votes?|reads?|people found this helpful)"
)
_READING = (
    r"(?:\d{1,3}\s*-?\s*min(?:ute)?s?\.?\s+(?:read|reading time)|reading time:?\s*\d{1,3}\s*min(?:ute)?s?\.?)"
)
_COUNTERS = re.compile(
    rf"(?:(?:{_NUMBER}\s*{_COUNTED}|{_COUNTED}:?\s*{_NUMBER}|{_READING})\s*(?:[·•*|,/-]\s*)?)+", re.IGNORECASE
)
_BUTTONS = re.compile(
    r"(?:(?:back|return|go|scroll) to (?:the )?top|to top|copy(?: the)? link(?: to .{1,60})?|share(?: this)?(?: article| page)?|"
    r"print(?: this)?(?: article| page)?|save (?:as )?pdf|download (?:as )?pdf|play video|"
    r"was this (?:page |article |information |content )?helpful\??(?: yes no)?|did this (?:page |article )?help(?: you)?\??|"
    r"have a moment\?.{0,80}|tell us how we'?re doing.{0,60}|take (?:the|our|a) survey|give (?:us )?feedback|send feedback|"
    r"thanks? (?:you )?for your feedback!?|help us improve.{0,80}|need more help\??|still need help\??|"
    r"(?:expand|collapse|open|close|show|hide) all(?: sections)?|(?:show|read|see) (?:more|less)|skip to (?:main )?content|"
    r"accept (?:all )?cookies|manage cookies)[.…]*",
    re.IGNORECASE,
)
_RELATED = re.compile(
    r"related(?: help)? (?:articles?|pages?|topics?|content|resources|links|reading|posts?|guides?)"
    r"|(?:recommended|suggested|popular|similar|more|other)(?: help)? (?:articles?|pages?|links|reading|posts?)"
    r"|more (?:help|to read|from (?:this|the) (?:help cent(?:er|re)|blog))"
    r"|you (?:may|might) also (?:like|be interested in)|read next|up next|what'?s next\??|in this section"
    r"|explore more|other ways to get help",
    re.IGNORECASE,
)
_NAMES = """
    english deutsch français español italiano português polski türkçe nederlands svenska dansk norsk suomi română
    čeština slovenčina slovenščina magyar ελληνικά русский українська беларуская български српски srpski hrvatski
    bosanski shqip eesti latviešu lietuvių íslenska gaeilge català galego euskara العربية עברית فارسی اردو हिन्दी
    বাংলা தமிழ் తెలుగు मराठी ગુજરાતી ਪੰਜਾਬੀ മലയാളം ಕನ್ನಡ ไทย ภาษาไทย ລາວ မြန်မာ ខ្មែរ 中文 简体中文 繁體中文
    日本語 한국어 filipino tagalog kiswahili afrikaans isizulu esperanto kurdî kurmancî german french spanish italian
    portuguese polish turkish dutch swedish danish norwegian finnish romanian czech slovak slovenian hungarian greek
    russian ukrainian bulgarian serbian croatian arabic hebrew persian hindi bengali thai vietnamese indonesian malay
    chinese japanese korean
"""
_LANGUAGES = frozenset(_NAMES.split()) | {
    "tiếng việt", "bahasa indonesia", "bahasa melayu", "中文(简体)", "中文(繁體)", "中文(台灣)", "norsk bokmål",
}  # fmt: skip
_IN_A_ROW = 4
_LINE_MARK = re.compile(r"\s*(?:[*+-]\s+|\d{1,3}[.)]\s+|#{1,6}\s+|\|\s*)?")
_TARGET = re.compile(r"\[([^\[\]]{0,300})\]\([^()\s]{0,4000}\)")
_REGION = re.compile(r"\s*\([^()]{1,40}\)$")
_HEADING = re.compile(r"(#{1,6})\s")


def _shown(line: str) -> str:
    """The words of a line, without its list mark and link targets; '' for a line that is too long to be one."""
    if len(line) > _LONGEST + 4_000:
        return ""
    words = _TARGET.sub(r"\1", line[_mark(line) :]).replace("\\", "").replace("’", "'").strip(" |")
    return words if len(words) <= _LONGEST else ""


def _mark(line: str) -> int:
    found = _LINE_MARK.match(line)
    return found.end() if found else 0


def drop_counters(text: str) -> str:
    """`text` without lines that only count: "12 views", "3.4K likes · 12 comments", "5 min read".

    "You need 1,000 followers" stays: a line with anything else in it is a sentence.
    """
    return _kept(text, lambda line: _COUNTERS.fullmatch(_shown(line)) is not None)


def drop_buttons(text: str) -> str:
    """`text` without lines that are a button or a box of the page."""
    return _kept(text, lambda line: _BUTTONS.fullmatch(_shown(line)) is not None)


def _kept(text: str, dropped: Callable[[str], bool]) -> str:
    return "\n".join(line for line in text.split("\n") if not line or not dropped(line))


def drop_related(text: str) -> str:
    """`text` without sections under a heading like "Related articles", up to the next heading of that level."""
    kept: list[str] = []
    level = 0  # of the heading that is being dropped; 0: none
    for line in text.split("\n"):
        heading = _HEADING.match(line)
        if heading:
            depth = len(heading[1])
            if level and depth > level:
                continue
            level = depth if _RELATED.fullmatch(_shown(line).rstrip(":")) else 0
        if not level:
            kept.append(line)
    return "\n".join(kept)


def drop_languages(text: str) -> str:
    """`text` without rows of languages; fewer than four in a row may be a sentence's own."""
    kept: list[str] = []
    row: list[str] = []
    named = 0

    def close() -> None:
        if named < _IN_A_ROW:
            kept.extend(row)
        elif row and not row[-1]:
            kept.append("")

    for line in text.split("\n"):
        if line and not _is_language(line):
            close()
            row, named = [], 0
            kept.append(line)
        elif line or row:
            row.append(line)
            named += bool(line)
        else:
            kept.append(line)
    close()
    return "\n".join(kept)


def _is_language(line: str) -> bool:
    words = _shown(line).casefold()
    return words in _LANGUAGES or _REGION.sub("", words) in _LANGUAGES
