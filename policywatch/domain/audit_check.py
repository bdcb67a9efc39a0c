"""Checking an audit log: seals in their order, each with its rows, against themselves and against anchors.

The checker is told what somebody reads (from the database or from an exported file) and says what does not fit
and where. It keeps one seal's tree and a count of faults: memory does not grow with the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from policywatch.domain.audit import GENESIS, Anchor, AuditRow, BareRow, Seal, Tree, leaf, seal_chain

__all__ = ["Checker", "Fault", "Report"]

_SHOWN = 20  # faults that are told one by one; the others are counted
_LATE = timedelta(minutes=5)  # beyond this a transaction that stays open raises an alert


@dataclass(frozen=True, slots=True)
class Fault:
    """What does not fit, and where. kind: row_changed row_missing row_foreign rows_changed row_inserted
    seal_changed seal_gap anchor_differs anchor_missing cut_off."""

    kind: str
    sentence: str
    seal: int | None = None
    row: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked and what came of it. `faults` holds the first ones in the order of the log."""

    rows: int
    bare: int
    seals: int
    epochs: int
    newest: Seal | None
    unsealed: int
    oldest_unsealed: datetime | None
    late: int
    first_late: int | None
    anchors: int
    anchors_good: int
    anchored_seal: int | None
    anchored_rows: int | None
    fault_count: int
    faults: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Nothing is broken, as far as it can be known here."""
        return self.fault_count == 0


class Checker:
    """Tell it `seal`, then that seal's rows in their order, then the next; at the end what is `unsealed`; then `report`.

    `previous` is the chain before the first seal told and `complete` says that nothing older exists: an export
    that begins later starts from the chain its header names.
    """

    def __init__(
        self, anchors: Iterable[Anchor] = (), *, previous: bytes = GENESIS, complete: bool = True
    ) -> None:
        self._anchors: dict[int, list[Anchor]] = {}
        for anchor in anchors:
            self._anchors.setdefault(anchor.n, []).append(anchor)
        self._anchor_count = sum(len(a) for a in self._anchors.values())
        self._complete = complete
        self._chain = previous
        self._before: Seal | None = None  # the seal whose rows came last
        self._seal: Seal | None = None  # the seal whose rows come now
        self._tree, self._has_rows, self._broken = Tree(), True, False
        self._range, self._next = 0, 0  # the next row that the seal names
        self._rows = self._bare = self._seals = self._sealed = self._unsealed = self._late = 0
        self._first_late: int | None = None
        self._oldest: datetime | None = None
        self._epochs: set[int] = set()
        self._boundary = -(2**63)  # rows of an epoch have higher numbers than its first seal knew of
        self._good = 0
        self._good_at: tuple[Seal, int] | None = None  # newest seal that an anchor confirms, rows up to it
        self._differs = False
        self._faults: list[Fault] = []
        self._fault_count = 0

    # -- what is told --

    def seal(self, seal: Seal, *, has_rows: bool = True) -> None:
        """The next seal. Without rows (a filtered export) only its place in the chain is checked."""
        self._end_seal()
        self._seal, self._tree, self._has_rows, self._broken = seal, Tree(), has_rows, False
        self._range, self._next = 0, seal.ids[0][0] if seal.ids else 0
        self._seals += 1
        self._epochs.add(seal.epoch)

    def row(self, row: AuditRow | BareRow) -> None:
        """The next row of the seal told last."""
        seal = self._seal
        if seal is None or not self._has_rows:
            raise ValueError(f"row {row.id} stands below no seal that has rows")
        self._tree.add(row.leaf)
        self._expect(seal, row)
        if isinstance(row, BareRow):
            self._bare += 1
            return
        self._rows += 1
        self._own_hash(row, seal.n)
        if self._before is not None and self._before.epoch == seal.epoch and row.at < self._before.at - _LATE:
            self._late += 1
            self._first_late = self._first_late or row.id

    def unsealed(self, row: AuditRow, *, here: int | None) -> None:
        """A row that stands in no seal. `here` is the system identifier of the cluster it was read in, where known."""
        self._end_seal()
        self._unsealed += 1
        self._oldest = row.at if self._oldest is None else min(self._oldest, row.at)
        self._own_hash(row, None)
        newest = self._before
        if newest is not None and newest.system_identifier == here and row.xid < newest.high:
            self._fault(
                "row_inserted",
                f"Row {row.id} ({_time(row.at)}) stands in no seal, though its transaction is older than seal "
                f"{newest.n}: it was inserted, or its transaction number changed, after the sealing.",
                row=row.id,
                at=row.at,
            )

    def cut_off(self, sentence: str) -> None:
        """What is told is not whole: whoever reads for the checker noticed."""
        self._end_seal()
        self._fault("cut_off", sentence)

    def report(self) -> Report:
        """The end: anchors that met no seal, and the sum."""
        self._end_seal()
        for n in sorted(self._anchors):
            self._anchor_missing(self._anchors[n][0])
        newest = self._before
        return Report(
            rows=self._rows,
            bare=self._bare,
            seals=self._seals,
            epochs=len(self._epochs),
            newest=newest,
            unsealed=self._unsealed,
            oldest_unsealed=self._oldest,
            late=self._late,
            first_late=self._first_late,
            anchors=self._anchor_count,
            anchors_good=self._good,
            anchored_seal=self._good_at[0].n if self._good_at else None,
            anchored_rows=self._good_at[1] if self._good_at else None,
            fault_count=self._fault_count,
            faults=tuple(self._faults),
        )

    # -- what is checked --

    def _fault(
        self,
        kind: str,
        sentence: str,
        *,
        seal: int | None = None,
        row: int | None = None,
        at: datetime | None = None,
    ) -> None:
        self._fault_count += 1
        self._broken = True
        if len(self._faults) < _SHOWN:
            self._faults.append(Fault(kind, sentence, seal, row, at))

    def _own_hash(self, row: AuditRow, seal: int | None) -> None:
        if leaf(row) != row.leaf:
            where = f"seal {seal}" if seal is not None else "not sealed yet"
            self._fault(
                "row_changed",
                f"Row {row.id} ({_time(row.at)}, {where}: {row.actor} {row.action}) does not fit its own hash: "
                "it was changed after it was written.",
                seal=seal,
                row=row.id,
                at=row.at,
            )

    def _expect(self, seal: Seal, row: AuditRow | BareRow) -> None:
        """Whether the row is the next one that the seal names; if it is a later one, those between are missing."""
        ranges = seal.ids
        if self._range < len(ranges) and row.id == self._next:
            self._step(seal, row.id)
            return
        for number in range(self._range, len(ranges)):
            first, last = ranges[number]
            if first <= row.id <= last and row.id > self._next:
                self._missing(seal, row)
                self._range = number
                self._step(seal, row.id)
                return
        self._fault(
            "row_foreign",
            f"Row {row.id} is told in seal {seal.n}, which does not name it there.",
            seal=seal.n,
            row=row.id,
        )

    def _step(self, seal: Seal, id: int) -> None:
        """Row `id` came: the next one that the seal names."""
        if id < seal.ids[self._range][1]:
            self._next = id + 1
            return
        self._range += 1
        self._next = seal.ids[self._range][0] if self._range < len(seal.ids) else id + 1

    def _missing(self, seal: Seal, then: AuditRow | BareRow | None) -> None:
        at = then.at if isinstance(then, AuditRow) else None
        until = f"before row {then.id}" if then is not None else "at the end of the seal"
        self._fault(
            "row_missing",
            f"Row {self._next} is missing from seal {seal.n} of {_time(seal.at)} ({until}): it was deleted, "
            "or got another number.",
            seal=seal.n,
            row=self._next,
            at=at,
        )

    def _end_seal(self) -> None:
        seal, self._seal = self._seal, None
        if seal is None:
            return
        if not seal.is_consistent:
            self._fault(
                "seal_changed",
                f"Seal {seal.n} of {_time(seal.at)} does not name the {seal.row_count} rows that it counts: it was changed.",
                seal=seal.n,
                row=seal.first_id,
                at=seal.at,
            )
        elif self._has_rows:
            if self._range < len(seal.ids):
                self._missing(seal, None)
            if not self._broken and (self._tree.count != seal.row_count or self._tree.root() != seal.root):
                self._fault(
                    "rows_changed",
                    f"The rows of seal {seal.n} ({_rows(seal)}, sealed {_time(seal.at)}) are not those that were "
                    "sealed: rows were changed, deleted, added or reordered and their hashes made anew.",
                    seal=seal.n,
                    row=seal.first_id,
                    at=seal.at,
                )
        self._link(seal)
        self._sealed += seal.row_count
        for anchor in self._anchors.pop(seal.n, []):
            self._compare(anchor, seal)
        if seal.low == 0:
            self._boundary = seal.last_id or 0
        self._chain, self._before = seal.chain, seal

    def _link(self, seal: Seal) -> None:
        """Whether the seal follows from the one before."""
        before = self._before
        chain = seal_chain(
            self._chain,
            epoch=seal.epoch,
            system_identifier=seal.system_identifier,
            low=seal.low,
            high=seal.high,
            count=seal.row_count,
            root=seal.root,
        )
        if chain != seal.chain:
            since = f"seal {before.n}" if before else "the beginning of the log"
            self._fault(
                "seal_changed",
                f"Seal {seal.n} of {_time(seal.at)} ({_rows(seal)}) does not follow from {since}: it was changed, "
                "or a seal before it was changed or cut out.",
                seal=seal.n,
                row=seal.first_id,
                at=seal.at,
            )
            return
        if before is None:
            good = not self._complete or (seal.epoch == 1 and seal.low == 0)
        elif seal.epoch == before.epoch:
            good = seal.low == before.high and seal.system_identifier == before.system_identifier
            good = good and (seal.first_id is None or seal.first_id > self._boundary)
        else:
            good = seal.epoch == before.epoch + 1 and seal.low == 0
        if not good:
            self._fault(
                "seal_gap",
                f"Seal {seal.n} of {_time(seal.at)} does not begin where the one before ended: a seal was cut out.",
                seal=seal.n,
                row=seal.first_id,
                at=seal.at,
            )

    def _compare(self, anchor: Anchor, seal: Seal) -> None:
        same = anchor.chain == seal.chain and anchor.epoch == seal.epoch and anchor.at == seal.at
        if same and anchor.last_id in (None, seal.last_id):
            self._good += 1
            self._good_at = (seal, self._sealed)
        elif not self._differs:
            self._differs = True
            self._fault(
                "anchor_differs",
                f"Seal {seal.n} is not the one of the anchor of {_time(anchor.at)}: {self._span(seal)} were "
                "changed, deleted, added or reordered and the seals made anew, or this database was restored "
                "from a backup older than the anchor.",
                seal=seal.n,
                row=1 if self._good_at is None else (self._good_at[0].last_id or 0) + 1,
                at=anchor.at,
            )
        else:
            self._fault_count += 1

    def _span(self, seal: Seal) -> str:
        """The rows between the newest anchor that fits and this seal."""
        if self._good_at is None:
            return f"rows up to id {seal.last_id} (seals up to {seal.n})"
        good = self._good_at[0]
        return f"rows after id {good.last_id} up to id {seal.last_id} (seals {good.n + 1} to {seal.n})"

    def _anchor_missing(self, anchor: Anchor) -> None:
        newest = self._before
        if not self._complete and (newest is None or anchor.n < newest.n) and not self._differs:
            return  # older than this export begins: nothing to compare
        if self._differs:
            self._fault_count += 1
            return
        self._differs = True
        end = f"ends with seal {newest.n} of {_time(newest.at)}" if newest else "has no seal"
        self._fault(
            "anchor_missing",
            f"Seal {anchor.n} of the anchor of {_time(anchor.at)} is missing; the log {end}. Rows up to id "
            f"{anchor.last_id} were sealed: they or their seals were cut off, or this database was restored from "
            "a backup older than the anchor.",
            seal=anchor.n,
            row=anchor.last_id,
            at=anchor.at,
        )


def _rows(seal: Seal) -> str:
    return "no rows" if seal.first_id is None else f"rows {seal.first_id} to {seal.last_id}"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
