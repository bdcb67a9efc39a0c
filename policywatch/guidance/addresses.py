"""One spelling for each mail address, so that the same person is counted, hashed and suppressed once.

Not a proof that a mailbox exists. No sentence of an error repeats the address: sentences reach logs.
"""

from __future__ import annotations

import re
import unicodedata

import idna

from policywatch.errors import PolicyWatchError

__all__ = ["AddressFault", "domain_of", "normalise_address", "require_sendable"]

_MAX_ADDRESS = 254  # octets, RFC 5321 4.5.3.1.3
_MAX_LOCAL = 64
_SPECIAL = re.compile(r'[\x00-\x20\x7f<>()\[\],;:"\\@]')
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\Z")


class AddressFault(PolicyWatchError):
    """An address that no mail can be sent to; says why, and never which address it was."""


def normalise_address(written: str) -> str:
    """The one spelling: trimmed, NFC, domain as lower-case A-labels; the local part keeps its case.

    Raises AddressFault for what is no plain address; quoted local parts and address literals are refused.
    """
    address = unicodedata.normalize("NFC", written.strip())
    local, at, domain = address.rpartition("@")
    if not at:
        raise AddressFault("the address has no @")
    if not local or not domain:
        raise AddressFault("the address lacks the part before or after the @")
    if _SPECIAL.search(local) or (
        not local.isascii() and any(unicodedata.category(sign)[0] in "CZ" for sign in local)
    ):
        raise AddressFault("the part before the @ holds a sign that may not stand there")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise AddressFault("the part before the @ begins or ends with a dot, or holds two in a row")
    if len(local.encode()) > _MAX_LOCAL:
        raise AddressFault(f"the part before the @ is longer than {_MAX_LOCAL} octets")
    normalised = f"{local}@{_a_label(domain)}"
    if len(normalised.encode()) > _MAX_ADDRESS:
        raise AddressFault(f"the address is longer than {_MAX_ADDRESS} octets")
    return normalised


def _a_label(domain: str) -> str:
    """The domain as it stands in DNS: lower case, IDNA 2008."""
    if domain.isascii():
        ascii_domain = domain.lower()
    else:
        try:
            ascii_domain = idna.encode(domain, uts46=True).decode("ascii").lower()
        except (idna.IDNAError, UnicodeError) as error:
            raise AddressFault("the domain is no name that DNS can hold") from error
    labels = ascii_domain.split(".")
    if len(labels) < 2:
        raise AddressFault("the domain has no dot")
    if len(ascii_domain) > 253 or any(len(label) > 63 or not _LABEL.match(label) for label in labels):
        raise AddressFault("the domain is no name that DNS can hold")
    if labels[-1].isdigit():
        raise AddressFault("the domain is a number and no name")
    return ascii_domain


def domain_of(address: str) -> str:
    """The domain of a normalised address."""
    return address.rpartition("@")[2]


def require_sendable(address: str) -> str:
    """The address, if it is normalised and can stand in a header and in RCPT as it is; else AddressFault."""
    if normalise_address(address) != address:
        raise AddressFault("the address is not in its normalised spelling")
    if not address.isascii():
        raise AddressFault(
            "the part before the @ holds letters beyond ASCII, which most mail servers refuse",
            remedy="Ask the member for another address.",
        )
    return address
