"""The audit log as auditors and administrators read it: lists, seals with their rows, checking, anchors.

Rows come in windows of numbers and seals in pages: whatever the size of the log, little of it is in memory. What
is compared with what is in `policywatch.domain.audit_check`; how seals are made in `policywatch.db.sealing`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from policywatch.db.pool import Database, Row, Tx
from policywatch.db.queries import load
from policywatch.domain import audit_file
from policywatch.domain.audit import GENESIS, Anchor, AuditRow, Seal
from policywatch.domain.audit_check import Checker, Report
from policywatch.errors import NotAllowed

__all__ = [
    "EVERYTHING",
    "Filters",
    "Rows",
    "anchor_of",
    "as_json",
    "check",
    "export",
    "listed",
    "newest_seal",
    "require_reader",
    "seal_before",
    "seal_of",
    "seal_with",
    "sealed_rows",
    "seals",
    "system_identifier",
    "unsealed",
]

_sql = load("audit")

_WINDOW = 2_000  # numbers of rows read at once
_WINDOWS = 16  # kept: seals of busy times overlap, a slow writer's row lies further back
_PAGE = 500
_LOWEST = -(2**63)  # of any number: a planted row or seal may have one below zero

Progress = Callable[[int, int], None]
Reader = Database | Tx


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows are asked for; None asks for all. `action` may hold % as in LIKE; `until` is not included."""

    actor: str | None = None
    action: str | None = None
    object_kind: str | None = None
    object_id: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = Filters()


async def listed(db: Database, filters: Filters, limit: int) -> list[Row]:
    """Rows of the log, newest first."""
    return await db.all(_sql.listed, **asdict(filters), limit=limit)


async def require_reader(db: Reader) -> None:
    """NotAllowed for whoever is neither auditor nor administrator."""
    row = await db.one(_sql.may_check)
    if row is None or not row["may"]:
        raise NotAllowed(
            "The audit log is for auditors and administrators.",
            remedy="Ask an administrator for the role auditor: policywatch users role.",
        )


def seal_of(row: Row) -> Seal:
    """A seal from a row of the view (or of the statement that added it)."""
    return Seal(
        n=row["n"],
        epoch=row["epoch"],
        system_identifier=row["system_identifier"],
        low=int(row["low"]),
        high=int(row["high"]),
        row_count=row["row_count"],
        first_id=row["first_id"],
        last_id=row["last_id"],
        ids=tuple((r.lower, r.upper - 1) for r in row["ids"]),
        root=bytes(row["root"]),
        chain=bytes(row["chain"]),
        at=row["at"],
    )


async def newest_seal(db: Reader) -> Seal | None:
    """The seal that was made last."""
    row = await db.one(_sql.newest_seal)
    return None if row is None else seal_of(row)


async def seal_with(db: Reader, n: int) -> Seal | None:
    """The seal of a number."""
    row = await db.one(_sql.seal, n=n)
    return None if row is None else seal_of(row)


async def seal_before(db: Reader, since: datetime) -> Seal | None:
    """The newest seal that was made before a time; it holds no row of that time or later."""
    row = await db.one(_sql.seal_before, since=since)
    return None if row is None else seal_of(row)


async def sealed_rows(db: Reader, n: int) -> int:
    """How many rows the seals up to a number hold."""
    return int(await db.value(_sql.sealed_rows, n=n))


async def system_identifier(db: Reader) -> int:
    """Which cluster this is."""
    return int(await db.value(_sql.cluster))


async def anchor_of(db: Reader, seal: Seal) -> Anchor:
    """What is to be remembered of a seal elsewhere."""
    return Anchor(seal.n, seal.epoch, seal.at, seal.chain, await sealed_rows(db, seal.n), seal.last_id)


async def seals(db: Reader, *, after: int = _LOWEST) -> AsyncIterator[Seal]:
    """Seals in their order, those that are made meanwhile too."""
    while page := await db.all(_sql.seals, after=after, limit=_PAGE):
        for row in page:
            yield seal_of(row)
        after = page[-1]["n"]


def _row_of(row: Row) -> AuditRow:
    return AuditRow(
        row["id"],
        row["at"],
        row["actor"],
        row["session_id"],
        row["action"],
        row["object_kind"],
        row["object_id"],
        row["outcome"],
        row["code"],
        row["before"],
        row["after"],
        int(row["xid"]),
        row["leaf"],
    )


class Rows:
    """Rows of the log by number, each with whether the filters want it; read in windows of which some are kept."""

    def __init__(self, db: Reader, filters: Filters = EVERYTHING) -> None:
        self._db = db
        self._filters = asdict(filters)
        self._windows: OrderedDict[int, list[tuple[AuditRow, bool]]] = OrderedDict()

    async def of(self, seal: Seal) -> AsyncIterator[tuple[AuditRow, bool]]:
        """The rows that a seal names, in their order; none where it does not name as many as it counts."""
        if not seal.is_consistent:
            return
        for first, last in seal.ids:
            for number in range(first // _WINDOW, last // _WINDOW + 1):
                for row, wanted in await self._window(number):
                    if first <= row.id <= last:
                        yield row, wanted

    async def _window(self, number: int) -> list[tuple[AuditRow, bool]]:
        if number in self._windows:
            self._windows.move_to_end(number)
            return self._windows[number]
        first = number * _WINDOW
        read = await self._db.all(_sql.rows_between, first=first, end=first + _WINDOW, **self._filters)
        window = [(_row_of(r), bool(r["wanted"])) for r in read]
        self._windows[number] = window
        if len(self._windows) > _WINDOWS:
            self._windows.popitem(last=False)
        return window


async def unsealed(db: Reader, filters: Filters = EVERYTHING) -> AsyncIterator[tuple[AuditRow, bool, int]]:
    """Rows that no seal names, each with whether it is wanted and the cluster that it is in."""
    after = _LOWEST
    while page := await db.all(_sql.unsealed_rows, after=after, limit=10 * _PAGE, **asdict(filters)):
        for row in page:
            yield _row_of(row), bool(row["wanted"]), row["system_identifier"]
        after = page[-1]["id"]


@asynccontextmanager
async def _at_one_time(db: Database) -> AsyncIterator[Tx]:
    """The log as it stands now, whatever is written and sealed meanwhile."""
    async with db.transaction() as tx:
        await tx.run(_sql.at_one_time)
        await require_reader(tx)
        yield tx


async def check(
    db: Database, anchors: Iterable[Anchor] = (), *, progress: Progress = lambda _done, _total: None
) -> Report:
    """Check the whole log: each row, each seal, the chain, the anchors. `progress` gets (rows checked, rows sealed).

    Raises NotAllowed for whoever may not read it.
    """
    async with _at_one_time(db) as tx:
        newest = await newest_seal(tx)
        total = await sealed_rows(tx, newest.n) if newest else 0
        checker, rows, done = Checker(anchors), Rows(tx), 0
        async for seal in seals(tx):
            checker.seal(seal)
            async for row, _ in rows.of(seal):
                checker.row(row)
                done += 1
                if done % _WINDOW == 0:
                    progress(done, max(total, done))
        async for row, _, here in unsealed(tx):
            checker.unsealed(row, here=here)
    progress(done, done)
    return checker.report()


async def export(
    db: Database, filters: Filters, *, at: datetime, progress: Progress = lambda _done, _total: None
) -> AsyncIterator[str]:
    """The lines of a file that can be checked without the database (`policywatch.domain.audit_file`).

    Seals that can hold rows of the time asked for, and all later ones; of a seal with rows that were asked for, the
    others as hashes. `at`: now. `progress` gets (rows passed, rows sealed). Raises NotAllowed as `check`.
    """
    given = {k: str(v) for k, v in asdict(filters).items() if v is not None}
    counts = Counter[str]()
    async with _at_one_time(db) as tx:
        before = await seal_before(tx, filters.since) if filters.since else None
        newest = await newest_seal(tx)
        done = skipped = await sealed_rows(tx, before.n) if before else 0
        total = await sealed_rows(tx, newest.n) if newest else 0
        chain, after = (before.chain, before.n) if before else (GENESIS, 0)
        header = audit_file.Header(at, given, chain, after, await system_identifier(tx))
        yield audit_file.header_line(header)
        rows = Rows(tx, filters)
        async for seal in seals(tx, after=after or _LOWEST):
            has_rows = not given or await _any_wanted(rows, seal)
            counts["seal"] += 1
            yield audit_file.seal_line(seal, has_rows=has_rows)
            if has_rows:
                async for row, wanted in rows.of(seal):
                    counts["row" if wanted else "leaf"] += 1
                    yield audit_file.row_line(row) if wanted else audit_file.leaf_line(row)
            done += seal.row_count
            progress(done - skipped, max(total, done) - skipped)
        async for row, wanted, _ in unsealed(tx, filters):
            if wanted:
                counts["unsealed"] += 1
                yield audit_file.row_line(row, sealed=False)
    yield audit_file.end_line(counts)


async def _any_wanted(rows: Rows, seal: Seal) -> bool:
    async for _, wanted in rows.of(seal):
        if wanted:
            return True
    return False


def as_json(report: Report) -> dict[str, Any]:
    """The report as the commands print it."""
    said = asdict(report)
    newest = said.pop("newest")
    if newest is not None:
        newest.pop("ids")
    return {"ok": report.ok, **said, "newest": newest}
