"""Who a recipient is, without saying it: keyed hashes, message names, return paths, sealed addresses.

Pure functions of keys and nonces that the caller holds. Keys are 32 octets, each derived for one purpose.
"""

from __future__ import annotations

import hmac
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policywatch.errors import PolicyWatchError
from policywatch.guidance.addresses import AddressFault, domain_of, normalise_address

__all__ = [
    "NONCE_OCTETS",
    "SealBroken",
    "domain_hash",
    "message_id",
    "open_address",
    "recipient_hash",
    "recipient_of_verp",
    "scrubbed",
    "seal_address",
    "verp_sender",
]

NONCE_OCTETS = 12
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"'\\@=]+@[^\s<>()\[\],;:\"'\\@]+")
_VERP = re.compile(r"b\+([1-9][0-9]{0,18})\.([0-9a-f]{10})\Z")


class SealBroken(PolicyWatchError):
    """A sealed address does not open: another key, another row, or damage."""


def _hmac(key: bytes, text: str) -> bytes:
    if len(key) < 16:
        raise ValueError("a key must have at least 16 octets")
    return hmac.digest(key, text.encode(), "sha256")


def recipient_hash(key: bytes, address: str) -> bytes:
    """32 octets that stand for a normalised address: HMAC-SHA-256 over `v1|address`."""
    return _hmac(key, f"v1|{address}")


def domain_hash(key: bytes, address: str) -> bytes:
    """32 octets that stand for the domain of a normalised address (rates by domain)."""
    return _hmac(key, f"domain/v1|{domain_of(address)}")


def message_id(key: bytes, *, publication: int, recipient: int, revision: int, domain: str) -> str:
    """The Message-ID of one mail, the same at every try, so that servers and logs can match.

    `recipient` is the id of the ledger row, `domain` the one that we send from.
    """
    return f"<{_hmac(key, f'{publication}|{recipient}|{revision}').hex()[:40]}@{domain}>"


def verp_sender(key: bytes, *, recipient: int, domain: str) -> str:
    """The envelope sender by which a bounce names its ledger row: `b+<id>.<10 hex>@domain`."""
    return f"b+{recipient}.{_hmac(key, f'verp/v1|{recipient}').hex()[:10]}@{domain}"


def recipient_of_verp(key: bytes, address: str) -> int | None:
    """The ledger row that an envelope sender of ours names; None for a forged or foreign one."""
    found = _VERP.match(address.rpartition("@")[0])
    if found is None:
        return None
    expected = _hmac(key, f"verp/v1|{found[1]}").hex()[:10]
    return int(found[1]) if hmac.compare_digest(expected, found[2]) else None


def _bound_to(publication: int, recipient: bytes) -> bytes:
    return f"{publication}|{recipient.hex()}".encode()


def seal_address(key: bytes, nonce: bytes, address: str, *, publication: int, recipient: bytes) -> bytes:
    """The address as it lies in the ledger: nonce and AES-256-GCM, bound to publication and recipient hash.

    The nonce must be fresh and random: 12 octets, never used twice with one key.
    """
    if len(nonce) != NONCE_OCTETS:
        raise ValueError(f"a nonce has {NONCE_OCTETS} octets")
    return nonce + AESGCM(key).encrypt(nonce, address.encode(), _bound_to(publication, recipient))


def open_address(key: bytes, sealed: bytes, *, publication: int, recipient: bytes) -> str:
    """The address of a ledger row; SealBroken if it was sealed with another key or for another row."""
    nonce, rest = sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:]
    try:
        return AESGCM(key).decrypt(nonce, rest, _bound_to(publication, recipient)).decode()
    except (InvalidTag, ValueError) as error:
        raise SealBroken(
            f"The sealed address of a recipient of P-{publication} does not open.",
            remedy="Check that the key is the one of this installation: policywatch secrets doctor",
        ) from error


def scrubbed(text: str, key: bytes) -> str:
    """The text with every address in it replaced by `r:` and 8 hex of its hash (mail servers repeat them)."""

    def name(found: re.Match[str]) -> str:
        written = found[0].strip(".'")
        try:
            return f"r:{recipient_hash(key, normalise_address(written)).hex()[:8]}"
        except AddressFault:
            return "r:unreadable"

    return _ADDRESS.sub(name, text)
