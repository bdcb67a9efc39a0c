"""Packing of stored bytes: what comes back is what went in, and damage is told."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.db.codec import MAX_DEPTH, Base, Damaged, pack, unpack

_TEXT = "\n".join(
    f"{n}. We may change rule {n * 7919 % 1000} of section {n} at any time, and tell you {n % 31} days before."
    for n in range(400)
).encode()


def _base(body: bytes, depth: int = 0) -> Base:
    return Base(b"\x01" * 32, depth, body)


@given(st.binary(max_size=3000), st.none() | st.binary(max_size=3000))
def test_any_bytes_come_back_as_they_went_in(body: bytes, base: bytes | None) -> None:
    packed = pack(body, None if base is None else _base(base))
    assert unpack(packed.codec, packed.payload, packed.raw_len, base if packed.base_sha256 else None) == body
    assert len(packed.payload) <= len(body)
    assert (packed.base_sha256 is None) == (packed.depth == 0)


def test_a_changed_word_costs_little_against_the_version_before() -> None:
    changed = _TEXT.replace(b"at any time, and", b"with notice, and", 1)
    alone, leaning = pack(changed), pack(changed, _base(_TEXT))
    assert leaning.depth == 1
    assert len(leaning.payload) < 200 < len(alone.payload)


def test_the_window_covers_a_base_and_text_larger_than_the_levels_own() -> None:
    # Given two alike bodies that do not compress by themselves, each larger than the level's usual window
    body = random.Random(7).randbytes(3 << 20)
    # Then the second leans on the first from its first byte to its last
    packed = pack(body + b"one more line", _base(body))
    assert packed.depth == 1
    assert len(packed.payload) < 2000
    assert unpack(packed.codec, packed.payload, packed.raw_len, body) == body + b"one more line"


def test_a_chain_ends_at_its_greatest_depth() -> None:
    assert pack(_TEXT + b"new", _base(_TEXT, MAX_DEPTH - 1)).depth == MAX_DEPTH
    assert pack(_TEXT + b"new", _base(_TEXT, MAX_DEPTH)).depth == 0


def test_a_base_that_does_not_help_is_not_leaned_on() -> None:
    text = random.Random(2).randbytes(9000).hex().encode()
    assert pack(text, _base(random.Random(1).randbytes(20_000))).base_sha256 is None


@pytest.mark.parametrize(
    "body", [b"", b"short", random.Random(3).randbytes(5000)], ids=["none", "tiny", "random"]
)
def test_tiny_and_incompressible_bodies_are_stored_plain(body: bytes) -> None:
    packed = pack(body, _base(_TEXT))
    assert (packed.codec, packed.payload, packed.depth) == ("plain", body, 0)


def test_a_frame_of_another_length_is_refused_before_it_is_unpacked() -> None:
    packed = pack(b"0" * 50_000_000)
    with pytest.raises(Damaged, match="recorded length"):
        unpack("zstd", packed.payload, 10)


def test_damage_is_told_and_never_returned() -> None:
    packed = pack(_TEXT)
    with pytest.raises(Damaged):
        unpack("zstd", packed.payload[:-40], packed.raw_len)
    with pytest.raises(Damaged):
        unpack("zstd", b"no frame at all", packed.raw_len)
    with pytest.raises(Damaged):
        unpack("lz77", packed.payload, packed.raw_len)
