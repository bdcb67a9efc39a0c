"""The one form in which two texts are held against each other: how letters are written does not count.

For comparing only. What a person is shown is the text as the platform wrote it.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["squeeze", "unify"]

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
