"""A daemon process that publishes and does nothing else, to be killed: `python -m tests.faults.sender FILE`.

FILE is JSON: the daemon's connection string, its name, the settings.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
from pathlib import Path

from policywatch.db import workers
from policywatch.db.pool import Database
from policywatch.settings import Settings
from policywatchd.publish import loop
from policywatchd.publish.recover import boot_id
from tests.daemon.mailing import Room


async def main(order: Path) -> None:
    """Publish until killed."""
    wanted = json.loads(order.read_text(encoding="utf-8"))
    async with await Database.open(wanted["daemon"], application="sender") as db:
        await workers.beat(
            db,
            wanted["worker"],
            boot=boot_id(),
            pid=os.getpid(),
            host=socket.gethostname(),
            program="sender",
            progress={},
        )
        print("ready", flush=True)
        await loop.run(Room(Settings.model_validate(wanted["settings"]), db, wanted["worker"]))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    asyncio.run(main(Path(sys.argv[1])))
