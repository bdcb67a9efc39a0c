"""Foreign text made safe to show: what a terminal would obey or nobody could see becomes a visible mark.

Every string from outside (captured text, names, subjects, sentences of servers) passes here before a widget
draws it. Nothing is dropped: a hidden character in a policy is a finding, so it is shown as `<U+202E>`.
Letters, marks and their order stay as they are.
"""

from __future__ import annotations

import json
import re

__all__ = ["clean", "clean_lines", "escaped", "mark"]

# C0 without tab and line feed, DEL, C1; soft hyphen, Arabic letter mark, Mongolian vowel separator; zero
# width, bidi, line separators, invisible operators; byte order mark; interlinear; lone surrogates; tags.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
_TAB = "    "


def mark(character: str) -> str:
    """How an unseen character is shown."""
    return f"<U+{ord(character):04X}>"


def _marked(text: str) -> str:
    return _UNSEEN.sub(lambda found: mark(found.group()), text)


def clean(text: str) -> str:
    """The text on one line: unseen characters as marks, line breaks and tabs as a space."""
    if text.isascii() and text.isprintable():
        return text
    return _marked(text.replace("\r\n", "\n").replace("\n", " ").replace("\t", " "))


def clean_lines(text: str) -> str:
    """The text with its line breaks kept; tabs become four spaces."""
    if text.isascii() and text.isprintable():
        return text
    return _marked(text.replace("\r\n", "\n").replace("\t", _TAB))


def escaped(text: str) -> str:
    """JSON text with the same meaning, its unseen characters written as JSON escapes them."""
    return _UNSEEN.sub(lambda found: json.dumps(found.group())[1:-1], text)
