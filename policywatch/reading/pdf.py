"""The text of a PDF, as a reader would copy it out, in a form that stays the same from fetch to fetch.

Lines are joined to paragraphs by their distance on the page, words that were broken at a line's end are made
whole, page numbers and what repeats at the top or bottom of most pages is dropped. Headings are not guessed: a
PDF does not say what is one. The parser is native code on foreign bytes: call it in a bounded child.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from ctypes import byref, c_double
from dataclasses import dataclass
from itertools import pairwise

import pypdfium2
from pypdfium2 import raw

from policywatch.reading.rules import ExtractionError

__all__ = ["MAX_CHARACTERS", "MAX_PAGES", "paragraphs", "text_of"]

MAX_PAGES = 1_000
MAX_CHARACTERS = 2_000_000
_ENCRYPTED = (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)
_END = b"%%EOF"
_END_WITHIN = 4_096  # bytes at the end of the file; some writers append a little of their own
_OPEN_HYPHEN = "\x02"  # what the library writes for a hyphen that breaks a word
_FORMS = {ord("\ufffe"): _OPEN_HYPHEN, 0xAD: None, 0xA0: " "}
_AROUND = ".,;:!?()\"'“”"
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"[-–—|\s]*(?:(?:page|seite|p\.)\s*)?(?:\d{1,4}|[ivxlc]{1,7})(?:\s*(?:of|von|/)\s*\d{1,4})?[-–—|\s]*",
    re.IGNORECASE,
)
_ITEM = re.compile(r"(?:[•‣◦▪●○■□*–—-]\s|\(?(?:\d{1,3}(?:\.\d{1,3}){0,4}|[a-zA-Z]|[ivxIVX]{1,5})[.)]\s|§)")
_SENTENCE_END = (".", "!", "?", ":", ";", "”", '"')
_WIDE = 1.35  # of the usual distance of two lines: where it is larger, a paragraph ends
_USUAL = 1.6  # distance of two lines in sizes of the letter, where a file has too few lines to tell
_ENOUGH = 8  # lines
_MARGIN = 0.12  # of the page's height


@dataclass(frozen=True, slots=True)
class _Line:
    """A line as the file writes it; a word broken at its end has the library go on with the next one."""

    text: str
    first: float  # baseline of its first letter, points above the page's lower edge
    last: float  # and of its last one
    size: float  # points
    edge: bool  # in the upper or lower margin of the page


def text_of(body: bytes) -> str:
    """The paragraphs of a PDF, an empty line between them.

    Raises ExtractionError: `encrypted`, `broken` (also a file that was cut), `too_large`, `empty` (pictures of
    text). A page that cannot be read makes the whole file broken: a part is never taken for all of it.
    """
    if _END not in body[-_END_WITHIN:]:
        raise _broken("its end is missing")
    try:
        document = pypdfium2.PdfDocument(body)
    except pypdfium2.PdfiumError as error:
        if error.err_code in _ENCRYPTED:
            raise ExtractionError(
                "The PDF is encrypted and asks for a password.",
                remedy="Name an address of the policy that everybody can read.",
                code="encrypted",
            ) from None
        raise _broken("it is damaged") from None
    try:
        pages = _pages(document)
    except pypdfium2.PdfiumError:
        raise _broken("a page of it cannot be read") from None
    finally:
        document.close()
    found = "\n\n".join(paragraphs(pages))
    if not found.strip():
        raise ExtractionError(
            "The PDF holds no text: its pages are pictures.",
            remedy="Name an address of the policy as a text.",
            code="empty",
        )
    return found


def _broken(why: str) -> ExtractionError:
    return ExtractionError(
        f"The PDF cannot be read: {why}.",
        remedy="Try again later; if it stays so, open the address in a browser.",
        code="broken",
    )


def _too_large(what: str) -> ExtractionError:
    return ExtractionError(
        f"The PDF has more than {what}.", remedy="Name a smaller part of the policy.", code="too_large"
    )


def _pages(document: pypdfium2.PdfDocument) -> list[list[_Line]]:
    if len(document) > MAX_PAGES:
        raise _too_large(f"{MAX_PAGES:,} pages")
    if not len(document):
        raise _broken("it has no pages")
    pages: list[list[_Line]] = []
    characters = 0
    for number in range(len(document)):
        page = document[number]
        textpage = page.get_textpage()
        count = textpage.count_chars()
        if count < 0:
            raise _broken("a page of it cannot be read")
        characters += count
        if characters > MAX_CHARACTERS:
            raise _too_large(f"{MAX_CHARACTERS:,} characters")
        pages.append(list(_lines(textpage.raw, count, page.get_height())))
        textpage.close()
        page.close()
    return pages


def _lines(page: raw.FPDF_TEXTPAGE, count: int, height: float) -> Iterator[_Line]:
    """The lines of a page in the order in which the file writes them."""
    units: list[int] = []
    first = last = -1
    for index in range(count + 1):
        unit = raw.FPDFText_GetUnicode(page, index) if index < count else 0x0A
        if unit not in (0x0A, 0x0D):
            units.append(unit)
            if unit not in (0x20, 0xA0):
                first, last = (index if first < 0 else first), index
            continue
        if first >= 0 and (text := _text(units)):
            baseline = _baseline(page, first)
            edge = not _MARGIN * height < baseline < (1 - _MARGIN) * height
            size = float(raw.FPDFText_GetFontSize(page, first))
            yield _Line(text, baseline, _baseline(page, last), size, edge)
        units, first = [], -1


def _text(units: Sequence[int]) -> str:
    """Halves of a character beyond the basic plane are put together; unreadable ones stand as �."""
    content = b"".join((unit if 0 < unit < 0x10000 else 0xFFFD).to_bytes(2, "little") for unit in units)
    text = content.decode("utf-16-le", "replace").translate(_FORMS)
    return " ".join(text.split())


def _baseline(page: raw.FPDF_TEXTPAGE, index: int) -> float:
    x, y = c_double(), c_double()
    raw.FPDFText_GetCharOrigin(page, index, byref(x), byref(y))
    return y.value


def paragraphs(pages: Sequence[Sequence[_Line]]) -> list[str]:
    """The paragraphs of all pages, without what the pages repeat; one may run over the end of a page."""
    kept = _without_running_lines(pages)
    whole = _hyphenated(kept)
    usual = _usual_distance(kept)
    found: list[str] = []
    for lines in kept:
        before: _Line | None = None
        for line in lines:
            if found and _goes_on(found[-1], before, line, usual):
                found[-1] = _joined(found[-1], line.text)
            else:
                found.append(line.text)
            before = line
    return [_mended(text, whole) for text in found]


def _mended(text: str, whole: frozenset[str]) -> str:
    """Words that were broken are one again; a compound that stands with its hyphen elsewhere keeps it."""
    if _OPEN_HYPHEN not in text:
        return text
    words = text.split(" ")
    for index, word in enumerate(words):
        if _OPEN_HYPHEN in word:
            compound = word.replace(_OPEN_HYPHEN, "-")
            known = compound.casefold().strip(_AROUND) in whole
            words[index] = compound if known else word.replace(_OPEN_HYPHEN, "")
    return " ".join(words)


def _usual_distance(pages: Sequence[Sequence[_Line]]) -> float:
    """From line to line within a paragraph, in sizes of the letter: the lower quartile, since most lines are such."""
    found = sorted(
        (one.last - two.first) / two.size
        for lines in pages
        for one, two in pairwise(lines)
        if one.last > two.first and two.size > 0
    )
    if len(found) < _ENOUGH:
        return min([_USUAL, *found])
    return found[len(found) // 4]


def _goes_on(text: str, before: _Line | None, line: _Line, usual: float) -> bool:
    """Whether `line` belongs to the paragraph `text`; `before` is None at the top of a page."""
    if _ITEM.match(line.text):
        return False
    if before is None or line.first > before.last + 1:  # the next page or column
        return text.endswith(_OPEN_HYPHEN) or (not text.endswith(_SENTENCE_END) and line.text[:1].islower())
    if abs(before.size - line.size) > 0.05 * max(before.size, line.size):
        return False
    return before.last - line.first <= _WIDE * usual * line.size


def _joined(text: str, line: str) -> str:
    if text.endswith(_OPEN_HYPHEN):
        return text + line
    if text.endswith("-") and text[-2:-1].isalpha() and line[:1].islower():
        return f"{text[:-1]}{_OPEN_HYPHEN}{line}"
    return f"{text} {line}"


def _hyphenated(pages: Sequence[Sequence[_Line]]) -> frozenset[str]:
    """The words with a hyphen that stand inside of a line."""
    return frozenset(
        word.casefold().strip(_AROUND)
        for lines in pages
        for line in lines
        for word in line.text.split()
        if "-" in word[1:-1] and _OPEN_HYPHEN not in word
    )


def _without_running_lines(pages: Sequence[Sequence[_Line]]) -> list[list[_Line]]:
    """Pages without their numbers and what stands in the margin of most of them, but for its first time."""
    if len(pages) < 2:
        return [list(lines) for lines in pages]
    counts = Counter(name for lines in pages for name in {_name(line) for line in lines if line.edge})
    running = {name for name, times in counts.items() if 2 * times > len(pages) and times > 1}
    shown: set[tuple[str, int]] = set()
    kept: list[list[_Line]] = []
    for lines in pages:
        page: list[_Line] = []
        for line in lines:
            if line.edge and (name := _name(line)) in running:
                if name in shown or _PAGE_NUMBER.fullmatch(line.text):
                    continue
                shown.add(name)
            page.append(line)
        kept.append(page)
    return kept


def _name(line: _Line) -> tuple[str, int]:
    """What makes two lines the same running line: the words without numbers, and the place on the page."""
    words = "#" if _PAGE_NUMBER.fullmatch(line.text) else _DIGITS.sub("#", line.text)
    return words, round(line.first / 3)
