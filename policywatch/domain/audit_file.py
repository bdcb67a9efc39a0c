"""The audit log as a file (JSON lines) that somebody without the database can check.

    {"kind": "header", ...}          what was asked for, and the chain that the first seal follows
    {"kind": "seal", ...}            a seal; then, where `has_rows`, each of its rows in their order:
    {"kind": "row", ...}             a row that was asked for
    {"kind": "leaf", "id", "leaf"}   one that was not: its hash alone
    {"kind": "unsealed", ...}        at last, rows that stand in no seal yet
    {"kind": "end", ...}             how many of each there are: a file that was cut off is noticed

Lines in, lines out; opening files is the command's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from policywatch.domain.audit import GENESIS, Anchor, AuditRow, BareRow, Seal, canonical
from policywatch.domain.audit_check import Checker, Report

__all__ = [
    "FORMAT",
    "Header",
    "check_lines",
    "end_line",
    "header_line",
    "leaf_line",
    "row_line",
    "seal_line",
]

FORMAT = "policywatch-audit/1"
_COUNTED = ("seal", "row", "leaf", "unsealed")


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself. `filters` are those that were given; `previous` is the chain before its first seal,
    which is seal number `after` of the log (0: the file has the log from its beginning)."""

    made_at: datetime
    filters: Mapping[str, str]
    previous: bytes
    after: int
    system_identifier: int


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def header_line(header: Header) -> str:
    """The first line."""
    return json.dumps(
        {
            "kind": "header",
            "format": FORMAT,
            "made_at": _time(header.made_at),
            "filters": dict(header.filters),
            "previous_chain": header.previous.hex(),
            "after_seal": header.after,
            "system_identifier": header.system_identifier,
        },
        ensure_ascii=False,
    )


def seal_line(seal: Seal, *, has_rows: bool) -> str:
    """A seal. Without rows, none of them was asked for."""
    return json.dumps(
        {
            "kind": "seal",
            "n": seal.n,
            "epoch": seal.epoch,
            "system_identifier": seal.system_identifier,
            "low": seal.low,
            "high": seal.high,
            "row_count": seal.row_count,
            "first_id": seal.first_id,
            "last_id": seal.last_id,
            "ids": seal.ids,
            "root": seal.root.hex(),
            "chain": seal.chain.hex(),
            "at": _time(seal.at),
            "has_rows": has_rows,
        }
    )


def row_line(row: AuditRow, *, sealed: bool = True) -> str:
    """A row in full. `before` and `after` stand there as the server prints them, digit by digit."""
    said = {
        "kind": "row" if sealed else "unsealed",
        "id": row.id,
        "at": _time(row.at),
        "actor": row.actor,
        "session_id": row.session_id,
        "action": row.action,
        "object_kind": row.object_kind,
        "object_id": row.object_id,
        "outcome": row.outcome,
        "code": row.code,
        "xid": str(row.xid),
        "leaf": row.leaf.hex(),
    }
    text = json.dumps(said, ensure_ascii=False)
    return f'{text[:-1]}, "before": {row.before or "null"}, "after": {row.after or "null"}}}'


def leaf_line(row: BareRow | AuditRow) -> str:
    """A row that was not asked for."""
    return json.dumps({"kind": "leaf", "id": row.id, "leaf": row.leaf.hex()})


def end_line(counts: Mapping[str, int]) -> str:
    """The last line: how many lines of each kind there are."""
    return json.dumps({"kind": "end", **{kind: counts.get(kind, 0) for kind in _COUNTED}})


def check_lines(lines: Iterable[str], anchors: Iterable[Anchor] = ()) -> tuple[Header, Report]:
    """Check a file. Raises ValueError, with the number of the line, where it is no such file."""
    number, header, checker = 0, None, Checker()
    counts = dict.fromkeys(_COUNTED, 0)
    ended = False
    for number, line in enumerate(lines, 1):
        try:
            said = _read(line)
            kind = said["kind"]
            if ended:
                raise ValueError("there is more after the end")
            if header is None:
                header = _header(said)
                checker = Checker(anchors, previous=header.previous, complete=header.after == 0)
            elif kind == "end":
                ended = True
                _compare(checker, counts, said)
            else:
                counts[kind] += 1
                _tell(checker, kind, said, header)
        except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise ValueError(f"line {number}: {type(error).__name__} {error}") from error
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    if header is None:
        raise ValueError("the file is empty")
    if not ended:
        checker.cut_off(f"The file ends after line {number} without its last line: it was cut off.")
    return header, checker.report()


def _compare(checker: Checker, counts: Mapping[str, int], said: Mapping[str, Any]) -> None:
    wrong = [kind for kind in _COUNTED if counts[kind] != _whole(said[kind])]
    if wrong:
        checker.cut_off(
            f"The file has not as many lines as its end says ({', '.join(wrong)}): some were taken out."
        )


def _tell(checker: Checker, kind: str, said: Mapping[str, Any], header: Header) -> None:
    if kind == "seal":
        checker.seal(_seal(said), has_rows=said["has_rows"] is True)
    elif kind == "leaf":
        checker.row(BareRow(_whole(said["id"]), _hash(said["leaf"])))
    elif kind == "row":
        checker.row(_row(said))
    else:
        checker.unsealed(_row(said), here=header.system_identifier)


def _header(said: Mapping[str, Any]) -> Header:
    if said["kind"] != "header" or said["format"] != FORMAT:
        raise ValueError(f"the file does not begin with the header of {FORMAT}")
    after = _whole(said["after_seal"])
    previous = _hash(said["previous_chain"])
    if after == 0 and previous != GENESIS:
        raise ValueError("a log from its beginning follows no seal")
    filters = {str(k): str(v) for k, v in said["filters"].items()}
    return Header(_moment(said["made_at"]), filters, previous, after, _whole(said["system_identifier"]))


def _seal(said: Mapping[str, Any]) -> Seal:
    return Seal(
        n=_whole(said["n"]),
        epoch=_whole(said["epoch"]),
        system_identifier=_whole(said["system_identifier"]),
        low=_whole(said["low"]),
        high=_whole(said["high"]),
        row_count=_whole(said["row_count"]),
        first_id=None if said["first_id"] is None else _whole(said["first_id"]),
        last_id=None if said["last_id"] is None else _whole(said["last_id"]),
        ids=tuple((_whole(first), _whole(last)) for first, last in said["ids"]),
        root=_hash(said["root"]),
        chain=_hash(said["chain"]),
        at=_moment(said["at"]),
    )


def _row(said: Mapping[str, Any]) -> AuditRow:
    return AuditRow(
        id=_whole(said["id"]),
        at=_moment(said["at"]),
        actor=_text(said["actor"]),
        session_id=None if said["session_id"] is None else _text(said["session_id"]),
        action=_text(said["action"]),
        object_kind=_text(said["object_kind"]),
        object_id=_text(said["object_id"]),
        outcome=_text(said["outcome"]),
        code=None if said["code"] is None else _text(said["code"]),
        before=None if said["before"] is None else canonical(said["before"]),
        after=None if said["after"] is None else canonical(said["after"]),
        xid=int(_text(said["xid"])),
        leaf=_hash(said["leaf"]),
    )


def _read(line: str) -> dict[str, Any]:
    said = json.loads(line, parse_float=_number, parse_int=_number, parse_constant=_number)
    if not isinstance(said, dict):
        raise ValueError("no object")
    return said


def _number(text: str) -> Decimal:
    """A number with all its digits. The server prints no exponents: one could stand for a gigabyte of zeros."""
    if not set(text) <= set("0123456789.-"):
        raise ValueError(f"the number {text[:20]} is not as the server prints it")
    return Decimal(text)


def _whole(value: object) -> int:
    if not isinstance(value, Decimal) or abs(value) >= 2**64 or value != value.to_integral_value():
        raise ValueError(f"{str(value)[:40]} is no whole number of 64 bits")
    return int(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is missing")
    return value


def _hash(value: object) -> bytes:
    hashed = bytes.fromhex(_text(value))
    if len(hashed) != 32:
        raise ValueError("a hash has 32 bytes")
    return hashed


def _moment(value: object) -> datetime:
    at = datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError("a time has its zone")
    return at
