"""Two texts of one document held against each other: noise named, passages found, words marked.

Blocks are aligned first, words only inside aligned blocks: a word diff over a whole document is neither
readable nor affordable. The work is bounded, so that hostile text costs detail and never minutes.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from policywatch.domain.changes import Comparison, NoiseKind, Passage, PassageKind, Span
from policywatch.reading import noise
from policywatch.reading.alignment import gaps
from policywatch.reading.blocks import Block, BlockKind, Line, parse, read_lines
from policywatch.reading.pairing import Spent, best_match, pairs, similarity
from policywatch.reading.words import count_words, differing_spans

__all__ = ["compare", "link_hash", "reader_hash"]

_MOVED = 20  # characters; shorter equal blocks ("Learn more") are no move
_MOVED_CHANGED = 40
_LIST = 500  # items looked back over for the line that leads a list in
_REPEATED = 60  # characters of the longest block; a repeated "Learn more" is no doubled paragraph
_MOVED_CHANGED_ALIKE = 80.0
_JOINED_ALIKE, _JOINED_BETTER = 85.0, 8.0  # per cent: what makes a left-over the other half of a pair
_WORDS_LIMIT = 400_000  # characters on a side of a pair; above it the pair differs as a whole


def reader_hash(text: str) -> bytes:
    """SHA-256 of what a visitor reads: mark-up, link targets, white space and typography do not count."""
    return _words_hash(read_lines(text))


def link_hash(text: str) -> bytes:
    """SHA-256 of the canonical link targets, in page order; fresh tokens and redirectors do not count."""
    return _targets_hash(read_lines(text))


def _words_hash(lines: Iterable[Line]) -> bytes:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.folded.encode("utf-8", "surrogatepass"))
    return digest.digest()


def _targets_hash(lines: Iterable[Line]) -> bytes:
    digest = hashlib.sha256()
    for line in lines:
        for target in line.targets:
            if target:
                digest.update(target.encode("utf-8", "surrogatepass") + b"\n")
    return digest.digest()


def compare(before: str, after: str) -> Comparison:
    """The differences between two stored texts, in the order of the new page.

    Words are counted in what differs; a moved block has lost and gained none.
    """
    if before == after:
        return Comparison(NoiseKind.NONE, (), 0, 0, reader_equal=True, links_equal=True)
    old, new = list(read_lines(before)), list(read_lines(after))
    links_equal = _targets_hash(old) == _targets_hash(new)
    if _words_hash(old) == _words_hash(new):
        kind = noise.kind_of_equal_words(before, after)
        return Comparison(kind, (), 0, 0, reader_equal=True, links_equal=links_equal)
    table = _Table(parse(before), parse(after))
    table.fill()
    passages = tuple(table.passages())
    kind = noise.kind_of_passages(passages, moved_home=table.moved_home, repeated=table.repeated())
    added = sum(
        _words(passage.after, passage.after_spans, passage, PassageKind.ADDED) for passage in passages
    )
    removed = sum(
        _words(passage.before, passage.before_spans, passage, PassageKind.REMOVED) for passage in passages
    )
    return Comparison(kind, passages, added, removed, reader_equal=False, links_equal=links_equal)


def _words(text: str, spans: tuple[Span, ...], passage: Passage, whole: PassageKind) -> int:
    if passage.kind is whole:
        return count_words(text)
    return sum(count_words(text[span.start : span.end]) for span in spans)


@dataclass(frozen=True, slots=True)
class _Found:
    """A passage in the making: indices of the old and new blocks, and the new index where it is shown."""

    kind: PassageKind
    old: tuple[int, ...]
    new: tuple[int, ...]
    near: int


def _home(blocks: Sequence[Block], index: int) -> tuple[str, str]:
    """Under what a block stands: its heading, and for a list item the line that leads the list in."""
    block = blocks[index]
    heading = block.section[-1] if block.section else ""
    if block.kind is not BlockKind.ITEM:
        return heading, ""
    for at in range(index - 1, max(-1, index - _LIST), -1):
        above = blocks[at]
        if above.kind is not BlockKind.ITEM or above.line.level < block.line.level:
            return heading, above.line.key
    return heading, ""


class _Table:
    """The two sides, and which of their blocks still look for a partner."""

    def __init__(self, old: tuple[Block, ...], new: tuple[Block, ...]) -> None:
        self.old, self.new = old, new
        self.places = gaps([block.line.key for block in old], [block.line.key for block in new])
        # Left-over old blocks with the new index they are shown at, and left-over new blocks.
        self.old_left = {i: j1 for i1, i2, j1, _ in self.places for i in range(i1, i2)}
        self.new_left = {j: None for _, _, j1, j2 in self.places for j in range(j1, j2)}
        self.found: list[_Found] = []
        self.moved_home = True
        self._spent = Spent()

    def fill(self) -> None:
        """Find every block of a place its partner, or state that it has none."""
        self._find_renumbered()
        self._find_moved()
        for place in self.places:
            self._pair(place)
        self._find_moved_changed()
        for i, near in list(self.old_left.items()):
            self._take(PassageKind.REMOVED, (i,), (), near)
        for j in list(self.new_left):
            self._take(PassageKind.ADDED, (), (j,), j)

    def passages(self) -> Iterator[Passage]:
        """The passages in the order of the new page; what is gone stands where it would have stood."""
        for found in sorted(self.found, key=lambda one: (one.near, bool(one.new), one.old)):
            before = "\n".join(self.old[i].text for i in found.old)
            after = "\n".join(self.new[j].text for j in found.new)
            section = (self.new[found.new[0]] if found.new else self.old[found.old[0]]).section
            old_spans: tuple[Span, ...] = ()
            new_spans: tuple[Span, ...] = ()
            if before and after and found.kind is not PassageKind.MOVED:
                if max(len(before), len(after)) <= _WORDS_LIMIT:
                    old_spans, new_spans = differing_spans(before, after)
                else:
                    old_spans, new_spans = (Span(0, len(before)),), (Span(0, len(after)),)
            yield Passage(found.kind, section, before, after, old_spans, new_spans)

    def repeated(self) -> bool:
        """Whether every passage is a paragraph that the other text holds too: caught twice, or no longer."""
        if not self.found:
            return False
        sides = {
            PassageKind.ADDED: (self.new, {block.line.key for block in self.old}),
            PassageKind.REMOVED: (self.old, {block.line.key for block in self.new}),
        }
        long = 0
        for one in self.found:
            if one.kind not in sides:
                return False
            blocks, other = sides[one.kind]
            key = blocks[(one.new or one.old)[0]].line.key
            if key not in other:
                return False
            long += len(key) >= _REPEATED
        return long > 0

    def _take(self, kind: PassageKind, old: tuple[int, ...], new: tuple[int, ...], near: int) -> None:
        self.found.append(_Found(kind, old, new, near))
        for i in old:
            self.old_left.pop(i, None)
        for j in new:
            self.new_left.pop(j, None)

    def _find_renumbered(self) -> None:
        """Blocks that kept their place and words under another number."""
        i = j = 0
        for i1, i2, _, j2 in [*self.places, (len(self.old), 0, len(self.new), 0)]:
            for step in range(i1 - i):
                old, new = self.old[i + step].line, self.new[j + step].line
                if old is not new and old.folded != new.folded:
                    self._take(PassageKind.RENUMBERED, (i + step,), (j + step,), j + step)
            i, j = i2, j2

    def _find_moved(self) -> None:
        """Equal blocks that left one place for another; before pairing, so that nothing else takes them."""
        homes: dict[str, list[int]] = defaultdict(list)
        for i in self.old_left:
            if len(self.old[i].line.key) >= _MOVED:
                homes[self.old[i].line.key].append(i)
        for j in list(self.new_left):
            at = homes.get(self.new[j].line.key)
            if not at:
                continue
            i = at.pop(0)
            self._take(PassageKind.MOVED, (i,), (j,), j)
            if _home(self.old, i) != _home(self.new, j):
                self.moved_home = False

    def _find_moved_changed(self) -> None:
        """Left-over blocks that are alike enough to be one that moved and was edited."""
        among = [j for j in self.new_left if len(self.new[j].text) >= _MOVED_CHANGED]
        for i in [i for i in self.old_left if len(self.old[i].text) >= _MOVED_CHANGED]:
            best = best_match(
                self.old[i].text, [self.new[j].text for j in among], _MOVED_CHANGED_ALIKE, self._spent
            )
            if best is not None:
                j = among.pop(best[0])
                self._take(PassageKind.MOVED_CHANGED, (i,), (j,), j)

    def _pair(self, place: tuple[int, int, int, int]) -> None:
        """Pair the blocks of one place, then see whether a left-over is the other half of a pair."""
        i1, i2, j1, j2 = place
        old = [i for i in range(i1, i2) if i in self.old_left]
        new = [j for j in range(j1, j2) if j in self.new_left]
        near, done = j1, i1
        matched = pairs([self.old[i].text for i in old], [self.new[j].text for j in new], self._spent)
        taken = {old[a] for a, _, _ in matched} | {-1 - new[b] for _, b, _ in matched}
        for a, b, score in matched:
            i, j = old[a], new[b]
            news = self._grown((j,), taken, self.old[i].text, score, side="new")
            olds = (i,) if len(news) > 1 else self._grown((i,), taken, self.new[j].text, score, side="old")
            kind = PassageKind.REWORDED
            if len(news) > 1:
                kind = PassageKind.SPLIT
            elif len(olds) > 1:
                kind = PassageKind.MERGED
            for gone in range(done, olds[0]):
                if gone in self.old_left:
                    self.old_left[gone] = near
            self._take(kind, olds, news, news[0])
            near, done = news[-1] + 1, olds[-1] + 1
        for gone in range(done, i2):
            if gone in self.old_left:
                self.old_left[gone] = near

    def _grown(
        self,
        start: tuple[int, ...],
        taken: set[int],
        whole: str,
        score: float,
        *,
        side: Literal["old", "new"],
    ) -> tuple[int, ...]:
        """`start` with the left-over neighbours that make it more like `whole`; mostly `start` itself."""
        blocks: Sequence[Block] = self.new if side == "new" else self.old
        left = self.new_left if side == "new" else self.old_left
        grown = start
        while True:
            best: tuple[float, tuple[int, ...]] | None = None
            for longer in ((*grown, grown[-1] + 1), (grown[0] - 1, *grown)):
                added = longer[0] if longer[0] not in grown else longer[-1]
                if added not in left or (-1 - added if side == "new" else added) in taken:
                    continue
                joined = " ".join(blocks[index].text for index in longer)
                if not self._spent.allows(len(joined), len(whole), single=True):
                    continue
                alike = similarity(joined, whole)
                if alike >= score + _JOINED_BETTER and (best is None or alike > best[0]):
                    best = (alike, longer)
            if best is None:
                return grown if len(grown) == 1 or score >= _JOINED_ALIKE else start
            score, grown = best
