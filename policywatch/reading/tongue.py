"""In which language a text is written, from its commonest small words or its script.

Good enough to tell a policy from the same policy in another language; not meant for single sentences.
"""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["told", "tongue"]

_SAMPLE = 8_000  # characters: the first words of a policy are in the language of the rest
_ENOUGH = 6  # small words that must be met
_LEAD = 1.5  # how many times the second language's count the first must reach
_SCRIPT = 0.3  # share of the letters: above it the script tells

_SMALL_WORDS = {
    "en": "the of and to you your that this for is are be with not or on by we our may it",
    "de": "der die das und nicht ist sie wir ihre oder für von mit auf werden ein eine den dem zu im sich",
    "fr": "le la les des et est vous nous votre pour dans que une du ou sur par au aux ne pas ce",
    "es": "el los las de y que en es usted su para por con una se del al o no sus como",
    "it": "il di che è per gli della una con non sono del dei alla si o le nel nostra anche tuo",
    "pt": "o os as de e que em é você seu para por com uma não do da dos das ou ao nos",
    "nl": "de het een van en is niet je wij voor met op te dat of zijn uw door aan ons",
    "pl": "i w na z nie jest że do lub oraz się dla o od są przez tych może może nasze",
    "sv": "och att det är som en på för inte du av den vi med eller till kan din har om",
    "da": "og at det er som en på for ikke du af den vi med eller til kan din har om",
    "tr": "ve bir bu için ile olarak veya da de olan daha gibi kadar hizmet size bizim",
    "cs": "a se na je v že nebo pro jsou s o které jako k po není vaše jsme",
    "ro": "și de la în cu pe sau este care nu pentru din să un o prin dumneavoastră",
    "id": "dan yang di untuk dengan anda atau dari ini tidak kami pada akan dapat",
    "vi": "và của bạn là các có cho không được trong này chúng tôi với hoặc",
}
_HOMES: dict[str, tuple[str, ...]] = {}
for _language, _words in _SMALL_WORDS.items():
    for _word in set(_words.split()):
        _HOMES[_word] = (*_HOMES.get(_word, ()), _language)

_WORD = re.compile(r"[^\W\d_]+")
_NOT_LATIN = re.compile(r"[\u0370-\u1fff\u3040-\ud7af]")
# A run of one script; kana before the signs that Japanese shares with Chinese.
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)
# Codes whose texts look like another's to us.
_ALIKE = {
    **dict.fromkeys(("no", "nb", "nn"), "da"),
    **dict.fromkeys(("uk", "bg", "sr", "mk", "be"), "ru"),
    **dict.fromkeys(("fa", "ur"), "ar"),
    "sk": "cs",
    "ms": "id",
    "mr": "hi",
    "ne": "hi",
    "iw": "he",
}
_TARGET = re.compile(r"\]\([^()\s]*\)|https?://\S+")


def told(code: str) -> str:
    """What `tongue` says of texts in the language `code` ("de", "pt-BR"), or "" for one that it does not know."""
    short = code.lower().partition("-")[0]
    short = _ALIKE.get(short, short)
    return short if short in _SMALL_WORDS or any(short == language for language, _ in _SCRIPTS) else ""


def tongue(text: str) -> str:
    """The language of `text` as a two-letter code, or "" where it cannot be told."""
    sample = _TARGET.sub(" ", text[:_SAMPLE])
    words = Counter(_WORD.findall(sample.lower()))
    if _NOT_LATIN.search(sample) and (script := _by_script(sample, words)):
        return script
    counts: Counter[str] = Counter()
    for word, times in words.items():
        for language in _HOMES.get(word, ()):
            counts[language] += times
    best = counts.most_common(2)
    if not best or best[0][1] < _ENOUGH:
        return ""
    if len(best) > 1 and best[0][1] < _LEAD * best[1][1]:
        return ""
    return best[0][0]


def _by_script(sample: str, words: Counter[str]) -> str:
    letters = sum(len(word) * times for word, times in words.items())
    for language, script in _SCRIPTS:
        found = len(script.findall(sample))
        # Japanese is written with few kana among many signs.
        if found and found > (_SCRIPT / 3 if language == "ja" else _SCRIPT) * letters:
            return language
    return ""
