"""How long the statements of desk and daemon take: p50 and p95 beside `SELECT 1` on the same connection.

Each statement runs in a transaction that is rolled back, so that claims can be measured as often as they like.
Which arguments it gets stands here, by the name of the parameter; a statement with a parameter that nobody knows
here is listed as left out, never passed over in silence.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

from policywatch.db.bench_seed import DOCUMENTS, publications_of
from policywatch.db.pool import Database, Tx
from policywatch.db.queries import Query, load
from policywatch.db.statements import compose
from policywatch.errors import PolicyWatchError

__all__ = ["DAEMON", "PERSON", "Figure", "Node", "World", "measure", "statements", "worst_node"]

_sql = load("bench")

#: The files whose reading statements are measured, by who runs them.
PERSON = ("desk", "listing", "metrics")
DAEMON = (
    "collecting",
    "lanes",
    "judging",
    "looks",
    "publishing",
    "requests",
    "workers",
    "history",
    "catalogue",
    "contents",
    "metrics",
)

# Statements that write and decide who works on what: measured too, and rolled back.
_CLAIMS = frozenset(
    {
        *(
            "collecting.claim_due",
            "lanes.take_lanes",
            "publishing.claim_recipients",
            "publishing.recover_claimed",
        ),
        *(
            "publishing.recover_sending",
            "publishing.take_count_request",
            "requests.claim_requests",
            "requests.expire_requests",
        ),
        *(
            "looks.settle_change",
            "looks.look_later",
            "workers.end_stale_sessions",
            "workers.forget_measures",
        ),
    }
)
_FOR_PEOPLE = load("contents").chain_for_people
_CALL = re.compile(r"^SELECT\s+(app\.|pg_advisory)")  # a function's own work, not a question
_WARM_UP = 12  # psycopg prepares at the sixth run, the server settles on a plan after five more

Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Node:
    """The plan node that spent most time itself; milliseconds, rows and blocks of one execution."""

    what: str
    own_ms: float
    rows: int
    loops: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One statement, measured. All times in milliseconds."""

    login: str
    query: str
    runs: int
    rows: int
    p50_ms: float
    p95_ms: float
    floor_p50_ms: float
    floor_p95_ms: float
    node: Node | None


class _Undo(Exception):
    """Raised to roll a measured transaction back."""


@dataclass
class World:
    """What arguments are drawn from. Equal seeds draw equally."""

    scale: int
    now: datetime
    marks: list[Arguments]
    """Places in the queue, from its first row to its last."""
    draw: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311

    def arguments(self, query: Query) -> Arguments:
        """Arguments for one run. PolicyWatchError where a parameter is unknown here."""
        if query.name == "desk.queue_page":
            return self._place() | {"most": 200}
        values = self._by_name() | _OWN.get(query.name, {})
        if query.name == "publishing.claim_recipients":
            values["publication"] = publications_of(self.scale)  # the one that is releasing
        unknown = [name for name in query.parameters if name not in values]
        if unknown:
            raise PolicyWatchError(f"The benchmark knows no value for {', '.join(unknown)} of {query.name}.")
        return {name: self._value(values[name]) for name in query.parameters}

    def _value(self, value: Any) -> Any:
        return value() if callable(value) else value

    def _place(self) -> Arguments:
        """The first page in half of the runs, else any other."""
        if not self.marks or self.draw.random() < 0.5:
            return {"rank": None, "at": None, "after": None}
        return dict(self.draw.choice(self.marks))

    def _by_name(self) -> dict[str, Any]:
        n, publications = self.scale, publications_of(self.scale)

        def one_of(most: int) -> Callable[[], int]:
            return lambda: self.draw.randint(1, most)

        def some_of(most: int, many: int) -> Callable[[], list[int]]:
            return lambda: [self.draw.randint(1, most) for _ in range(many)]

        def a_hash() -> bytes:
            return sha256(self.draw.randint(1, n + DOCUMENTS).to_bytes(8, "big")).digest()

        return _FIXED | {
            "change": one_of(n),
            "change_id": one_of(n),
            "ids": some_of(n, 20),
            "captures": some_of(n, 3),
            "page": one_of(DOCUMENTS),
            "before": a_hash,
            "after": a_hash,
            "document": one_of(DOCUMENTS),
            "document_id": one_of(DOCUMENTS),
            "draft": one_of(publications + 130),
            "draft_id": one_of(publications + 130),
            "approval": one_of(publications + 30),
            "publication": one_of(publications),
            "request": one_of(max(20, n // 100)),
            "sha256": a_hash,
            "hashes": lambda: [a_hash() for _ in range(50)],
            "platform": lambda: self.draw.choice(("x", "facebook", "tiktok", None)),
            "at": self.now,
            "host": lambda: f"host-{self.draw.randint(1, 12)}.test",
            "claim": uuid4,
        }


#: Values that are the same in every run, by the name of the parameter.
_FIXED: dict[str, Any] = {
    "since": None,
    "limit": 100,
    "places": 8,
    "most": 50,
    "all": False,
    "only": None,
    "actor": None,
    "action": None,
    "outcome": None,
    "historical": None,
    "noise": None,
    "statuses": ["queued", "unconfirmed"],
    "state": None,
    "words": "arbitration liability",
    "holder": "bench",
    "worker": "bench",
    "owner": "bench",
    "dead": ["gone"],
    "lease": "2 minutes",
    "silence": "10 years",
    "keep": "10 years",
    "kinds": ["visit"],
    "key": "frozen",
    "hosts": ["host-1.test", "host-2.test"],
    "holders": ["bench/1", "bench/2"],
    "was": "second_look",
    "status": "second_look",
    "looks": 0,
    "wait": "20 minutes",
    "documents": list(range(1, DOCUMENTS + 1)),
}

# Where a name means something else.
_OWN: dict[str, dict[str, Any]] = {
    "listing.documents": {"document": None},
    "listing.changes": {"document": None},
    "listing.changes_by_severity": {"document": None},
    "listing.publications": {"publication": None},
    "history.document_id": {"platform": 1, "key": "document-7"},
    "history.suspect_versions": {"documents": ["x/document-1", "tiktok/document-7"]},
    "history.predecessors": {
        "documents": [1, 2],
        "paths": ["X/Terms.md"] * 2,
        "times": [datetime.now(UTC)] * 2,
    },
    "publishing.resolve_by_journal": {"accepted": [1], "handed": [1], "claims": []},
}


def statements(files: Iterable[str]) -> list[Query]:
    """The statements of these files that are measured: every one that reads, and the claims.

    `contents.chain_for_people` is the one statement that stands in a file of the daemon's and is the person's.
    """
    found = [_FOR_PEOPLE] if files is PERSON else list[Query]()
    for file in files:
        for query in load(file).values():
            bare = re.sub(r"--.*", "", query.text).lstrip()
            asks = bare.startswith(("SELECT", "WITH")) and not _CALL.match(bare) and not _writes(bare)
            if (asks or query.name in _CLAIMS) and query is not _FOR_PEOPLE:
                found.append(query)
    return found


def _writes(text: str) -> bool:
    return re.search(r"\b(UPDATE|INSERT INTO|DELETE FROM)\s", text.replace("FOR UPDATE", "")) is not None


async def views(owner: Database) -> list[Query]:
    """The first 200 rows of every view of schema read, as whoever looks with psql asks."""
    found = list[Query]()
    for row in await owner.all(_sql.views):
        text = compose(_sql.first_rows, names={"view": row["view"]}).as_string()
        found.append(Query(f"read.{row['view']}", text))
    return found


async def measure(db: Database, login: str, query: Query, world: World, *, runs: int) -> Figure:
    """Run it so many times, after a warm-up. PolicyWatchError where it cannot be run."""
    for _ in range(_WARM_UP):
        await _once(db, query, world)
    pairs = [await _once(db, query, world) for _ in range(runs)]
    spent, floors = sorted(p[0] for p in pairs), sorted(p[1] for p in pairs)
    return Figure(
        login=login,
        query=query.name,
        runs=runs,
        rows=max(p[2] for p in pairs),
        p50_ms=_part(spent, 0.5),
        p95_ms=_part(spent, 0.95),
        floor_p50_ms=_part(floors, 0.5),
        floor_p95_ms=_part(floors, 0.95),
        node=await _explained(db, query, world),
    )


async def _once(db: Database, query: Query, world: World) -> tuple[float, float, int]:
    """Seconds of the statement with its rows fetched, seconds of SELECT 1 just before it, rows."""
    arguments = world.arguments(query)
    answer: tuple[float, float, int] = (0.0, 0.0, 0)
    try:
        async with db.transaction() as tx:
            began = time.perf_counter()
            await tx.all(_sql.floor)
            between = time.perf_counter()
            rows = await _carried_out(tx, query, arguments)
            answer = (time.perf_counter() - between, between - began, rows)
            raise _Undo
    except _Undo:
        return answer


async def _carried_out(tx: Tx, query: Query, arguments: Arguments) -> int:
    if (
        re.sub(r"--.*", "", query.text).lstrip().startswith(("SELECT", "WITH", "TABLE"))
        or "RETURNING" in query.text
    ):
        return len(await tx.all(query, **arguments))
    return await tx.run(query, **arguments)


async def _explained(db: Database, query: Query, world: World) -> Node | None:
    asked = Query(f"bench.explain.{query.name}", f"{_sql.explain.text}\n{query.text}")
    found: Node | None = None
    try:
        async with db.transaction() as tx:
            plan = await tx.value(asked, **world.arguments(query))
            found = worst_node(plan[0]["Plan"])
            raise _Undo
    except _Undo:
        return found


def worst_node(plan: dict[str, Any]) -> Node:
    """The node with the most time of its own: its time over all loops without that of the nodes below it."""
    children = plan.get("Plans", [])
    own = _spent(plan) - sum(_spent(child) for child in children)
    blocks = _blocks(plan) - sum(_blocks(child) for child in children)
    names = [str(plan["Node Type"])]
    if plan.get("Index Name"):
        names.append(f"using {plan['Index Name']}")
    if plan.get("Relation Name") or plan.get("CTE Name") or plan.get("Function Name"):
        names.append(f"on {plan.get('Relation Name') or plan.get('CTE Name') or plan.get('Function Name')}")
    loops = int(plan.get("Actual Loops", 0))
    here = Node(
        " ".join(names),
        round(max(own, 0.0), 3),
        int(plan.get("Actual Rows", 0) * loops),
        loops,
        max(blocks, 0),
    )
    return max([here, *(worst_node(child) for child in children)], key=lambda node: node.own_ms)


def _spent(plan: dict[str, Any]) -> float:
    return float(plan.get("Actual Total Time", 0.0)) * float(plan.get("Actual Loops", 0))


def _blocks(plan: dict[str, Any]) -> int:
    return int(plan.get("Shared Hit Blocks", 0)) + int(plan.get("Shared Read Blocks", 0))


def _part(ordered: list[float], share: float) -> float:
    """The value below which this share of the sorted seconds lies, in milliseconds."""
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)
