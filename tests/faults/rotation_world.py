"""Run by an ordinary account: 2,000 credentials on a server of its own, a rotation that is killed, a reader beside it.

python -m tests.faults.rotation_world STATE SEED      everything; prints one JSON object
python -m tests.faults.rotation_world STATE rotate    the rotation alone, in small batches; this one is killed
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from policywatch import keys, secrets, settings
from policywatch.db import connect, credentials, setup
from policywatch.db.embedded import Server
from policywatch.db.pool import Database
from policywatch.errors import PolicyWatchError

COUNT, KILLS, BATCH = 2_000, 5, 40
_PATIENCE = 60.0


def loaded(state: Path) -> settings.Settings:
    return settings.load(env={"HOME": str(state.parent), "POLICYWATCH_DATABASE__STATE_FOLDER": str(state)})


def key(state: Path, version: int) -> bytes:
    return secrets.master_key(state, version=version, env={})


def name(number: int) -> str:
    return f"c{number:04}"


async def rotate(state: Path) -> None:
    """In batches of 40, so that there is much to be killed in."""
    secrets.new_master_key(state, 2)
    async with await Database.open(await asyncio.to_thread(connect.person, loaded(state))) as db:
        async for _ in credentials.rotate_keys(db, lambda v: key(state, v), 1, 2, most=BATCH):
            pass


class World:
    """The server, and what is asked of it as its superuser."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.server = Server(state, extra={"fsync": "off", "synchronous_commit": "off"})
        self.reads = self.unreadable = 0

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.server.conninfo("postgres"), autocommit=True, row_factory=dict_row) as c:
            cursor = c.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def fill(self) -> None:
        """By the act's own encryption, in one statement: 2,000 acts would only take longer."""
        master = key(self.state, 1)
        self.rows("SELECT app.check_key(1, %s)", keys.check_value(master, 1))
        self.rows(
            "INSERT INTO app.platform_credentials (platform_id, name, secret, set_by) SELECT 1, n, app.encrypted('value of ' || n, k),"
            " 'admin' FROM unnest(%s::text[], %s::text[]) AS x(n, k)",
            [name(i) for i in range(COUNT)],
            [str(keys.credential_key(master, 1, "x", name(i))) for i in range(COUNT)],
        )

    def readable(self) -> int:
        """How many credentials their key of the version that stands beside them opens, with the right value."""
        known = [v for v in (1, 2) if (self.state / secrets.key_name(v)).exists()]
        pairs = [(n, v) for v in known for n in range(COUNT)]
        masters = {v: key(self.state, v) for v in known}
        (row,) = self.rows(
            "SELECT count(*) AS n FROM unnest(%s::text[], %s::int[], %s::text[]) AS x(n, v, k)"
            " JOIN app.platform_credentials c ON c.name = x.n AND c.key_version = x.v"
            " WHERE app.decrypted(c.secret, x.k) = 'value of ' || x.n",
            [name(n) for n, _ in pairs],
            [v for _, v in pairs],
            [str(keys.credential_key(masters[v], v, "x", name(n))) for n, v in pairs],
        )
        return int(row["n"])

    def old(self) -> int:
        return int(
            self.rows("SELECT count(*) AS n FROM app.platform_credentials WHERE key_version = 1")[0]["n"]
        )

    async def read_on(self, draw: random.Random) -> None:
        """As the daemon, the whole time."""
        async with await Database.open(await asyncio.to_thread(connect.daemon, loaded(self.state))) as db:
            while True:
                wanted = name(draw.randrange(COUNT))
                try:
                    value = await credentials.use(db, lambda v: key(self.state, v), "x", wanted, "test")
                    self.unreadable += value != f"value of {wanted}"
                except PolicyWatchError:
                    self.unreadable += 1
                self.reads += 1

    def killed_at(self, draw: random.Random, kills_left: int) -> dict[str, int]:
        """Start the rotation and end it somewhere in the next part of the work.

        The part is a share of what is left, so that a slow look at the rows never lets the last kill come too late.
        """
        there = self.old()
        goal = there - draw.randrange(20, there // (kills_left + 2))
        child = subprocess.Popen([sys.executable, "-m", __spec__.name, str(self.state), "rotate"])
        end = time.monotonic() + _PATIENCE
        while self.old() > goal and child.poll() is None and time.monotonic() < end:
            time.sleep(draw.random() * 0.005)
        time.sleep(draw.random() * 0.03)  # into the middle of a batch
        alive = child.poll() is None
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        return {"alive": int(alive), "old": self.old(), "readable": self.readable()}


async def everything(state: Path, seed: int) -> dict[str, Any]:
    draw = random.Random(seed)
    world = World(state)
    world.server.start()
    try:
        await setup.prepare(loaded(state))
        world.fill()
        reading = asyncio.create_task(world.read_on(random.Random(seed + 1)))
        before = world.readable()
        kills = [await asyncio.to_thread(world.killed_at, draw, n) for n in range(KILLS, 0, -1)]
        command = [
            sys.executable,
            "-c",
            "from policywatch_tui.main import main; main()",
            "--json",
            "secrets",
            "rotate",
        ]
        answer = await asyncio.to_thread(
            subprocess.run,
            command,
            env=os.environ | {"POLICYWATCH_DATABASE__STATE_FOLDER": str(state)},
            capture_output=True,
            text=True,
        )
        after = {"old": world.old(), "readable": world.readable()}
        assert not reading.done(), reading
        reading.cancel()
        return {
            "uid": os.geteuid(),
            "before": before,
            "kills": kills,
            "command": answer.returncode,
            "told": answer.stdout + answer.stderr,
            **after,
            "reads": world.reads,
            "unreadable": world.unreadable,
            "open": world.rows("SELECT count(*) AS n FROM app.key_rotations WHERE ended_at IS NULL")[0]["n"],
        }
    finally:
        world.server.stop()


if __name__ == "__main__":
    if sys.argv[2] == "rotate":
        asyncio.run(rotate(Path(sys.argv[1])))
    else:
        print(json.dumps(asyncio.run(everything(Path(sys.argv[1]), int(sys.argv[2])))))
