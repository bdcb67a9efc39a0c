"""How many of the declared pages are readable, by which step of the ladder, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from policywatch.db.pool import Database
from policywatch.db.queries import load

__all__ = ["Readable", "pages", "readable"]

_sql = load("steps_listing")
_STEPS = ("http", "browser", "archive")
_WORDS = {"http": "by plain HTTP", "browser": "by a browser", "archive": "by an archive"}


@dataclass(frozen=True, slots=True)
class Readable:
    """Counts of pages: `by_step` of the readable ones, `why_not` by (health, reason) of the others."""

    total: int
    by_step: Mapping[str, int] = field(default_factory=dict)
    why_not: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many pages are readable."""
        return sum(self.by_step.values())

    @property
    def sentence(self) -> str:
        """In one line, for the first screen: "41 of 193 pages are readable: 30 by plain HTTP, 11 by a browser"."""
        parts = [f"{self.by_step[step]} {_WORDS[step]}" for step in _STEPS if self.by_step.get(step)]
        verb = "is" if self.count == 1 else "are"
        said = f"{self.count} of {self.total} pages {verb} readable"
        return f"{said}: {', '.join(parts)}" if parts else said

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "pages": self.total,
            "readable": self.count,
            "by_step": {step: self.by_step.get(step, 0) for step in _STEPS},
            "why_not": [
                {"health": health, "reason": reason, "pages": count}
                for (health, reason), count in self.why_not.items()
            ],
        }


async def pages(db: Database, platform: str | None = None) -> list[dict[str, Any]]:
    """Every declared page: platform, document, url, render, step, readable, reason, health, robots, last_good_at."""
    return await db.all(_sql.pages, platform=platform)


async def readable(db: Database, platform: str | None = None) -> Readable:
    """The counts of all pages, or of one platform's; the reasons with the most pages come first."""
    return _counted(await db.all(_sql.counts, platform=platform))


def _counted(rows: Sequence[Mapping[str, Any]]) -> Readable:
    by_step: Counter[str] = Counter()
    why_not: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row["readable"]:
            by_step[row["step"]] += row["pages"]
        else:
            why_not[row["health"], row["reason"] or "no reason is known"] += row["pages"]
    ordered = sorted(why_not.items(), key=lambda one: (-one[1], one[0]))
    return Readable(by_step.total() + why_not.total(), dict(by_step), dict(ordered))
