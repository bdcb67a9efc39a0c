"""Row-level security, per deployment: people scoped to platforms see and act on those alone, where it is on.

The policies stand in the schema and sleep until they are switched on; nothing here decides who sees what.
Run as whoever may change the schema (`connect.owner`).
"""

from __future__ import annotations

from dataclasses import dataclass

from policywatch.db.pool import Database
from policywatch.db.queries import load

__all__ = ["Limits", "state", "switch"]

_sql = load("rls")


@dataclass(frozen=True, slots=True)
class Limits:
    """`tables` carry a policy, in `limited` of them it holds; `told` is what system_config says, `scoped` counts people."""

    tables: int
    limited: int
    told: bool
    scoped: int

    @property
    def on(self) -> bool:
        """All policies hold."""
        return 0 < self.tables == self.limited

    @property
    def whole(self) -> bool:
        """All or none hold, and system_config says so."""
        return self.limited in (0, self.tables) and self.told == self.on


async def state(conninfo: str) -> Limits:
    """What holds now."""
    async with await Database.open(conninfo, max_size=1, application="policywatch migrate") as db:
        row = await db.one(_sql.state)
    assert row is not None
    return Limits(**row)


async def switch(conninfo: str, *, on: bool) -> Limits:
    """Switch it on or off, in one transaction with its audit row; what holds afterwards."""
    async with await Database.open(conninfo, max_size=1, application="policywatch migrate") as db:
        async with db.transaction() as tx:
            await tx.one(_sql.quick)
            await tx.one(_sql.on if on else _sql.off)
        row = await db.one(_sql.state)
    assert row is not None
    return Limits(**row)
