"""The three keys of publishing, derived once from the master key. They are never logged or stored."""

from __future__ import annotations

from dataclasses import dataclass, field

from policywatch import secrets

__all__ = ["KEY_VERSION", "Keys"]

#: Stands beside every hash and sealed address; a rotation makes the next one.
KEY_VERSION = 1


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys for recipient hashes, sealed addresses and Message-IDs, 32 octets each."""

    hash: bytes = field(repr=False)
    address: bytes = field(repr=False)
    message_id: bytes = field(repr=False)

    @classmethod
    def of(cls, master: bytes) -> Keys:
        """The keys of an installation."""
        return cls(
            hash=secrets.derive(master, f"recipient-hash/{KEY_VERSION}"),
            address=secrets.derive(master, f"recipient-addr/{KEY_VERSION}"),
            message_id=secrets.derive(master, f"msgid/{KEY_VERSION}"),
        )
