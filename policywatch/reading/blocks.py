"""Markdown-like text to typed blocks: what a reader reads, where it stands, where its links lead.

One line of the text is one block; that is how our own extraction and the archives write. This is no Markdown
renderer: emphasis, images and rules are dropped, because no reader reads them, and nothing is lost that one
reads. Lines are read once and remembered, since two versions of a document share nearly all of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from policywatch.reading import links
from policywatch.reading.typography import squeeze, unify

__all__ = ["MAX_LINES", "Block", "BlockKind", "Line", "Link", "parse", "read_line", "read_lines"]

MAX_LINES = 40_000  # more than twice the largest policy seen; the rest of a longer text is one block


class BlockKind(StrEnum):
    """What a block is on the page."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    ITEM = "item"
    ROW = "row"


@dataclass(frozen=True, slots=True)
class Link:
    """The words that are linked (may be empty) and the target as it is written."""

    text: str
    target: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line, read by itself.

    `text` is what a reader reads, as the platform wrote it. `folded` is the same without white space and
    typography, bare addresses in canonical form: equal `folded` means equal to a reader. `key` is `folded`
    without leading numbering. `targets` are the canonical link targets. `level` is the heading's level or the
    item's depth, from 1.
    """

    kind: BlockKind
    level: int
    text: str
    folded: str
    key: str
    links: tuple[Link, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A line in its place: `section` is the chain of headings above it, outermost first."""

    line: Line
    kind: BlockKind
    section: tuple[str, ...]

    @property
    def text(self) -> str:
        """What a reader reads."""
        return self.line.text


# Hostile text is expected: no pattern may look twice at a long run of one letter.
_UNDERLINE = re.compile(r"(?:=+|-{2,})\s*$")
_RULE = re.compile(r"(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,}|=+)$")
_TABLE_RULE = re.compile(r"\|?(?:\s*:?-{3,}:?\s*\|)+(?:\s*:?-{3,}:?)?$")
_HEADING = re.compile(r"(#{1,6})(?:\s+|$)")
_ITEM = re.compile(r"(?:[*+-]|\d{1,4}[.)])(?:\s+|$)")
_QUOTED = re.compile(r">\s?")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
# Escaped marks wait in a private plane that no page uses, so that they are not taken for mark-up.
_PLANE = 0xF0000
_HIDDEN = re.compile("[\U000f0021-\U000f007e]")
_BRACKET = re.compile(r"!?\[|\]\(|\]")
_TARGET = re.compile(
    r"\s{0,9}(?:<([^<>]*)>|((?:[^()\s\\]|\\.|\([^()\s]*\))*))"
    r"(?:\s{1,9}(?:\"[^\"]*\"|'[^']*'))?\s{0,9}\)"
)
_STARS = re.compile(r"(?<!\s)\*{1,3}|\*{1,3}(?!\s|$)")
_BARS = re.compile(r"(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ADDRESS = re.compile(r"<?(https?://[^\s<>\"'`\]|]+)>?")
# "30 days" and "1.5 million" are no numbering: a number needs its mark, or points and a capital behind.
_NUMBERING = re.compile(
    r"(?:(?:section|article|chapter|part|clause)\s+\d{1,3}(?:\.\d{1,3}){0,4}[.):]?|"
    r"\d{1,3}(?:\.\d{1,3}){0,4}[.):]|\d{1,3}(?:\.\d{1,3}){1,4}(?=\s+(?-i:[A-Z]))|"
    r"\([a-z0-9]{1,2}\)|[a-z][.)]|\([ivxl]+\)|[ivxl]+[.)])\s+",
    re.IGNORECASE,
)


def _hide(match: re.Match[str]) -> str:
    return chr(_PLANE + ord(match.group(1)))


def _show(match: re.Match[str]) -> str:
    return chr(ord(match.group()) - _PLANE)


def _unlink(raw: str) -> tuple[str, tuple[Link, ...]]:
    """`raw` with links replaced by their words and images by nothing, and the links found.

    One pass with a stack of open brackets, so that hostile nesting costs linear time.
    """
    out: list[str] = []
    found: list[Link] = []
    open_at: list[tuple[int, str]] = []
    at = 0
    for mark in _BRACKET.finditer(raw):
        if mark.start() < at:
            continue  # inside a target already read
        out.append(raw[at : mark.start()])
        sign, at = mark.group(), mark.end()
        if sign in ("[", "!["):
            open_at.append((len(out), sign))
            out.append(sign)
            continue
        target = _TARGET.match(raw, at) if sign == "](" and open_at else None
        if (
            target is None
            and sign == "]("
            and open_at
            and open_at[-1][1] == "!["
            and raw.startswith("data:", at)
        ):
            # An inline picture may hold blanks and brackets; it ends where the line's last bracket does.
            del out[open_at.pop()[0] :]
            at = raw.rfind(")") + 1 or len(raw)
            continue
        if target is None:
            if open_at and sign == "]":
                open_at.pop()
            out.append(sign)
            continue
        index, opened = open_at.pop()
        at = max(at, target.end())
        if opened == "![":
            del out[index:]
            continue
        out[index] = ""
        address = target.group(1) if target.group(1) is not None else target.group(2)
        found.append(Link(" ".join("".join(out[index:]).split()), _HIDDEN.sub(_show, address)))
    out.append(raw[at:])
    return "".join(out), tuple(found)


def _plain(raw: str) -> tuple[str, tuple[Link, ...]]:
    """What a reader reads of one line's content, and its links."""
    if "\\" in raw:
        raw = _ESCAPE.sub(_hide, raw)
    found: tuple[Link, ...] = ()
    if "](" in raw:
        raw, found = _unlink(raw)
    if "<" in raw:
        raw = _BREAK.sub(" ", raw)
    if "http" in raw:
        found += tuple(Link("", match.group(1)) for match in _ADDRESS.finditer(raw))
        raw = _ADDRESS.sub(r"\1", raw)
    if "*" in raw:
        raw = _STARS.sub("", raw)
    if "_" in raw:
        raw = _BARS.sub("", raw)
    # A "#" behind a heading is the mark of its anchor.
    return " ".join(_HIDDEN.sub(_show, raw.rstrip().rstrip("#")).split()), found


def _bare_addresses(text: str) -> str:
    if "http" not in text:
        return text
    return _ADDRESS.sub(lambda match: links.canonical(match.group(1)), text)


@lru_cache(maxsize=16_384)
def read_line(raw: str) -> Line | None:
    """One line of the text, or None where a reader reads nothing and no link leads anywhere."""
    content = raw.strip()
    if not content or _RULE.match(content) or _TABLE_RULE.match(content):
        return None
    kind, level = BlockKind.PARAGRAPH, 1
    if quoted := _QUOTED.match(content):
        content = content[quoted.end() :]
    if heading := _HEADING.match(content):
        kind, level, content = BlockKind.HEADING, len(heading.group(1)), content[heading.end() :]
    elif item := _ITEM.match(content):
        indent = len(raw[:200].expandtabs(4)) - len(raw[:200].expandtabs(4).lstrip())
        kind, level, content = BlockKind.ITEM, 1 + (indent + 2) // 4, content[item.end() :]
    elif content.startswith("|") and content.endswith("|"):
        kind = BlockKind.ROW
    if kind is BlockKind.ROW:
        parts = [_plain(cell) for cell in content.replace("\\|", "\U000f007c").strip("|").split("|")]
        text = " | ".join(words for words, _ in parts if words)
        found = tuple(link for _, cell_links in parts for link in cell_links)
        folded = squeeze(unify(_bare_addresses(" ".join(words for words, _ in parts))))
    else:
        text, found = _plain(content)
        folded = squeeze(unify(_bare_addresses(text)))
    if not folded and not found:
        return None
    numbered = _NUMBERING.match(text)
    key = squeeze(unify(_bare_addresses(text[numbered.end() :]))) if numbered else folded
    targets = tuple(links.canonical(link.target) for link in found)
    return Line(kind, level, text, folded, key or folded, found, targets)


def _raw_lines(text: str) -> list[str]:
    """The lines of `text`; what stands behind the last line that is read by itself is one line."""
    return text.split("\n", MAX_LINES)


def read_lines(text: str) -> Iterator[Line]:
    """The lines of `text` that hold words or links, in order."""
    for raw in _raw_lines(text):
        if raw and (line := read_line(raw)) is not None:
            yield line


def parse(text: str) -> tuple[Block, ...]:
    """The blocks of `text`, in page order, each under its chain of headings.

    Understands `#` headings and underlined ones. Lines without words are left out.
    """
    blocks: list[Block] = []
    headings: list[tuple[int, str]] = []
    section: tuple[str, ...] = ()
    raws = _raw_lines(text)
    last = len(raws) - 1
    for index, raw in enumerate(raws):
        line = read_line(raw) if raw else None
        if line is None or not line.folded:
            continue
        kind, level = line.kind, line.level
        if index < last and kind is not BlockKind.HEADING and raws[index + 1][:1] in ("=", "-"):
            below = raws[index + 1]
            if _UNDERLINE.match(below):
                kind, level = BlockKind.HEADING, 1 if below[0] == "=" else 2
        if kind is BlockKind.HEADING:
            while headings and headings[-1][0] >= level:
                headings.pop()
            section = tuple(words for _, words in headings)
            blocks.append(Block(line, kind, section))
            headings.append((level, line.text))
            section = (*section, line.text)
        else:
            blocks.append(Block(line, kind, section))
    return tuple(blocks)
