"""What is made of the master key: check values, the key of one credential, and sealed arguments of requests.

Pure: bytes in, bytes out; randomness comes from the operating system. The master key itself is found by `secrets`.

Not here: addresses in the ledger and recipient hashes (the daemon's `publish/keys`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from policywatch.errors import PolicyWatchError
from policywatch.secrets import SecretText, derive

__all__ = ["CHECK_BYTES", "check_value", "credential_key", "open_arguments", "request_key", "seal_arguments"]

CHECK_BYTES = 8
_NONCE = 12
_PUBLIC = 32


def check_value(master: bytes, version: int) -> bytes:
    """Eight bytes that tell the right master key of a version from a wrong one, and nothing else of it."""
    return hmac.digest(bytes(master), f"policywatch/check/{version}".encode(), "sha256")[:CHECK_BYTES]


def credential_key(master: bytes, version: int, platform: str, name: str) -> SecretText:
    """The key of one credential under one version of the master key: 64 hexadecimal digits, as pgcrypto takes it.

    Each row has its own, so a ciphertext that is moved to another row cannot be read there.
    """
    if "/" in platform or "/" in name:
        raise ValueError("a platform and the name of a credential have no slash")
    base = derive(master, f"credential/{version}")
    made = hmac.new(base, f"policywatch/cred/{platform}/{name}/{version}".encode(), hashlib.sha256)
    return SecretText(made.hexdigest())


def request_key(master: bytes, version: int = 1) -> bytes:
    """The public key for arguments of requests. People seal with it; who holds the master key opens."""
    return _private(master, version).public_key().public_bytes_raw()


def seal_arguments(public: bytes, kind: str, arguments: Mapping[str, Any]) -> bytes:
    """Arguments of a request that hold an address, readable by the daemon alone and only as that kind of request.

    A key for this one message is agreed with the daemon's public key (X25519, HKDF), then AES-256-GCM.
    """
    once = X25519PrivateKey.generate()
    mine = once.public_key().public_bytes_raw()
    shared = once.exchange(X25519PublicKey.from_public_bytes(public))
    nonce = os.urandom(_NONCE)
    text = json.dumps(dict(arguments), ensure_ascii=False).encode()
    return mine + nonce + AESGCM(_agreed(shared, mine, public)).encrypt(nonce, text, _bound(kind))


def open_arguments(master: bytes, kind: str, sealed: bytes, version: int = 1) -> dict[str, Any]:
    """What was sealed; PolicyWatchError for another key, another kind of request, or a changed text."""
    private = _private(master, version)
    public = private.public_key().public_bytes_raw()
    theirs, nonce, rest = (
        sealed[:_PUBLIC],
        sealed[_PUBLIC : _PUBLIC + _NONCE],
        sealed[_PUBLIC + _NONCE :],
    )
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(theirs))
        opened = json.loads(AESGCM(_agreed(shared, theirs, public)).decrypt(nonce, rest, _bound(kind)))
    except (InvalidTag, ValueError):
        raise PolicyWatchError(
            "The sealed arguments of a request cannot be opened.",
            remedy="Ask again: the key has changed, or the request was tampered with.",
        ) from None
    if not isinstance(opened, dict):
        raise PolicyWatchError("The sealed arguments of a request are none.", remedy="Ask again.")
    return opened


def _private(master: bytes, version: int) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(bytes(derive(master, f"request/{version}")))


def _agreed(shared: bytes, mine: bytes, public: bytes) -> bytes:
    """The message's key, bound to both public keys."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"policywatch/request" + mine + public).derive(
        shared
    )


def _bound(kind: str) -> bytes:
    return f"policywatch/request/{kind}".encode()
