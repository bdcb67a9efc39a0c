"""A process that imports in small batches and waits for ever after the third: to be killed by a test.

Arguments: conninfo of the daemon's login, the repository. Says on standard output which children judge for it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time

from policywatch.db.pool import Database
from policywatch.settings import load
from policywatchd.collect.archives import plan
from policywatchd.collect.archives.importing import import_source


def _told(done: int, total: int, text: str) -> None:
    if done == 9:
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        time.sleep(600)


async def _import() -> None:
    async with await Database.open(sys.argv[1]) as db:
        await import_source(load(None, {}), db, sys.argv[2], progress=_told)


if __name__ == "__main__":
    plan._BATCH = 3
    asyncio.run(_import())
