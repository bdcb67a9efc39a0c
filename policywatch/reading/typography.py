"""The one form in which two texts are held against each other: how letters are written does not count.

For comparing. What a person is shown is the text as the platform wrote it, unless the rule of its page asks for
one of the plain forms.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["plain_quotes", "plain_spaces", "squeeze", "unify"]

# Quotes, dashes, dots, bullets to one form each; zero-width characters and soft hyphens to nothing.
_FORMS = {
    **dict.fromkeys("‘’‚‛′ʼ´`", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−﹘﹣-", "-"),
    **dict.fromkeys("•‣◦▪·∙●○■□⁃", "*"),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\ufe0e\ufe0f", None),
}
_TABLE = {ord(letter): form for letter, form in _FORMS.items()}
_WHITE = re.compile(r"\s+")
_QUOTES = {
    **dict.fromkeys(map(ord, "‘’‚‛′ʼ´"), "'"),
    **dict.fromkeys(map(ord, "“”„‟″«»"), '"'),
    **dict.fromkeys(map(ord, "‐‑‒–—―−﹘﹣-"), "-"),
}
_SPACES = {
    **dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\ufe0e\ufe0f")),
    **dict.fromkeys(map(ord, "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"), " "),
}  # fmt: skip


def unify(text: str) -> str:
    """`text` in NFKC with quotes, dashes, bullets and spaces in one form, white space as single blanks.

    Letter case, punctuation marks, numbers and dates stay: a changed one is a changed text.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_TABLE)).translate(_TABLE)
    elif "`" in text:
        text = text.replace("`", "'")
    return " ".join(text.split())


def squeeze(text: str) -> str:
    """`text` without any white space: where a line breaks says nothing of what is written."""
    return _WHITE.sub("", text)


def plain_quotes(text: str) -> str:
    """`text` with quotation marks, apostrophes and dashes in one form each; every other letter stays."""
    return text.translate(_QUOTES)


def plain_spaces(text: str) -> str:
    """`text` without letters that have no width, special spaces as plain ones; lines stay as they are."""
    return text.translate(_SPACES)
