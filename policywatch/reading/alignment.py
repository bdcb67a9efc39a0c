"""Where two sequences differ: libgit2's patience diff over anything that can be told apart.

Patience anchors on what is rare, so that an edit stays in its place; an optimal edit script scatters matches
over unrelated sentences.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import pygit2
from pygit2.enums import DiffOption

__all__ = ["gaps"]


def gaps(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int, int, int]]:
    """The places `(i1, i2, j1, j2)` where `old[i1:i2]` became `new[j1:j2]`, in order, without equal parts."""
    head = 0
    shorter = min(len(old), len(new))
    while head < shorter and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    left, right = old[head : len(old) - tail], new[head : len(new) - tail]
    if not left and not right:
        return []
    if not left or not right:
        return [(head, head + len(left), head, head + len(right))]
    numbers: dict[Hashable, int] = {}
    lines = [
        "".join(f"{numbers.setdefault(key, len(numbers))}\n" for key in side).encode()
        for side in (left, right)
    ]
    patch = pygit2.Patch.create_from(lines[0], lines[1], flag=DiffOption.PATIENCE, context_lines=0)
    found: list[tuple[int, int, int, int]] = []
    for hunk in patch.hunks:
        # Git counts lines from 1, and names the line before for an empty side.
        i1 = head + (hunk.old_start - 1 if hunk.old_lines else hunk.old_start)
        j1 = head + (hunk.new_start - 1 if hunk.new_lines else hunk.new_start)
        found.append((i1, i1 + hunk.old_lines, j1, j1 + hunk.new_lines))
    return found
