"""Marked rows become mails: the address is opened, the wording addressed, the Message-ID derived.

The wording of a publication is read once and its body built once; each mail costs a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from policywatch.db.publishing import Answered, Claimed, Wording
from policywatch.domain.guidance import Revision
from policywatch.errors import PolicyWatchError
from policywatch.guidance.addresses import domain_of
from policywatch.guidance.identity import message_id, open_address
from policywatch.guidance.rendering import Letter, Sender
from policywatch.settings import Mail as MailSettings
from policywatchd.publish.keys import Keys

__all__ = ["Letters", "Ready", "Written"]


@dataclass(frozen=True, slots=True, repr=False)
class Ready:
    """A mail to be handed over as soon as its row is committed as `sending`. No repr: it holds an address.

    `marked`: monotonic seconds; `tries`: how often it was tried before.
    """

    recipient: int
    publication: int
    claim: UUID
    address: str
    octets: bytes
    marked: float
    tries: int


@dataclass(frozen=True, slots=True)
class Written:
    """The mails of claimed rows, an answer for each row that cannot be addressed, the Message-IDs of all."""

    mails: list[Ready]
    broken: list[Answered]
    names: dict[int, str]


class Letters:
    """The wordings of the publications that are being sent."""

    def __init__(self, mail: MailSettings, keys: Keys) -> None:
        self._sender = Sender(mail.sender, mail.sender_name, mail.reply_to or "")
        self._domain = domain_of(mail.sender)
        self._keys = keys
        self._letters: dict[int, tuple[Letter, int]] = {}  # with the number of the revision

    def __contains__(self, publication: int) -> bool:
        return publication in self._letters

    def keep(self, said: Wording) -> None:
        """Remember a wording. PolicyWatchError says why it cannot be mailed."""
        revision = Revision(said.subject, said.text, said.html)
        self._letters[said.publication] = Letter(revision, self._sender, said.date), said.revision

    def forget(self) -> None:
        """Nothing is being sent."""
        self._letters.clear()

    def write(self, publication: int, claim: UUID, rows: Sequence[Claimed], marked: float) -> Written:
        """Address the wording to claimed rows. It must be kept."""
        letter, revision = self._letters[publication]
        written = Written([], [], {})
        for row in rows:
            name = written.names[row.id] = message_id(
                self._keys.message_id,
                publication=publication,
                recipient=row.id,
                revision=revision,
                domain=self._domain,
            )
            try:
                if row.address is None:
                    raise PolicyWatchError("The address was erased.")
                address = open_address(
                    self._keys.address, row.address, publication=publication, recipient=row.hash
                )
                octets = letter.to(address, name)
            except PolicyWatchError as fault:
                written.broken.append(Answered(row.id, publication, claim, "failed", None, fault.what))
            else:
                written.mails.append(Ready(row.id, publication, claim, address, octets, marked, row.tries))
        return written
