"""Seals of the audit log: made when enough rows wait or the oldest has waited enough; told to the system log.

The line in the log is an anchor outside of the database: whoever rewrites rows and seals cannot rewrite it. When
rows stay unsealed for long (a transaction that stays open, an epoch that cannot begin) an alert is opened.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from policywatch.db import sealing, workers
from policywatch.db.pool import Database
from policywatch.domain.audit import Seal, sealed_line
from policywatch.errors import PolicyWatchError

__all__ = ["Sealer"]

log = logging.getLogger("policywatch.upkeep")

_ALERT = ("audit_unsealed", "audit log")


@dataclass
class Sealer:
    """Decides when a seal is due. Ages are by the database's clock; `clock` (seconds) only spaces tries.

    `retry`: how long to wait after the first seal of an epoch could not be made, since trying makes writers wait.
    """

    rows: int = 1_000
    age: timedelta = timedelta(seconds=60)
    alarm: timedelta = timedelta(minutes=5)
    retry: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _not_before: float = field(default=float("-inf"), init=False)
    _alerted: bool | None = field(default=None, init=False)

    async def look(self, db: Database) -> Seal | None:
        """Seal if it is due; open or close the alert. The seal that was made, if one was."""
        waiting = await sealing.waiting(db, limit=self.rows)
        made = None
        if waiting.opening or waiting.rows >= self.rows or waiting.age >= self.age:
            made = await self._seal(db)
            if made is not None:
                waiting = await sealing.waiting(db, limit=self.rows)
        await self._tell(db, waiting.oldest)
        return made

    async def _seal(self, db: Database) -> Seal | None:
        if self.clock() < self._not_before:
            return None
        try:
            made = await sealing.seal(db)
        except PolicyWatchError as error:
            self._not_before = self.clock() + self.retry
            log.warning("audit_seal_failed what=%s", error.what)
            return None
        if made is not None:
            line = sealed_line(
                n=made.n,
                epoch=made.epoch,
                at=made.at,
                rows=made.row_count,
                last_id=made.last_id or 0,
                chain=made.chain,
            )
            log.info("%s", line)
        return made

    async def _tell(self, db: Database, oldest: timedelta) -> None:
        late = oldest >= self.alarm
        if late and self._alerted is not True:
            minutes = int(oldest.total_seconds() // 60)
            await workers.open_alert(
                db,
                *_ALERT,
                f"Audit rows have waited {minutes} minutes for their seal: a transaction that writes stays open.",
            )
        elif not late and self._alerted is not False:
            await workers.close_alert(db, *_ALERT)
        self._alerted = late
