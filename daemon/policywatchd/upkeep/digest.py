"""One mail a day for operators and one for those who review: what waits, what happened since the last one.

Never for a page, never twice for a day, never when nothing waits, never while the system is frozen. The row in
`app.digests` is there first and counts each mail before it leaves. Addresses are in no log and no row.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, make_msgid
from typing import TYPE_CHECKING, Any

from policywatch.db import digests, workers
from policywatch.db.digests import Figures
from policywatch.errors import PolicyWatchError
from policywatch.guidance.addresses import domain_of
from policywatch.settings import Mail, day_time, masked
from policywatchd.publish.smtp import Lane, LaneTrouble, Outcome, Relay

if TYPE_CHECKING:
    from policywatchd.service import Service

__all__ = ["Digesting", "headline", "send_due", "wording"]

log = logging.getLogger("policywatch.upkeep")

_ALERT = "digest_failed"
_MOST_ALERTS = 20  # sentences of one mail
_LONGEST_LOOK_BACK = timedelta(days=7)
_LONGEST_SENDING = 900.0  # seconds for one digest
_SENDABLE = re.compile(
    r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+"
)  # what a header and RCPT take as it is
_WHY = {
    "operators": "This address stands in alerts.mail_to of the settings.",
    "reviewers": "You review, write or approve in PolicyWatch.",
}


class Digesting:
    """Sends digests beside the loop that asks for them: a slow relay must not hold the upkeep up."""

    def __init__(self) -> None:
        self._sending: asyncio.Task[list[str]] | None = None

    async def look(self, service: Service) -> None:
        """Begin, unless the last look is still at it; what that one raised is raised here."""
        if self._sending is not None:
            if not self._sending.done():
                return
            done, self._sending = self._sending, None
            done.result()
        self._sending = asyncio.create_task(send_due(service))

    async def close(self) -> None:
        """End in the middle, where it must be: what was counted is not sent again."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)


async def send_due(service: Service) -> list[str]:
    """Send what is due by the time of day in the settings; the audiences that got their mail."""
    wanted = service.settings.alerts.digest_at
    if wanted is None:
        return []
    await digests.give_up_stale(service.db)
    state = await digests.state(service.db)
    clock, zone = day_time(wanted)
    here = state.at.astimezone(zone)
    if state.frozen or here.time() < clock:
        return []
    sent = []
    for audience, last in state.last.items():
        if await digests.is_decided(service.db, audience, here.date()):
            continue
        addresses = await _addresses(service, audience)
        since = max(last or state.at - timedelta(days=1), state.at - _LONGEST_LOOK_BACK)
        if addresses and await _send(service, audience, here, since, addresses):
            sent.append(audience)
    return sent


async def _addresses(service: Service, audience: str) -> list[str]:
    mail_to = service.settings.alerts.mail_to
    found = mail_to if audience == "operators" else await digests.reviewers(service.db)
    able = [address for address in found if address.isprintable() and _SENDABLE.fullmatch(address)]
    if len(able) < len(found):
        log.warning("digest_addresses_left_out audience=%s count=%d", audience, len(found) - len(able))
    return list({address.lower(): address for address in able}.values())


async def _send(
    service: Service, audience: str, here: datetime, since: datetime, addresses: Sequence[str]
) -> bool:
    """Claim the day, then hand the mails over, one by one; True where at least one was taken."""
    db = service.db
    counts = await digests.figures(db, since)
    alerts = await digests.open_alerts(db, since, _MOST_ALERTS) if audience == "operators" else []
    digest = await digests.claim(db, audience, here.date(), counts)
    if digest is None:
        return False
    if not _something_waits(audience, counts):
        await digests.finish(db, digest, sent=True, cause="nothing waited")
        log.info("digest_empty audience=%s day=%s", audience, here.date())
        return False
    words = wording(audience, counts, alerts, since)
    try:
        async with asyncio.timeout(_LONGEST_SENDING):
            taken, refused = await _hand_over(service, digest, addresses, headline(counts), words, here)
    except TimeoutError:
        return await _failed(service, digest, audience, "the relay was too slow")
    except (LaneTrouble, PolicyWatchError) as trouble:
        cause = masked(trouble.what if isinstance(trouble, PolicyWatchError) else str(trouble))[:300]
        return await _failed(service, digest, audience, cause)
    if not taken:
        return await _failed(service, digest, audience, "the relay took none of its mails")
    told = None if not refused else f"{refused} of {taken + refused} mails were not taken"
    await digests.finish(db, digest, sent=True, cause=told)
    await workers.close_alert(db, _ALERT, audience)
    after = {"audience": audience, "day": here.date().isoformat(), "sent": taken, "refused": refused}
    await workers.audit(db, "digest.sent", "digest", str(digest), after=after)
    log.info("digest_sent audience=%s day=%s sent=%d refused=%d", audience, here.date(), taken, refused)
    return True


async def _failed(service: Service, digest: int, audience: str, cause: str) -> bool:
    await digests.finish(service.db, digest, sent=False, cause=cause)
    log.warning("digest_failed audience=%s cause=%r", audience, cause)
    sentence = f"The digest for {audience} was not mailed: {cause}. It is tried again in an hour."
    await workers.open_alert(service.db, _ALERT, audience, sentence)
    return False


async def _hand_over(
    service: Service, digest: int, addresses: Sequence[str], subject: str, words: str, at: datetime
) -> tuple[int, int]:
    """How many mails were taken and how many not. LaneTrouble: the relay is away, and nothing was said yet."""
    mail, taken, refused = service.settings.mail, 0, 0
    lane = Lane(Relay.of(service.settings))
    try:
        await lane.open()
        for address in addresses:
            if not await digests.count_one(service.db, digest):
                break
            try:
                answer = await lane.hand_over(address, _octets(mail, address, subject, words, at))
            except LaneTrouble:
                refused += 1
                continue
            if answer.outcome in (Outcome.SENT, Outcome.UNCERTAIN):
                taken += 1
            else:
                refused += 1
                log.warning(
                    "digest_not_taken digest=%d outcome=%s code=%s", digest, answer.outcome, answer.code
                )
    finally:
        await lane.close()
    return taken, refused


def _octets(mail: Mail, address: str, subject: str, words: str, at: datetime) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = formataddr((mail.sender_name, mail.sender))
    message["To"] = address
    if mail.reply_to:
        message["Reply-To"] = mail.reply_to
    message["Subject"] = subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = make_msgid(domain=domain_of(mail.sender))
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(words)
    return message.as_bytes()


def _something_waits(audience: str, counts: Figures) -> bool:
    sources = counts.blind + counts.late
    if audience == "reviewers":
        return bool(counts.waiting + counts.approvals + sources)
    return bool(counts.waiting + counts.approvals + sources + counts.alerts)


def _many(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def headline(counts: Figures) -> str:
    """`12 changes wait, 1 critical, 2 sources blind`: what is not nothing."""
    said = (
        [f"{_many(counts.waiting, 'change waits', 'changes wait')}, {counts.critical} critical"]
        if counts.waiting
        else []
    )
    if counts.approvals:
        said.append(_many(counts.approvals, "approval waits", "approvals wait"))
    if counts.blind:
        said.append(f"{_many(counts.blind, 'source', 'sources')} blind")
    if counts.late:
        said.append(f"{_many(counts.late, 'source', 'sources')} not visited in time")
    if not said:
        said.append(_many(counts.alerts, "open alert", "open alerts"))
    return "PolicyWatch: " + ", ".join(said)


def wording(audience: str, counts: Figures, alerts: Sequence[dict[str, Any]], since: datetime) -> str:
    """The text of the mail; the same for everybody of an audience."""
    return "\n".join(_lines(audience, counts, alerts, since)) + "\n"


def _plain(sentence: object) -> str:
    """One printable line: hosts and pages are quoted in alerts."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in str(sentence)).split())


def _lines(
    audience: str, counts: Figures, alerts: Sequence[dict[str, Any]], since: datetime
) -> Iterator[str]:
    yield f"{headline(counts).removeprefix('PolicyWatch: ')}."
    yield f"{counts.documents - counts.blind - counts.late} of {counts.documents} sources are read as planned."
    yield ""
    yield (
        f"Since {since:%Y-%m-%d %H:%M} UTC: {_many(counts.found, 'change', 'changes')} found, {counts.decided} decided, "
        f"{_many(counts.published, 'publication', 'publications')} sent, "
        f"{_many(counts.opened, 'alert', 'alerts')} opened, {counts.closed} closed."
    )
    if alerts:
        yield from ("", "New, or recalled because nobody acknowledged it:")
    for alert in alerts:
        recalled = f" (open since {alert['opened_at']:%Y-%m-%d})" if alert["reminders"] else ""
        yield f"* {alert['level']}: {masked(_plain(alert['sentence']))}{recalled}"
    yield ""
    if audience == "operators":
        yield "More: policywatch status. Seen and enough: policywatch alerts list, policywatch alerts ack NUMBER."
    else:
        yield "The queue: policywatch"
    yield "-- "
    yield f"{_WHY[audience]} One mail a day at most; alerts.digest_at says when."
