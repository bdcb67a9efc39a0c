"""One look at everything that is due, or at what is named: reconcile, visit, judge, say what could not be read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from policywatch.db import collecting
from policywatch.errors import UsageError
from policywatchd.collect.archives.following import Follower
from policywatchd.collect.loop import open_schedule
from policywatchd.collect.visit import Visited
from policywatchd.service import Service
from policywatchd.upkeep.reconcile import reconcile

__all__ = ["Report", "once"]


@dataclass(frozen=True, slots=True)
class Report:
    """What one look found. `held`: documents that another daemon visits or whose host asks to wait."""

    visits: Sequence[Visited]
    held: Sequence[str]
    seconds: float
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether everything was read."""
        return not self.held and not any(visited.unread for visited in self.visits)

    def to_json(self) -> dict[str, Any]:
        """Plain types, one object."""
        return {
            "visits": len(self.visits),
            "outcomes": self.outcomes,
            "changes": [f"C-{change}" for visited in self.visits for change in visited.changes],
            "unread": [
                {
                    "platform": visited.claim.platform,
                    "document": visited.claim.document,
                    "url": page.url,
                    "cause": page.cause,
                }
                for visited in self.visits
                for page in visited.unread
            ],
            "held": list(self.held),
            "seconds": round(self.seconds, 2),
        }

    def lines(self) -> list[str]:
        """For a person: a line for each page that could not be read, then the sum."""
        told = [
            f"{visited.claim.name}: not read: {page.cause} ({page.url})"
            for visited in sorted(self.visits, key=lambda visited: visited.claim.name)
            for page in visited.unread
        ]
        told += [
            f"{name}: not visited: another daemon has it, or its host asks to wait" for name in self.held
        ]
        sums = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        told.append(
            f"{len(self.visits)} documents visited in {self.seconds:.1f} s: {sums or 'nothing was due'}"
        )
        return told


async def once(service: Service, names: Sequence[str]) -> Report:
    """Visit what is due (no names), or the named platforms and documents whether due or not ("" is all).

    Raises UsageError for a name that no active document has.
    """
    began = time.monotonic()
    await reconcile(service.db, service.settings)
    documents = await _named(service, names) if names else await collecting.due_ids(service.db)
    if not names:
        await Follower(service).all_due()
    async with open_schedule(service) as schedule:
        visits, left = await schedule.once(documents, service.stopping)
    rows = await collecting.waiting_of(service.db, left) if left else []
    outcomes: dict[str, int] = {}
    for visited in visits:
        outcomes[visited.outcome] = outcomes.get(visited.outcome, 0) + 1
    return Report(
        visits, [f"{row['platform']}/{row['document']}" for row in rows], time.monotonic() - began, outcomes
    )


async def _named(service: Service, names: Sequence[str]) -> list[int]:
    found: dict[int, None] = {}
    for name in names:
        platform, _, document = name.partition("/")
        due = await collecting.make_due(service.db, platform or None, document or None)
        looked = await Follower(service).look_for(platform, document) if name else False
        if not due and name and not looked:
            raise UsageError(
                f'No active document with a page is named "{name}".',
                remedy="Name PLATFORM or PLATFORM/DOCUMENT as `policywatch documents list` shows them; what is paused"
                " is not visited until `policywatch documents resume`.",
            )
        found |= dict.fromkeys(due)
    return list(found)
