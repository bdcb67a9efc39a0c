"""The window committer: mails leave only as rows that were committed as `sending` before, and never twice.

One task writes, in one transaction a turn, all answers that came in and marks as many new rows as the window
allows; a few lanes hand the marked rows over and wait for no commit. What a killed process leaves is therefore at
most a window of rows that may have left, and those are never sent again by a machine (`recover`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from policywatch.db import publishing, workers
from policywatch.db.pool import Database, Tx
from policywatch.db.publishing import Answered
from policywatch.errors import PolicyWatchError, ServiceAway
from policywatch.guidance.evidence import plain
from policywatch.guidance.identity import scrubbed
from policywatch.settings import Mail as MailSettings
from policywatchd.publish.journal import Journal
from policywatchd.publish.keys import Keys
from policywatchd.publish.letters import Letters, Ready
from policywatchd.publish.pace import IDLE_SECONDS, Pace, retry_after
from policywatchd.publish.smtp import Answer, Lane, LaneTrouble, Outcome, Relay

__all__ = ["LEASE", "Sending"]

log = logging.getLogger("policywatch.publish")

#: Longer than everything that a lane may wait for, from the marking to the answer after the dot.
LEASE = timedelta(minutes=30)
START_WITHIN = 120.0  # seconds from the marking to MAIL; a row that waited longer is given back
GIVE_BACK_SECONDS = 10.0  # without any connection, marked rows are given back after this
KEEP_SECONDS = 10.0  # an idle connection is closed after this
STOP_SECONDS = 10.0  # how long a clean stop waits for answers
GATHER_SECONDS = 0.05  # answers are written together, at most this late
TROUBLES_TO_TELL = 3
_LANE_WAITS = (1.0, 2.0, 5.0, 10.0, 30.0)
_MAX_FAULTS = 10  # turns in a row that fail for an unknown reason before the room gives up
_UNKNOWN = "the daemon was stopped before the relay answered"


class Sending:
    """Sends everything that is released, until `stopping` is set; then, without `hurry`, waits for every answer."""

    def __init__(
        self,
        db: Database,
        mail: MailSettings,
        keys: Keys,
        relay: Relay,
        worker: str,
        stopping: asyncio.Event,
        journal: Journal,
        *,
        hurry: asyncio.Event | None = None,
        progress: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._db, self._keys, self._worker, self._stopping = db, keys, worker, stopping
        self._journal, self._hurry = journal, hurry or stopping
        self._window, self._pace = mail.window, Pace(mail.rate, monotonic)
        self._progress, self._monotonic, self._uniform = progress, monotonic, uniform
        self._lanes = [Lane(relay) for _ in range(min(mail.connections, mail.window))]
        self._todo: asyncio.Queue[Ready] = asyncio.Queue()
        self._answers: list[Answered] = []
        self._flying = 0  # marked rows whose answer is not stored yet
        self._in_hand = 0
        self._open: list[int] = []  # publications that have rows to be sent
        self._letters = Letters(mail, keys)
        self._refused: dict[int, str] = {}
        self._orphans: set[UUID] = set()  # markings whose commit was never confirmed; no lane got their rows
        self._connected_at = monotonic()
        self._troubles = 0
        self._told = False
        self._news = asyncio.Event()
        self._wanted = asyncio.Event()
        self._bell: asyncio.TimerHandle | None = None

    def poke(self) -> None:
        """Something may be due: look now."""
        self._news.set()

    async def run(self) -> None:
        """Send until stopped; then wait a little for answers, store them, and say goodbye to the relay."""
        lanes = [asyncio.create_task(self._lane(lane)) for lane in self._lanes]
        stop = asyncio.create_task(self._poke_on_stop())
        try:
            await self._commit_turns()
        finally:
            stop.cancel()
            await self._end(lanes)

    async def _poke_on_stop(self) -> None:
        await self._stopping.wait()
        self.poke()

    async def _commit_turns(self) -> None:
        faults = 0
        while not self._stopping.is_set():
            self._progress()
            wait = self._pace.wait if self._open else IDLE_SECONDS
            self._news.clear()
            try:
                await self._turn()
                faults = 0
            except ServiceAway as away:
                log.warning("sending_waits reason=%r", away.what)
                wait = 1.0
            except Exception:
                faults += 1
                log.exception("sending_turn_failed times=%d", faults)
                if faults >= _MAX_FAULTS:
                    raise
                wait = min(faults, 5)
                await asyncio.sleep(0.2)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()

    # -- the committer ---------------------------------------------------------------------------------

    def _room(self, answers: int) -> int:
        """How many rows may be marked in this turn."""
        if self._stopping.is_set() or not any(lane.connected for lane in self._lanes):
            return 0
        return max(0, self._pace.room(self._window - self._flying + answers))

    async def _turn(self) -> None:
        """One transaction: write what came back, mark what may leave. Nothing of it counts before its commit."""
        self._give_back_without_relay()
        answers = list(self._answers)
        if not self._open and not self._stopping.is_set():
            self._open = await publishing.sendable(self._db)
        await self._load_letters()
        room = self._room(len(answers)) if self._open else 0
        if answers or room or self._orphans or self._refused:
            marked = await self._commit(answers, room)
            for mail in marked:
                self._todo.put_nowait(mail)
        if self._open or self._flying:
            self._wanted.set()
        else:
            self._wanted.clear()
            self._letters.forget()
            if not self._answers and not self._orphans:
                self._journal.clear()
        if answers and not self._flying:
            for publication in await publishing.finish(self._db):
                log.info("publication_sent publication=P-%d", publication)

    def _give_back_without_relay(self) -> None:
        """When the relay has been away for a while, rows that no lane has are not left marked."""
        now = self._monotonic()
        if any(lane.connected for lane in self._lanes) or self._todo.empty():
            self._connected_at = now
        elif now - self._connected_at > GIVE_BACK_SECONDS:
            self._give_back("the relay is away")

    def _give_back(self, reason: str) -> None:
        while not self._todo.empty():
            self._note(self._todo.get_nowait(), Answer(Outcome.RETURNED, text=reason, counted=False))

    async def _commit(self, answers: Sequence[Answered], room: int) -> list[Ready]:
        claim = uuid4()
        orphans, refused, ready = set(self._orphans), dict(self._refused), list(self._open)
        if room:
            self._journal.claim(claim)
            self._orphans.add(claim)  # until the commit is known
        mails: list[Ready] = []
        broken: list[Answered] = []
        settled: list[tuple[int, str, int]] = []
        async with self._db.transaction() as tx:
            concerned = {answer.publication for answer in answers} | set(refused)
            for publication in sorted(concerned | set(ready if room else ())):
                await publishing.share(tx, publication)
            for orphan in orphans:
                await publishing.return_claim(tx, orphan)
            if answers:
                settled = await publishing.settle(tx, answers)
                if returned := [a.recipient for a in answers if a.state in ("deferred", "queued")]:
                    await publishing.cancel_stopped(tx, returned)
            for publication, reason in refused.items():
                await publishing.pause(tx, publication, reason)
            if room:
                mails, broken = await self._mark(tx, claim, ready, room)
        self._orphans -= orphans | {claim}
        self._open = ready
        for publication in refused:
            self._refused.pop(publication, None)
        del self._answers[: len(answers)]
        self._flying += len(mails) + len(broken) - len(answers)
        self._pace.spend(len(mails))
        self._answers.extend(broken)
        if broken:
            self.poke()
        for publication, state, count in settled:
            log.debug("recipients_settled publication=P-%d state=%s count=%d", publication, state, count)
        return mails

    async def _mark(
        self, tx: Tx, claim: UUID, ready: list[int], room: int
    ) -> tuple[list[Ready], list[Answered]]:
        """Claim and mark rows of the publications in turn; those without due rows leave `ready`."""
        mails: list[Ready] = []
        broken: list[Answered] = []
        for publication in tuple(ready):
            if room <= 0:
                break
            if not await publishing.may_send(tx, publication):
                ready.remove(publication)
                continue
            rows, suppressed = await publishing.claim_recipients(
                tx, publication, worker=self._worker, claim=claim, lease=LEASE, most=room
            )
            if len(rows) + suppressed < room:
                ready.remove(publication)
            room -= len(rows)
            written = self._letters.write(publication, claim, rows, self._monotonic())
            if written.names:
                await publishing.mark_sending(tx, claim, LEASE, written.names)
            mails += written.mails
            broken += written.broken
        return mails, broken

    async def _load_letters(self) -> None:
        """The wording of each open publication; one that cannot be mailed is paused with the reason."""
        for publication in tuple(self._open):
            if publication in self._letters:
                continue
            said = await publishing.wording(self._db, publication)
            try:
                self._letters.keep(said)
            except PolicyWatchError as fault:
                log.error("publication_not_mailable publication=P-%d reason=%r", publication, fault.what)
                await publishing.pause(self._db, publication, fault.what)
                self._open.remove(publication)

    # -- the lanes -------------------------------------------------------------------------------------

    async def _lane(self, lane: Lane) -> None:
        """Hand over one mail after the other; connect when there is work, wait when the relay is away."""
        troubles = 0
        try:
            while True:
                await self._wanted.wait()
                if not lane.connected:
                    try:
                        await lane.open()
                    except LaneTrouble as trouble:
                        troubles += 1
                        await self._tell_trouble(str(trouble))
                        wait = _LANE_WAITS[min(troubles, len(_LANE_WAITS)) - 1]
                        await asyncio.sleep(wait * self._uniform(0.8, 1.2))
                        continue
                    troubles = 0
                    await self._tell_connected()
                    self.poke()
                try:
                    async with asyncio.timeout(KEEP_SECONDS):
                        mail = await self._todo.get()
                except TimeoutError:
                    await lane.close()
                    continue
                self._in_hand += 1
                try:
                    self._note(mail, await self._deliver(lane, mail))
                except BaseException as fault:
                    # Stopped, or a fault of ours: what is known of the mail is the phase it was in.
                    outcome = Outcome.UNCERTAIN if lane.beyond_recall else Outcome.RETURNED
                    self._note(mail, Answer(outcome, text=_UNKNOWN, counted=lane.beyond_recall))
                    if not isinstance(fault, Exception):
                        raise
                    log.exception(
                        "lane_failed publication=P-%d recipient=%d", mail.publication, mail.recipient
                    )
                    await lane.close()
                finally:
                    self._in_hand -= 1
        finally:
            await lane.close()

    async def _deliver(self, lane: Lane, mail: Ready) -> Answer:
        """Hand over, on a fresh connection if the kept one turns out to be dead before anything was handed over."""
        answer = Answer(Outcome.RETURNED, text="it waited too long for a connection", counted=False)
        for _ in range(2):
            if self._monotonic() - mail.marked > START_WITHIN:
                break
            try:
                answer = await lane.hand_over(
                    mail.address, mail.octets, before=lambda: self._journal.hand_over(mail.recipient)
                )
            except LaneTrouble as trouble:
                answer = Answer(Outcome.RETURNED, text=str(trouble), counted=False)
                break
            if answer.outcome is not Outcome.RETURNED or answer.refuses_us:
                break
        return answer

    def _note(self, mail: Ready, answer: Answer) -> None:
        """Keep an answer for the next transaction, without addresses."""
        if answer.outcome is Outcome.SENT:
            with contextlib.suppress(OSError):  # without this record it counts as uncertain after a crash
                self._journal.accepted(mail.recipient)
        text = plain(scrubbed(answer.text, self._keys.hash))[:500] or None
        wait = 0.0
        if answer.outcome is Outcome.DEFERRED:
            wait = retry_after(mail.tries + 1 if answer.counted else 1, self._uniform)
        elif answer.outcome is Outcome.RETURNED:
            wait = self._uniform(1.0, 3.0)
        if answer.refuses_us:
            self._refused[mail.publication] = (
                f"the relay refuses our sender address: {answer.code} {text or ''}"
            )
        self._answers.append(
            Answered(
                recipient=mail.recipient,
                publication=mail.publication,
                claim=mail.claim,
                state=str(answer.outcome),
                code=answer.code or None,
                text=text,
                wait=wait,
                counted=answer.counted,
            )
        )
        if answer.outcome is not Outcome.SENT:
            log.info(
                "mail_%s publication=P-%d recipient=%d code=%s reason=%r",
                answer.outcome, mail.publication, mail.recipient, answer.code, text,
            )  # fmt: skip
        # Write when many answers are there or the lanes run dry, else a little later.
        if self._todo.qsize() <= self._window // 4:
            self.poke()
        elif self._bell is None:
            self._bell = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._ring)

    def _ring(self) -> None:
        self._bell = None
        self.poke()

    async def _tell_trouble(self, words: str) -> None:
        self._troubles += 1
        log.warning("relay_trouble times=%d reason=%r", self._troubles, words)
        if self._troubles >= TROUBLES_TO_TELL and not self._told:
            self._told = True
            with contextlib.suppress(ServiceAway):
                await workers.open_alert(
                    self._db,
                    "relay_away",
                    "mail relay",
                    f"The mail relay cannot be used: {words}",
                    level="critical",
                )

    async def _tell_connected(self) -> None:
        self._troubles = 0
        if self._told:
            self._told = False
            with contextlib.suppress(ServiceAway):
                await workers.close_alert(self._db, "relay_away", "mail relay")

    # -- the end ---------------------------------------------------------------------------------------

    async def _end(self, lanes: Sequence[asyncio.Task[None]]) -> None:
        """Give back what no lane has, wait for answers, store them."""
        self._give_back(_UNKNOWN)
        deadline = self._monotonic() + STOP_SECONDS
        while self._in_hand and self._monotonic() < deadline:
            if not self._hurry.is_set():
                deadline = self._monotonic() + STOP_SECONDS
            self._progress()
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._news.wait()
        pending = set(lanes)
        while pending:  # again: a cancellation that meets the end of a connection attempt can be lost in it
            for lane in pending:
                lane.cancel()
            _, pending = await asyncio.wait(pending, timeout=1.0)
        for lane in lanes:
            if not lane.cancelled() and (fault := lane.exception()) is not None:
                log.error("lane_failed reason=%r", str(fault))
        if self._bell is not None:
            self._bell.cancel()
        if self._answers or self._orphans:
            try:
                await self._commit(list(self._answers), 0)
            except ServiceAway as away:
                log.error("answers_not_stored count=%d reason=%r", len(self._answers), away.what)
        self._journal.end(settled=not self._answers and not self._orphans and not self._flying)
