"""The audit log as an outsider can check it: rows, their leaves, Merkle roots, the chain of seals, anchors.

Everything here is computed from the bytes alone, without the database and without this program's word: the leaf
of a row (the server's own canonical text), the tree of RFC 6962, the chain. What is checked against what: see
`audit_check`. Not here: reading or writing rows, files, the log.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

__all__ = [
    "GENESIS",
    "Anchor",
    "AuditRow",
    "BareRow",
    "Seal",
    "Tree",
    "anchor_line",
    "anchor_of_line",
    "canonical",
    "leaf",
    "root_of",
    "seal_chain",
    "sealed_line",
]

#: What the first seal is chained to.
GENESIS = bytes(32)

_LEAF, _NODE = b"\x00", b"\x01"  # RFC 6962, 2.1: no leaf can be taken for a node
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SEALED = re.compile(
    r"\baudit_sealed n=(\d+) epoch=(\d+) at=(\S+) rows=(\d+) last_id=(\d+) chain=([0-9a-f]{64})\b"
)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row of the audit log. `before` and `after` are JSON as the server prints it, or None."""

    id: int
    at: datetime
    actor: str
    session_id: str | None
    action: str
    object_kind: str
    object_id: str
    outcome: str
    code: str | None
    before: str | None
    after: str | None
    xid: int
    leaf: bytes


@dataclass(frozen=True, slots=True)
class BareRow:
    """A row of which only the hash is known: a filtered export holds these beside what was asked for."""

    id: int
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """The Merkle root over the rows of a range of transactions, chained to the seal before.

    `ids` are the rows' numbers as inclusive ranges; `last_id` of an epoch's first seal is the newest row there was.
    """

    n: int
    epoch: int
    system_identifier: int
    low: int
    high: int
    row_count: int
    first_id: int | None
    last_id: int | None
    ids: tuple[tuple[int, int], ...]
    root: bytes
    chain: bytes
    at: datetime

    @property
    def is_consistent(self) -> bool:
        """It names as many rows as it counts (what it names could be read without end otherwise), and their ends."""
        if sum(last - first + 1 for first, last in self.ids) != self.row_count:
            return False
        first, last = (self.ids[0][0], self.ids[-1][1]) if self.ids else (None, None)
        opening = self.low == 0 and (self.last_id or 0) >= (last or 0)
        return self.first_id == first and (opening or self.last_id == last)


@dataclass(frozen=True, slots=True)
class Anchor:
    """What somebody outside remembers of a seal. `rows` counts the rows of all seals up to it, where known."""

    n: int
    epoch: int
    at: datetime
    chain: bytes
    rows: int | None
    last_id: int | None


def canonical(value: object) -> str:
    """JSON as PostgreSQL prints jsonb: keys by length, then bytes; numbers in full; nothing but controls escaped.

    Numbers must have been read as Decimal or int: a float has lost what the server hashed.
    """
    if value is None or isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda k: (len(k.encode()), k.encode()))
        return (
            "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {canonical(value[k])}" for k in keys) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(canonical(part) for part in value) + "]"
    raise TypeError(f"{type(value).__name__} is no JSON that keeps its digits")


def leaf(row: AuditRow) -> bytes:
    """The hash of a row, from what it says: SHA-256 of 0x00 and the JSON array that the server's trigger hashes."""
    seconds, rest = divmod((row.at - _EPOCH) // _MICROSECOND, 1_000_000)
    texts = json.dumps(
        [row.actor, row.session_id, row.action, row.object_kind, row.object_id, row.outcome, row.code],
        ensure_ascii=False,
    )
    text = (
        f"[{row.id}, {seconds}.{rest:06d}, {texts[1:-1]}, {row.before or 'null'}, {row.after or 'null'}, "
        f'"{row.xid}"]'
    )
    return hashlib.sha256(_LEAF + text.encode()).digest()


class Tree:
    """The Merkle tree of RFC 6962 over leaves as they come; it keeps one hash per level."""

    __slots__ = ("_nodes", "count")

    def __init__(self) -> None:
        self.count = 0
        self._nodes: list[tuple[int, bytes]] = []  # (leaves below, hash), larger ones first

    def add(self, hashed: bytes) -> None:
        """The next leaf, already hashed."""
        self.count += 1
        size, node = 1, hashed
        while self._nodes and self._nodes[-1][0] == size:
            _, left = self._nodes.pop()
            size, node = size * 2, hashlib.sha256(_NODE + left + node).digest()
        self._nodes.append((size, node))

    def root(self) -> bytes:
        """The root over all leaves so far; of none, the hash of nothing."""
        if not self._nodes:
            return hashlib.sha256(b"").digest()
        node = self._nodes[-1][1]
        for _, left in reversed(self._nodes[:-1]):
            node = hashlib.sha256(_NODE + left + node).digest()
        return node


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over some leaves."""
    tree = Tree()
    for hashed in leaves:
        tree.add(hashed)
    return tree.root()


def seal_chain(
    previous: bytes, *, epoch: int, system_identifier: int, low: int, high: int, count: int, root: bytes
) -> bytes:
    """The chain after a seal: SHA-256 of the chain before and of what the seal says, big-endian, fixed widths."""
    said = struct.pack(">iqQQq", epoch, system_identifier, low, high, count)
    return hashlib.sha256(previous + said + root).digest()


def sealed_line(*, n: int, epoch: int, at: datetime, rows: int, last_id: int, chain: bytes) -> str:
    """A seal as the system log and the manifest of a backup tell it; `anchor_of_line` reads it."""
    when = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return f"audit_sealed n={n} epoch={epoch} at={when} rows={rows} last_id={last_id} chain={chain.hex()}"


def anchor_line(anchor: Anchor) -> str:
    """One line of an anchor file (JSON, no line end)."""
    return json.dumps(
        {
            "at": anchor.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "epoch": anchor.epoch,
            "n": anchor.n,
            "chain": anchor.chain.hex(),
            "rows": anchor.rows,
            "last_id": anchor.last_id,
        }
    )


def anchor_of_line(line: str) -> Anchor | None:
    """The anchor in a line of an anchor file, or in one with `audit_sealed ...` (system log, manifest of a backup).

    None: the line has none.
    Raises ValueError for a line that should be an anchor and is broken.
    """
    if found := _SEALED.search(line):
        n, epoch, at, _, last, chain = found.groups()
        return Anchor(int(n), int(epoch), datetime.fromisoformat(at), bytes.fromhex(chain), None, int(last))
    if not line.lstrip().startswith('{"'):
        return None
    try:
        said: dict[str, Any] = json.loads(line)
        chain_of = bytes.fromhex(said["chain"])
        at_of = datetime.fromisoformat(said["at"])
        if len(chain_of) != 32 or at_of.tzinfo is None:
            raise ValueError("a chain has 32 bytes, a time its zone")
        return Anchor(
            int(said["n"]), int(said["epoch"]), at_of, chain_of, said.get("rows"), said.get("last_id")
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no anchor: {error}") from error
