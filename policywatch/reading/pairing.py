"""Which old block became which new block, inside a place where the two texts differ."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence

from rapidfuzz import fuzz, process

__all__ = ["Spent", "best_match", "pairs", "similarity"]

_CUTOFF = 45.0  # per cent; below it two blocks are strangers
_SMALL = 2_500  # pairs of blocks that are all looked at; larger places go by rare words
_LONG = 20_000  # characters; longer blocks are held against each other by their words
_CANDIDATES = 4  # blocks that share most rare words with one
_COMMON = 8  # blocks that may hold a word for it to count as rare

_Score = tuple[float, int, int]


class Spent:
    """How much similarity work one comparison has done; hostile input ends at the limit, not at the clock."""

    __slots__ = ("left",)

    def __init__(self, limit: int = 20_000_000_000) -> None:
        self.left = limit  # products of lengths, in character pairs; 64 of them are about one step

    def allows(self, old: int, new: int, *, single: bool = False) -> bool:
        """Whether `old` times `new` characters may still be compared; counts them if so.

        `single`: they are one pair of blocks, not two groups.
        """
        # Long blocks are held against each other by their words, in linear time.
        cost = old * new if max(old, new) <= _LONG or not single else 100 * (old + new)
        if cost > self.left:
            return False
        self.left -= cost
        return True


def similarity(old: str, new: str, cutoff: float = 0.0) -> float:
    """0 to 100; 0 where it is below `cutoff`."""
    if max(len(old), len(new)) > _LONG:
        left, right = Counter(old.split()), Counter(new.split())
        total = left.total() + right.total()
        score = 200.0 * (left & right).total() / total if total else 100.0
        return score if score >= cutoff else 0.0
    return fuzz.ratio(old, new, score_cutoff=cutoff)


def pairs(old: Sequence[str], new: Sequence[str], spent: Spent) -> list[tuple[int, int, float]]:
    """Pairs `(old index, new index, similarity)` that keep the order of both sides, of best total similarity.

    Blocks without a partner are left out. Where the work allowed is spent, so is the rest.
    """
    if not old or not new:
        return []
    small = len(old) * len(new) <= _SMALL and max(map(len, (*old, *new))) <= _LONG
    size = sum(map(len, new))
    single = len(old) == 1 and len(new) == 1
    if not spent.allows(
        sum(map(len, old)), size if small or single else _CANDIDATES * size // len(new), single=single
    ):
        return []
    if single:
        score = similarity(old[0], new[0], _CUTOFF)
        return [(0, 0, score)] if score else []
    if small:
        return _best_total(old, new)
    return _by_rare_words(old, new)


def _best_total(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, float]]:
    rows, columns = len(old), len(new)
    scores: list[dict[int, float]] = []
    for text in old:
        alike = process.extract(text, new, scorer=fuzz.ratio, limit=None, score_cutoff=_CUTOFF)
        scores.append({index: score for _, score, index in alike})
    # best[i][j]: the highest total of pairs among old[i:] and new[j:]
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        row, below, mine = best[i], best[i + 1], scores[i]
        for j in range(columns - 1, -1, -1):
            total = row[j + 1] if row[j + 1] > below[j] else below[j]
            if j in mine and mine[j] + below[j + 1] > total:
                total = mine[j] + below[j + 1]
            row[j] = total
    found: list[tuple[int, int, float]] = []
    i = j = 0
    while i < rows and j < columns:
        if j in scores[i] and best[i][j] == scores[i][j] + best[i + 1][j + 1]:
            found.append((i, j, scores[i][j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def _by_rare_words(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, float]]:
    """For large places: each block is held only against those it shares rare words with, or its neighbour."""
    homes: dict[str, list[int]] = defaultdict(list)
    for j, text in enumerate(new):
        for word in set(text.split()):
            homes[word].append(j)
    scored: list[_Score] = []
    ratio = len(new) / len(old)
    for i, text in enumerate(old):
        shared: Counter[int] = Counter()
        for word in set(text.split()):
            where = homes.get(word, ())
            if len(where) <= _COMMON:
                shared.update(where)
        candidates = [j for j, _ in shared.most_common(_CANDIDATES)]
        if not candidates:  # all its words are common: only its likely place is looked at
            candidates = [min(len(new) - 1, int(i * ratio)), min(len(new) - 1, i)]
        best = max(((similarity(text, new[j], _CUTOFF), j) for j in set(candidates)), default=(0.0, 0))
        if best[0]:
            scored.append((best[0], i, best[1]))
    return _rising(scored)


def _rising(scored: list[_Score]) -> list[tuple[int, int, float]]:
    """The longest run of pairs that rises on both sides; of two for one new block the more similar stays."""
    taken: dict[int, _Score] = {}
    for one in scored:
        if one[2] not in taken or taken[one[2]][0] < one[0]:
            taken[one[2]] = one
    ordered = sorted(taken.values(), key=lambda one: one[1])
    tails: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for index, (_, _, j) in enumerate(ordered):
        place = bisect_left(tails, j)
        before.append(at[place - 1] if place else -1)
        if place == len(tails):
            tails.append(j)
            at.append(index)
        else:
            tails[place], at[place] = j, index
    found: list[tuple[int, int, float]] = []
    index = at[-1] if at else -1
    while index >= 0:
        score, i, j = ordered[index]
        found.append((i, j, score))
        index = before[index]
    found.reverse()
    return found


def best_match(text: str, among: Sequence[str], cutoff: float, spent: Spent) -> tuple[int, float] | None:
    """The index and similarity of the text in `among` that is most like `text`, or None below `cutoff`."""
    if not among or not spent.allows(len(text), sum(map(len, among))):
        return None
    found = process.extractOne(text, among, scorer=fuzz.ratio, score_cutoff=cutoff)
    return (found[2], found[1]) if found else None
