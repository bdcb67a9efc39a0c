"""Which versions of a recorded history show a wall or an error page instead of the policy.

The judge is `policywatch.reading.quality`, as for our own captures. Here is what hindsight adds: a version that was
not taken back, and stood, is the platform's word after all (a policy can really be replaced by a stub). What stays
suspect is no snapshot: never compared, never a base. Pure; runs in the children that judge.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from policywatch.reading import quality
from policywatch.reading.quality import History, Look, Quality

__all__ = ["Chain", "Found", "Link", "screen", "stood"]

_STOOD = timedelta(days=2)  # with a next version that does not take it back
_STANDS = timedelta(days=14)  # without a next version
_IN_A_ROW = 3  # so many different suspect texts in a row: the last of them is the new state of things
_GOOD = 5


@dataclass(frozen=True, slots=True)
class Link:
    """One version of a chain. `state`: good (stored), held (by an earlier run) or new; `is_later`: not the first, so to be judged."""

    blob: str
    at: datetime
    is_later: bool
    state: str


@dataclass(frozen=True, slots=True)
class Chain:
    """The versions of one path in their order. `end` is how far the source has looked."""

    links: Sequence[Link]
    end: datetime
    language: str


@dataclass(frozen=True, slots=True)
class Found:
    """The place of a suspect version in its chain, with score and signs (empty where an earlier run found it)."""

    place: int
    score: float
    signs: tuple[str, ...]


def screen(chain: Chain, text_of: Callable[[str], str], hash_of: Callable[[str], bytes]) -> list[Found]:
    """The suspect versions of a chain. `text_of` and `hash_of` (what a reader reads) take a blob."""
    links = chain.links
    last_stored = max((i for i, link in enumerate(links) if link.state == "good"), default=-1)
    good: deque[str] = deque(maxlen=_GOOD)
    history: History | None = None
    found: list[Found] = []
    in_a_row = 0
    for place, link in enumerate(links):
        verdict = None
        if link.state == "held" and place < last_stored:
            found.append(Found(place, 0.0, ()))  # what came after it is stored: it stays out
            continue
        if link.state != "good" and link.is_later and good and link.blob not in good:
            history = history or quality.remember([text_of(blob) for blob in good])
            verdict = _verdict(link, history, chain.language, text_of)
        if (
            verdict is not None
            and in_a_row + 1 < _IN_A_ROW
            and not stood(links, place, good[0], chain.end, hash_of)
        ):
            in_a_row += 1
            signs = tuple(f"{signal.name}: {signal.detail}" for signal in verdict.signals)
            found.append(Found(place, verdict.score, () if link.state == "held" else signs))
            continue
        in_a_row, history = 0, None
        good.appendleft(link.blob)
    return found


def _verdict(link: Link, history: History, language: str, text_of: Callable[[str], str]) -> Quality | None:
    judged = quality.judge(Look(text=text_of(link.blob)), history, language)
    return judged if judged.suspect else None


class Dated(Protocol):
    """A version as far as hindsight asks."""

    @property
    def blob(self) -> str: ...
    @property
    def at(self) -> datetime: ...


def stood(
    versions: Sequence[Dated], place: int, before: str, end: datetime, hash_of: Callable[[str], object]
) -> bool:
    """Whether hindsight takes a suspect version for real: seen again, or left standing and not taken back.

    `before` is the blob of the last good version, `end` how far the source has looked.
    """
    one = versions[place]
    if place + 1 == len(versions):
        return end - one.at >= _STANDS
    after = versions[place + 1]
    if after.blob == before:
        return False
    return after.at - one.at >= _STOOD or hash_of(after.blob) == hash_of(one.blob)
