"""One walk over a parsed page, writing the blocks of the declared region as lines.

No recursion: a page may nest a hundred thousand elements.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from urllib.parse import urljoin

from selectolax.lexbor import LexborNode

from policywatch.reading.filters import Filter
from policywatch.reading.rules import ExtractionError

__all__ = ["Marks", "Writer", "walk"]

_SKIPPED_TAGS = """
    script style noscript template svg math iframe object embed canvas video audio picture img map head title
    select option datalist textarea input meter progress
"""
_SKIPPED = frozenset(_SKIPPED_TAGS.split())
_BLOCK_TAGS = """
    address article aside blockquote body button caption center dd details dialog dir div dl dt fieldset
    figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol p pre
    search section summary table tbody tfoot thead tr ul
"""
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset({"ul", "ol", "menu", "dir"})
_CELLS = frozenset({"td", "th"})
_UNSEEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_INLINE_ESCAPES = re.compile(r"([\\*_\[\]<])")
_LINE_ESCAPES = re.compile(r"(?:[#+\-=>|]|\d{1,9}[.)](?=\s|$))")
_TARGET_ESCAPES = {ord(mark): f"%{ord(mark):02X}" for mark in "()<>\\\"'`|"}
_SCHEMES = ("http://", "https://", "mailto:", "tel:")
_MAX_TARGET = 4_000


class Marks:
    """Where the declared and the removed stretches begin and end, by element."""

    def __init__(self) -> None:
        self.before: defaultdict[int, list[tuple[bool, int]]] = defaultdict(list)
        self.after: defaultdict[int, list[tuple[bool, int]]] = defaultdict(list)

    def whole(self, element: int, *, removal: bool) -> None:
        """The element with all that is in it."""
        self.before[element].append((removal, 1))
        self.after[element].append((removal, -1))

    def begin(self, element: int, *, after: bool, removal: bool) -> None:
        """A stretch begins at the element."""
        (self.after if after else self.before)[element].append((removal, 1))

    def end(self, element: int, *, after: bool, removal: bool) -> None:
        """A stretch ends at the element."""
        (self.after if after else self.before)[element].append((removal, -1))


@dataclass(slots=True)
class _List:
    ordered: bool
    number: int = 1


@dataclass(slots=True)
class _Row:
    """A table row in the making. A row that holds another table is layout: its cells are plain blocks."""

    cells: list[str] = field(default_factory=list)
    layout: bool = False


class Writer:
    """Collects the words of the walk into lines."""

    def __init__(self, base_url: str, chosen: tuple[Filter, ...], *, removed: bool = False) -> None:
        """`removed`: write what is declared and cut out again, and nothing else."""
        self._base_url = base_url
        self._shows_removed = removed
        self._target_filters = [one.target for one in chosen if one.target is not None]
        self._word_filters = [one.words for one in chosen if one.words is not None]
        self._lines: list[str] = []
        self._tight = False  # the line before is of the same list
        self._pieces: list[tuple[str, str]] = []  # words and the link target they stand in
        self._targets: list[str] = []
        self._headings: list[int] = []
        self._lists: list[_List] = []
        self._bullets: list[str] = []  # per open item: the mark, emptied once it is written
        self._rows: list[_Row] = []
        self.selected = 0
        self.removed = 0

    def text(self) -> str:
        """All lines written so far."""
        self.flush()
        return "\n".join(self._lines)

    def mark(self, marks: list[tuple[bool, int]]) -> None:
        """Enter or leave declared and removed stretches."""
        for removal, step in marks:
            if removal:
                self.removed += step
            else:
                self.selected += step
            if self.selected < 0 or self.removed < 0:
                raise ExtractionError(
                    "A range of the rule ends before it begins.",
                    remedy="Look at the page and correct the range.",
                    code="range",
                )

    def words(self, text: str) -> None:
        """Words of the page, if they stand in a declared stretch."""
        if self.selected > 0 and (self.removed > 0) is self._shows_removed:
            self._pieces.append((text, self._targets[-1] if self._targets else ""))

    def replacement(self, attributes: dict[str, str | None]) -> str | None:
        """The words that a filter puts in an element's place, or None."""
        for words in self._word_filters:
            if (found := words(attributes)) is not None:
                return found
        return None

    def enter(self, tag: str, attributes: dict[str, str | None]) -> None:
        """An element begins."""
        if tag == "a":
            self._targets.append(self._target(attributes.get("href") or ""))
        elif tag in _BLOCKS:
            self.flush()
            if tag in _HEADINGS:
                self._headings.append(_HEADINGS[tag])
            elif tag in _LISTS:
                start = attributes.get("start") or ""
                first = int(start) if start.isascii() and start.isdigit() and len(start) < 5 else 1
                self._lists.append(_List(tag == "ol", first))
            elif tag == "li":
                self._bullets.append(self._bullet())
            elif tag == "tr":
                self._begin_row()

    def leave(self, tag: str) -> None:
        """An element ends."""
        if tag == "a":
            self._targets.pop()
        elif tag in _CELLS:
            self._end_cell()
        elif tag in _BLOCKS:
            self.flush()
            if tag in _HEADINGS:
                self._headings.pop()
            elif tag in _LISTS:
                self._lists.pop()
            elif tag == "li":
                self._bullets.pop()
            elif tag == "tr":
                self._end_row()

    def flush(self) -> None:
        """End the line that is being written; inside a table row, only a word."""
        if self._rows and not self._rows[-1].layout:
            self._pieces.append((" ", ""))
            return
        line = self._taken()
        if line:
            self._write(line)

    def _bullet(self) -> str:
        if not self._lists or not self._lists[-1].ordered:
            return "*   "
        number = self._lists[-1].number
        self._lists[-1].number += 1
        return f"{number}.".ljust(4)

    def _write(self, line: str) -> None:
        indent = "    " * max(0, len(self._bullets) - 1)
        if self._headings:
            self._append(f"{'#' * self._headings[-1]} {line}", tight=False)
            return
        line = self._line_escaped(line)
        if self._bullets and self._bullets[-1]:
            self._append(indent + self._bullets[-1] + line, tight=True)
            self._bullets[-1] = ""
        elif self._bullets:
            self._append(indent + "    " + line, tight=True)
        else:
            self._append(line, tight=False)

    def _append(self, line: str, *, tight: bool) -> None:
        if self._lines and not (tight and self._tight):
            self._lines.append("")
        self._lines.append(line)
        self._tight = tight

    @staticmethod
    def _line_escaped(line: str) -> str:
        found = _LINE_ESCAPES.match(line)
        if not found:
            return line
        mark = found.end() - 1
        return f"{line[:mark]}\\{line[mark:]}"

    def _taken(self) -> str:
        """The pieces as one line of Markdown, white space collapsed."""
        if not self._pieces:
            return ""
        groups: list[tuple[list[str], str]] = []
        for words, target in self._pieces:
            if groups and groups[-1][1] == target:
                groups[-1][0].append(words)
            else:
                groups.append(([words], target))
        self._pieces.clear()
        out: list[str] = []
        for parts, target in groups:
            words = _INLINE_ESCAPES.sub(r"\\\1", "".join(parts))
            inner = words.strip()
            if not target or not inner:
                out.append(words)
                continue
            lead = " " if words[0].isspace() else ""
            tail = " " if words[-1].isspace() else ""
            out.append(f"{lead}[{inner}]({target}){tail}")
        return " ".join("".join(out).split())

    def _begin_row(self) -> None:
        if self._rows and not self._rows[-1].layout:
            outer = self._rows[-1]
            outer.layout = True
            for cell in outer.cells:
                self._write(cell)
            outer.cells.clear()
            self.flush()
        self._rows.append(_Row())

    def _end_cell(self) -> None:
        if not self._rows or self._rows[-1].layout:
            self.flush()
            return
        self._rows[-1].cells.append(self._taken())

    def _end_row(self) -> None:
        if not self._rows:
            return
        row = self._rows.pop()
        rest = self._taken()
        cells = [*row.cells, rest] if rest else row.cells
        if self._rows and not self._rows[-1].layout:
            self._rows[-1].cells += cells
        elif len([cell for cell in cells if cell]) > 1 and not self._headings:
            bars = " | ".join(cell.replace("|", "\\|") for cell in cells)
            self._append(f"| {bars} |", tight=True)
        else:
            for cell in filter(None, cells):
                self._write(cell)

    def _target(self, href: str) -> str:
        """Where a link leads, as one word that Markdown can hold; '' where it leads nowhere on the web."""
        href = href.strip()
        if not href or href.startswith("#"):
            return ""
        try:
            target = urljoin(self._base_url, href)
        except ValueError:
            return ""
        if not target.lower().startswith(_SCHEMES) or len(target) > _MAX_TARGET:
            return ""
        for change in self._target_filters:
            target = change(target)
        return "%20".join(target.split()).translate(_TARGET_ESCAPES)


def _seen(attributes: dict[str, str | None]) -> bool:
    if "hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found":
        return False
    style = attributes.get("style")
    return not style or not _UNSEEN.search(style)


def walk(root: LexborNode, marks: Marks, writer: Writer) -> None:
    """Write every block below `root` that stands in a declared stretch, in page order."""
    node: LexborNode | None = root
    open_elements: list[tuple[LexborNode, str, bool]] = []
    while node is not None:
        below: LexborNode | None = None
        if node.is_text_node:
            _text(node, writer, preformatted=any(tag == "pre" for _, tag, _ in open_elements[-4:]))
        elif node.is_element_node:
            tag = (node.tag or "").lower()
            if tag == "br":
                writer.flush()
            elif tag not in _SKIPPED:
                attributes = node.attributes
                writer.mark(marks.before.get(node.mem_id, []))
                seen = _seen(attributes)
                writer.removed += not seen
                writer.enter(tag, attributes)
                replacement = writer.replacement(attributes)
                if replacement is not None:
                    writer.words(replacement)
                else:
                    below = node.first_child
                open_elements.append((node, tag, seen))
                if below is None:
                    _close(open_elements, marks, writer)
        if below is not None:
            node = below
            continue
        while node is not None and node.next is None:
            if not open_elements:
                return
            node = open_elements[-1][0]
            _close(open_elements, marks, writer)
        node = node.next if node is not None else None


def _text(node: LexborNode, writer: Writer, *, preformatted: bool) -> None:
    words = node.text_content or ""
    if not preformatted or "\n" not in words:
        writer.words(words)
        return
    for index, line in enumerate(words.split("\n")):
        if index:
            writer.flush()
        writer.words(line)


def _close(open_elements: list[tuple[LexborNode, str, bool]], marks: Marks, writer: Writer) -> None:
    node, tag, seen = open_elements.pop()
    writer.leave(tag)
    writer.removed -= not seen
    writer.mark(marks.after.get(node.mem_id, []))
