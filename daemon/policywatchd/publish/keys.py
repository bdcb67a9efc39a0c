"""The three keys of publishing, derived once from the master key. They are never logged or stored."""

from __future__ import annotations

from dataclasses import dataclass, field

from policywatch import secrets

__all__ = ["KEY_LABELS", "KEY_VERSION", "Keys"]

#: Stands beside every hash and sealed address; a rotation makes the next one.
KEY_VERSION = 1
#: What the keys are for, as it stands in the audit row of their use.
KEY_LABELS = tuple(f"{purpose}/{KEY_VERSION}" for purpose in ("recipient-hash", "recipient-addr", "msgid"))


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys for recipient hashes, sealed addresses and Message-IDs, 32 octets each."""

    hash: bytes = field(repr=False)
    address: bytes = field(repr=False)
    message_id: bytes = field(repr=False)

    @classmethod
    def of(cls, master: bytes) -> Keys:
        """The keys of an installation."""
        hash_key, address, message_id = (secrets.derive(master, label) for label in KEY_LABELS)
        return cls(hash=hash_key, address=address, message_id=message_id)
