"""Bytes are stored once, come back as they were, and damage is told by its hash."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from policywatch.db import contents
from policywatch.db.codec import MAX_DEPTH
from policywatch.db.contents import DamagedContent, MissingContent, Unstored
from policywatch.db.pool import Database
from policywatch.errors import PolicyWatchError
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

LINES = [f"{n}. You may not do thing {n * 7919 % 1000} in the place {n}." for n in range(300)]
TEXT = "\n".join(LINES).encode()


def version(number: int) -> bytes:
    """The text with the first `number` lines reworded: each version is like the one before it."""
    return "\n".join(
        [line.replace("may not", "must never") for line in LINES[:number]] + LINES[number:]
    ).encode()


@pytest_asyncio.fixture
async def db(database: Scratch) -> AsyncIterator[Database]:
    async with await Database.open(database.daemon) as opened:
        yield opened


async def chain(db: Database, length: int) -> list[bytes]:
    """So many versions, each stored with the one before it as its base."""
    hashes: list[bytes] = []
    async with db.transaction() as tx:
        for number in range(length):
            hashes.append(await contents.store(tx, version(number), base=hashes[-1] if hashes else None))
    return hashes


async def test_a_body_is_stored_once_under_its_hash(db: Database, database: Scratch) -> None:
    async with db.transaction() as tx:
        first = await contents.store(tx, TEXT)
        second = await contents.store(tx, TEXT, base=first)

    assert first == second == hashlib.sha256(TEXT).digest()
    assert await contents.fetch(db, first) == TEXT
    (row,) = database.run("SELECT codec, depth, raw_len, octet_length(payload) AS size FROM app.contents")
    assert (row["codec"], row["depth"], row["raw_len"]) == ("zstd", 0, len(TEXT))
    assert row["size"] < len(TEXT) / 4


async def test_every_version_of_a_long_chain_comes_back(db: Database, database: Scratch) -> None:
    hashes = await chain(db, 70)

    for number, sha256 in enumerate(hashes):
        assert await contents.fetch(db, sha256) == version(number)
    depths = [row["depth"] for row in database.run("SELECT depth FROM app.contents ORDER BY depth")]
    assert (depths.count(0), max(depths)) == (3, MAX_DEPTH)


async def test_bodies_of_one_batch_lean_on_each_other(db: Database, database: Scratch) -> None:
    known = hashlib.sha256(version(0)).digest()
    batch = [Unstored(version(0)), Unstored(version(1), known), Unstored(version(0)), Unstored(b"\x00tiny")]

    async with db.transaction() as tx:
        hashes = await contents.store_many(tx, batch)

    assert hashes == [hashlib.sha256(one.body).digest() for one in batch]
    assert [await contents.fetch(db, sha256) for sha256 in hashes] == [one.body for one in batch]
    assert [row["depth"] for row in database.run("SELECT depth FROM app.contents ORDER BY depth")] == [
        0,
        0,
        1,
    ]


async def test_an_unknown_base_costs_only_size(db: Database, database: Scratch) -> None:
    async with db.transaction() as tx:
        sha256 = await contents.store(tx, TEXT, base=b"\x00" * 32)

    assert await contents.fetch(db, sha256) == TEXT


async def test_two_writers_of_one_body_both_get_its_hash(db: Database, database: Scratch) -> None:
    async def stored() -> bytes:
        async with db.transaction() as tx:
            return await contents.store(tx, TEXT)

    assert len(set(await asyncio.gather(stored(), stored(), stored()))) == 1
    assert database.run("SELECT count(*) AS n FROM app.contents") == [{"n": 1}]


async def test_a_person_reads_through_the_view_and_nothing_else(db: Database, database: Scratch) -> None:
    hashes = await chain(db, 3)

    async with await Database.open(database.person("nadia", "viewer")) as person:
        assert await contents.fetch_text(person, hashes[-1], person=True) == version(2).decode()
        with pytest.raises(PolicyWatchError, match=r"permission|allowed"):
            await contents.fetch(person, hashes[-1])


async def test_damage_anywhere_in_a_chain_is_told_by_the_hash_that_does_not_hold(
    db: Database, database: Scratch
) -> None:
    hashes = await chain(db, 4)
    other = database.run("SELECT payload FROM app.contents WHERE sha256 = %s", hashes[2])[0]["payload"]

    # A payload that unpacks to other bytes, in the middle of the chain
    database.run("UPDATE app.contents SET payload = %s WHERE sha256 = %s", other, hashes[1])

    assert await contents.fetch(db, hashes[0]) == version(0)
    for sha256 in hashes[1:]:
        with pytest.raises(DamagedContent, match=hashes[1].hex()) as raised:
            await contents.fetch(db, sha256)
        assert raised.value.remedy


async def test_a_cut_payload_is_damage_too(db: Database, database: Scratch) -> None:
    (sha256,) = await chain(db, 1)
    database.run("UPDATE app.contents SET payload = substring(payload FROM 1 FOR 100)")

    with pytest.raises(DamagedContent, match=sha256.hex()):
        await contents.fetch(db, sha256)


async def test_a_hash_that_is_not_stored_is_told(db: Database) -> None:
    with pytest.raises(MissingContent, match="ab" * 32):
        await contents.fetch(db, b"\xab" * 32)


def test_bytes_that_are_no_text_become_text_that_a_database_takes() -> None:
    assert contents.as_text(b"a\x00b\xff") == "a\ufffdb\ufffd"
