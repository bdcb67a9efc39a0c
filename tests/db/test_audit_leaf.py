"""The hash of an audit row is the same whoever computes it: the server's trigger, or an outsider from the row."""

from __future__ import annotations

import hashlib
import json
import random
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from policywatch.db import audit
from policywatch.db.pool import Database
from policywatch.domain.audit import Tree, canonical, leaf, root_of
from tests.databases import Scratch

_LETTERS = [
    *"abcXYZ 09_-/\\\"'{}[]:,%$",
    *"äß€日本語Ω\u00a0\u2028\u202e\u200d",
    *"\b\f\n\r\t\x01\x1f\x7f\x85",
    "😀",
    "e\u0301",
]


def words(draw: random.Random, longest: int = 12) -> str:
    return "".join(draw.choices(_LETTERS, k=draw.randrange(longest)))


def number(draw: random.Random) -> str:
    """A number as JSON may have it."""
    return draw.choice(
        [
            str(draw.randrange(-(10**30), 10**30)),
            f"{draw.randrange(-99, 99)}.{draw.randrange(10**8):08d}",
            f"{draw.randrange(1, 9)}.{draw.randrange(100)}e{draw.randrange(-30, 30)}",
            *("0", "-0", "-0.0", "1.50", "100e-2", "1E+3", "0.000"),
        ]
    )


def nested(draw: random.Random, depth: int = 3) -> str:
    """Random JSON, as text."""
    kind = draw.randrange(7 if depth else 4)
    if kind == 0:
        return number(draw)
    if kind in (1, 2):
        return json.dumps(words(draw), ensure_ascii=draw.random() < 0.5)
    if kind == 3:
        return draw.choice(["true", "false", "null"])
    if kind == 4:
        return "[" + ",".join(nested(draw, depth - 1) for _ in range(draw.randrange(5))) + "]"
    parts = (f"{json.dumps(words(draw, 5))}:{nested(draw, depth - 1)}" for _ in range(draw.randrange(6)))
    return "{" + " ,".join(parts) + "}"


@pytest.mark.needs_db
async def test_python_and_the_server_agree_on_the_hash_of_any_row(module_database: Scratch) -> None:
    draw = random.Random(11)
    with psycopg.connect(module_database.superuser, autocommit=True) as connection:
        for _ in range(600):
            connection.execute(
                "SELECT app.write_audit(%s, %s, %s, %s, %s, %s::jsonb, %s::jsonb)",
                [
                    words(draw),
                    words(draw),
                    words(draw),
                    draw.choice(["done", "refused", "failed"]),
                    draw.choice([None, words(draw)]),
                    draw.choice([None, nested(draw)]),
                    nested(draw),
                ],
            )
    async with await Database.open(module_database.daemon) as db:
        rows = [row async for row, _, _ in audit.unsealed(db)]
    assert len(rows) >= 600
    assert [r.id for r in rows if leaf(r) != r.leaf] == []
    # The same from a file that holds JSON and not the server's text.
    for row in rows:
        for said in (row.before, row.after):
            if said is not None:
                assert canonical(_read(said)) == said


def _read(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def test_a_tree_is_the_one_of_rfc_6962() -> None:
    def hashed(*parts: bytes) -> bytes:
        return hashlib.sha256(b"".join(parts)).digest()

    def by_definition(leaves: list[bytes]) -> bytes:
        if not leaves:
            return hashed()
        if len(leaves) == 1:
            return leaves[0]
        split = 1 << ((len(leaves) - 1).bit_length() - 1)
        return hashed(b"\x01", by_definition(leaves[:split]), by_definition(leaves[split:]))

    leaves = [hashed(b"\x00", bytes([n])) for n in range(70)]
    for count in range(71):
        assert root_of(leaves[:count]) == by_definition(leaves[:count]), count
    tree = Tree()
    for one in leaves * 100:
        tree.add(one)
    assert len(tree._nodes) <= 13  # memory does not grow with the leaves
