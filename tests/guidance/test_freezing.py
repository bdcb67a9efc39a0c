"""A hash stands for exactly one wording, and is the one that the database makes."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.domain.guidance import Revision
from policywatch.guidance import freezing

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
revisions = st.builds(Revision, subject=words, text=words, html=words)


@given(revisions, revisions)
def test_two_wordings_have_one_hash_only_if_they_are_equal(one: Revision, two: Revision) -> None:
    assert (freezing.content_hash(one) == freezing.content_hash(two)) is (one == two)


def test_words_that_move_between_the_parts_change_the_hash() -> None:
    assert freezing.content_hash(Revision("ab", "c", "")) != freezing.content_hash(Revision("a", "bc", ""))


def test_the_hash_is_over_the_text_that_postgresql_prints() -> None:
    # As `select jsonb_build_array('Ü "x"', E'a\nb\\', E'\x01\x7f')::text` answers.
    printed = '["Ü \\"x\\"", "a\\nb\\\\", "\\u0001\x7f"]'
    revision = Revision('Ü "x"', "a\nb\\", "\x01\x7f")

    assert freezing.jsonb_text([revision.subject, revision.text, revision.html]) == printed
    assert freezing.content_hash(revision) == hashlib.sha256(printed.encode()).digest()


def test_keys_stand_in_the_order_of_a_jsonb() -> None:
    criteria = {"platforms": ["x"], "kind": ["journalist", "creator"], "size": "s"}

    printed = '{"kind": ["journalist", "creator"], "size": "s", "platforms": ["x"]}'
    assert freezing.jsonb_text(criteria) == printed
    assert freezing.definition_hash(criteria) == freezing.definition_hash(dict(reversed(criteria.items())))


@given(
    st.recursive(
        words | st.integers() | st.booleans() | st.none(), lambda v: st.lists(v) | st.dictionaries(words, v)
    )
)
def test_the_canonical_text_loses_nothing(value: object) -> None:
    assert json.loads(freezing.jsonb_text(value)) == value


def test_what_cannot_be_stored_has_no_hash() -> None:
    with pytest.raises(ValueError, match="NUL"):
        freezing.content_hash(Revision("a\0", "b", ""))
    with pytest.raises(TypeError):
        freezing.jsonb_text(1.5)


def test_an_approval_binds_wording_segment_and_count() -> None:
    def digest(content: bytes = b"c" * 32, definition: bytes = b"d" * 32, count: int = 10) -> bytes:
        return freezing.approval_digest(content=content, definition=definition, count=count)

    assert len({digest(), digest(content=b"e" * 32), digest(definition=b"e" * 32), digest(count=11)}) == 4
    assert digest() == digest()
    assert freezing.in_groups(bytes.fromhex("9f2c41aa7be0ff")) == "9f2c 41aa 7be0"
