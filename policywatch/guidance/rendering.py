"""From wording to mail: a revision with its HTML, and the exact octets that are handed to the mail server.

Everything is a function of its arguments; the same arguments give the same octets. No images, no tracking, no
link but those that stand in the text.
"""

from __future__ import annotations

import email
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from markupsafe import Markup, escape

from policywatch.domain.guidance import Revision
from policywatch.errors import PolicyWatchError, UsageError
from policywatch.guidance.addresses import AddressFault, require_sendable
from policywatch.guidance.templates import Templates, frame

__all__ = ["Letter", "Sender", "revise"]

MAX_SUBJECT, MAX_TEXT, MAX_HTML = 300, 200_000, 400_000

# Controls other than tab and line feed, line and paragraph separators, direction overrides, surrogates.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LINK = re.compile(r"https?://[^\s<>\"'`{}|\\^]+[^\s<>\"'`{}|\\^.,;:!?)\]]")
_HEADINGS = {1: Markup("<h2>{}</h2>"), 2: Markup("<h3>{}</h3>"), 3: Markup("<h4>{}</h4>")}
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,253}>\Z")
_UNSUBSCRIBE = re.compile(r"(?:https://|mailto:)[!#-;=?-~]{1,900}\Z")


def revise(subject: str, text: str, templates: Templates | None = None) -> Revision:
    """The revision of a subject and a text, with the HTML made from the text.

    The text is a small Markdown: `# ` headings, `> ` quotations, `* ` lists, paragraphs; addresses become
    links, except in quotations. UsageError names what cannot be mailed.
    """
    subject = subject.strip()
    text = text.replace("\r\n", "\n").strip("\n") + "\n"
    _require_mailable(Revision(subject=subject, text=text, html=""))
    revision = Revision(subject=subject, text=text, html=frame(subject, _html_of(text), templates))
    _require_mailable(revision)
    return revision


def _require_mailable(revision: Revision) -> None:
    """UsageError if a part is empty, too long, or holds what could reach beyond its place in a mail."""
    parts = (
        ("subject", revision.subject, MAX_SUBJECT),
        ("text", revision.text, MAX_TEXT),
        ("HTML", revision.html, MAX_HTML),
    )
    for what, value, most in parts:
        if not value.strip() and what != "HTML":
            raise UsageError(f"The {what} is empty.", remedy=f"Write a {what}.")
        if len(value) > most:
            raise UsageError(
                f"The {what} has {len(value):,} characters; {most:,} are possible.", remedy="Shorten it."
            )
        if found := _FORBIDDEN.search(value):
            raise UsageError(
                f"The {what} holds the character U+{ord(found[0]):04X}, which cannot be mailed.",
                remedy="Remove it; it is invisible in most editors.",
            )
    if "\n" in revision.subject or "\t" in revision.subject:
        raise UsageError("The subject has more than one line.", remedy="Write it on one line.")


def _html_of(text: str) -> Markup:
    """The blocks of the text as HTML; every sign of the text is escaped."""
    blocks: list[Markup] = []
    for block in re.split(r"\n[ \t]*\n", text.strip("\n")):
        blocks.extend(_blocks_of([line.rstrip() for line in block.split("\n") if line.strip()]))
    return Markup("\n").join(blocks)


def _blocks_of(lines: list[str]) -> list[Markup]:
    """Neighbouring lines of one kind make one block."""
    groups: list[tuple[str, list[str]]] = []
    for line in lines:
        kind = _kind(line)
        if kind == "text" and line.startswith("  ") and groups and groups[-1][0] == "item":
            groups[-1][1][-1] += f" {line.strip()}"  # an item goes on, indented
        elif groups and groups[-1][0] == kind and kind != "heading":
            groups[-1][1].append(line)
        else:
            groups.append((kind, [line]))
    return [_block(kind, group) for kind, group in groups]


def _kind(line: str) -> str:
    if re.match(r"#{1,3} ", line):
        return "heading"
    if line.startswith(">"):
        return "quotation"
    return "item" if re.match(r"[*-] ", line) else "text"


def _block(kind: str, lines: list[str]) -> Markup:
    if kind == "heading":
        marks, _, words = lines[0].partition(" ")
        return _HEADINGS[len(marks)].format(words.strip())
    if kind == "quotation":
        # The words of a policy: shown, and never made into links.
        words = " ".join(line.removeprefix(">").strip() for line in lines)
        style = "margin:0 0 1em;padding:0 1em;border-left:3px solid #999"
        return Markup('<blockquote style="{}"><p>{}</p></blockquote>').format(style, words)
    if kind == "item":
        items = Markup("").join(Markup("<li>{}</li>").format(_linked(line[2:].strip())) for line in lines)
        return Markup("<ul>{}</ul>").format(items)
    return Markup("<p>{}</p>").format(_linked(" ".join(line.strip() for line in lines)))


def _linked(words: str) -> Markup:
    parts: list[Markup] = []
    end = 0
    for found in _LINK.finditer(words):
        parts.append(escape(words[end : found.start()]))
        parts.append(Markup('<a href="{0}">{0}</a>').format(found[0]))
        end = found.end()
    return Markup("").join([*parts, escape(words[end:])])


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a mail comes from: the address, a name beside it, and where answers go if not there."""

    address: str
    name: str = ""
    reply_to: str = ""


class Letter:
    """One revision, ready to be addressed. Made once a publication; `to` gives the octets for one recipient.

    The body is built once and shared, so that ten thousand mails cost ten thousand heads. `date` is the aware
    time that every mail of it states.
    """

    def __init__(self, revision: Revision, sender: Sender, date: datetime) -> None:
        if date.tzinfo is None:
            raise ValueError("a letter needs an aware time")
        _require_mailable(revision)
        message = EmailMessage(policy=SMTP)
        message["From"] = _mailbox(sender.address, sender.name, "mail.sender")
        if sender.reply_to:
            message["Reply-To"] = _mailbox(sender.reply_to, "", "mail.reply_to")
        message["Subject"] = revision.subject
        message["Date"] = format_datetime(date.astimezone(UTC))
        message.set_content(revision.text, cte="quoted-printable")
        if revision.html:
            message.add_alternative(revision.html, subtype="html", cte="quoted-printable")
            # Quoted-printable writes "=" as "=3D", so this line can stand in no part.
            parts = f"{revision.text}\0{revision.html}".encode()
            message.set_boundary(f"=_{hashlib.sha256(parts).hexdigest()[:40]}")
        self._head, _, self._body = message.as_bytes().partition(b"\r\n\r\n")

    def to(self, address: str, message_id: str, *, unsubscribe: tuple[str, ...] = ()) -> bytes:
        """The mail for one recipient, CRLF line ends. Refuses whatever would reach beyond its header.

        `unsubscribe`: https or mailto addresses for List-Unsubscribe; with an https one the one-click header
        of RFC 8058 stands beside it. AddressFault or PolicyWatchError for what may not stand in a header.
        """
        if not _MESSAGE_ID.match(message_id):
            raise PolicyWatchError(
                "A Message-ID is malformed.", remedy="Check mail.sender: its domain ends each Message-ID."
            )
        head = [f"To: {require_sendable(address)}", f"Message-ID: {message_id}"]
        if unsubscribe:
            if not all(map(_UNSUBSCRIBE.match, unsubscribe)):
                raise PolicyWatchError(
                    "An address for unsubscribing cannot stand in a header.",
                    remedy="It must begin with https:// or mailto: and hold no spaces or angle brackets.",
                )
            head.append("List-Unsubscribe: " + ",\r\n ".join(f"<{way}>" for way in unsubscribe))
            if any(way.startswith("https://") for way in unsubscribe):
                head.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
        return "\r\n".join(head).encode("ascii") + b"\r\n" + self._head + b"\r\n\r\n" + self._body

    def message(self, address: str, message_id: str, *, unsubscribe: tuple[str, ...] = ()) -> EmailMessage:
        """The same mail as an object, for showing it."""
        octets = self.to(address, message_id, unsubscribe=unsubscribe)
        return email.message_from_bytes(octets, policy=SMTP)


def _mailbox(address: str, name: str, key: str) -> Address:
    """A mailbox for a header; UsageError names the setting that is wrong."""
    try:
        if _FORBIDDEN.search(name) or "\n" in name:
            raise AddressFault("the name holds a character that may not stand in a header")
        local, _, domain = require_sendable(address).rpartition("@")
    except AddressFault as fault:
        raise UsageError(f"{key}: {fault.what}", remedy=f"Mend {key} in policywatch.yaml.") from fault
    return Address(display_name=name, username=local, domain=domain)
