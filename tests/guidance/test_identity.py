"""Recipients are known by keyed names that open with the right key and in the right place alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.guidance import identity

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
ADDRESS = "ada@members.test"
keys = st.binary(min_size=32, max_size=32)


def test_a_recipient_hash_is_the_one_of_the_description() -> None:
    import hashlib
    import hmac

    assert (
        identity.recipient_hash(KEY, ADDRESS)
        == hmac.new(KEY, b"v1|" + ADDRESS.encode(), hashlib.sha256).digest()
    )


@given(keys, keys, st.text(max_size=40), st.text(max_size=40))
def test_recipient_hashes_differ_by_key_and_by_address(
    one: bytes, two: bytes, first: str, second: str
) -> None:
    hashes = {identity.recipient_hash(key, address) for key in (one, two) for address in (first, second)}

    assert len(hashes) == len({one, two}) * len({first, second})


def test_a_message_id_is_the_same_at_every_try_and_another_for_everything_else() -> None:
    def name(publication: int = 7, recipient: int = 12, revision: int = 3) -> str:
        return identity.message_id(
            KEY, publication=publication, recipient=recipient, revision=revision, domain="policywatch.test"
        )

    assert name() == name()
    assert name().startswith("<") and name().endswith("@policywatch.test>") and len(name()) == 59
    assert len({name(), name(publication=8), name(recipient=13), name(revision=4), name(71, 2)}) == 5


@given(keys, st.integers(1, 2**62))
def test_a_return_path_names_its_ledger_row(key: bytes, recipient: int) -> None:
    path = identity.verp_sender(key, recipient=recipient, domain="bounces.policywatch.test")

    assert identity.recipient_of_verp(key, path) == recipient
    assert len(path.partition("@")[0]) <= 64


@pytest.mark.parametrize(
    "forged",
    [
        "b+12.0000000000@b.test",
        "b+12@b.test",
        "b+012.aaaaaaaaaa@b.test",
        "news@b.test",
        "",
        "b+1.\u0661@b.test",
    ],
)
def test_a_forged_return_path_names_nobody(forged: str) -> None:
    assert identity.recipient_of_verp(KEY, forged) is None
    real = identity.verp_sender(KEY, recipient=12, domain="b.test")
    assert identity.recipient_of_verp(OTHER, real) is None
    assert identity.recipient_of_verp(KEY, real.replace("b+12", "b+13")) is None


@given(keys, st.binary(min_size=12, max_size=12), st.text(max_size=80), st.integers(1, 10**9))
def test_a_sealed_address_opens_where_it_belongs(
    key: bytes, nonce: bytes, address: str, publication: int
) -> None:
    recipient = identity.recipient_hash(key, address)
    sealed = identity.seal_address(key, nonce, address, publication=publication, recipient=recipient)

    assert identity.open_address(key, sealed, publication=publication, recipient=recipient) == address


def test_a_sealed_address_opens_nowhere_else() -> None:
    ours, theirs = (identity.recipient_hash(KEY, address) for address in (ADDRESS, "ben@members.test"))
    sealed = identity.seal_address(KEY, b"n" * 12, ADDRESS, publication=7, recipient=ours)
    wrong = [
        (OTHER, sealed, 7, ours),
        (KEY, sealed, 8, ours),
        (KEY, sealed, 7, theirs),
        (KEY, sealed[:-1] + bytes([sealed[-1] ^ 1]), 7, ours),
        (KEY, sealed[:5], 7, ours),
        (KEY, b"", 7, ours),
    ]

    for key, octets, publication, recipient in wrong:
        with pytest.raises(identity.SealBroken) as broken:
            identity.open_address(key, octets, publication=publication, recipient=recipient)
        assert ADDRESS not in str(broken.value)


def test_addresses_in_the_words_of_a_server_are_replaced() -> None:
    told = "550 5.1.1 <ada@MEMBERS.test>: mailbox of ada@members.test. unknown; ask to=postmaster@x"
    scrubbed = identity.scrubbed(told, KEY)

    name = f"r:{identity.recipient_hash(KEY, ADDRESS).hex()[:8]}"
    assert scrubbed == f"550 5.1.1 <{name}>: mailbox of {name} unknown; ask to=r:unreadable"
