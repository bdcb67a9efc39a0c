"""What happens in the demo, step by step: the daemon watches, ana reviews and writes, ben decides, members get mail.

Each step of a person is an act on that person's own connection. Nothing is decided here: the database says
yes or no.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policywatch.db import acts, listing
from policywatch.db import demo as ledger
from policywatch.db.pool import Database
from policywatch.errors import NotAllowed, PolicyWatchError
from policywatch.simulated.members import expected_count
from policywatch.simulated.story import expected, judge_found
from policywatch_tui.commands.demo.figures import Script, Tally, received
from policywatch_tui.commands.demo.stage import GRACE_SECONDS, Stage
from policywatch_tui.commands.demo.teller import Teller
from policywatch_tui.drafting import as_sheet, from_sheet, open_draft

__all__ = ["Story"]

_NOTE = "If this touches work that you have under way, answer this mail and we look at it together. ana\n"
_MENDED = "We have read this one again and corrected it. ana\n"


@dataclass(slots=True)
class _Guidance:
    """A draft on its way through the story."""

    draft: int
    version: int
    segment: str
    subject: str = ""
    approval: int = 0
    publication: int = 0


class Story:
    """One telling of it. `rounds` beyond round 0; those beyond the script are noise alone."""

    def __init__(self, stage: Stage, teller: Teller, rounds: int) -> None:
        self._stage = stage
        self._teller = teller
        self._rounds = rounds
        self._ana = stage.people["ana"].db
        self._ben = stage.people["ben"].db
        self._tally = Tally()
        self._kept = _Guidance(0, 0, "journalists")
        self._withdrawn = _Guidance(0, 0, "creators")

    async def tell(self) -> None:
        """The whole story; PolicyWatchError where it cannot go on."""
        await self._read_twice()
        # The last scripted round comes when the others have been decided: it is left for the person at the desk.
        for _ in range(max(1, min(self._rounds, self._stage.web.truth.rounds - 1) - 1)):
            await self._next_round()
        await self._review()
        await self._write()
        await self._submit()
        await self._refused()
        await self._approve()
        await self._take_back()
        while self._stage.web.round < self._rounds:
            await self._next_round()
        await self._delivered()
        await self._mend()

    async def figures(self) -> dict[str, float]:
        """The numbers of what happened; call it when nothing moves any more."""
        counted = await ledger.figures(self._stage.owner)
        mails = received(self._stage.sink.mails, self._withdrawn.subject)
        return {
            "platforms": counted.pop("platforms"),
            "documents": counted.pop("documents"),
            "visits": counted.pop("visits"),
            "changes_expected": self._tally.expected,
            "changes_found": counted.pop("changes_found"),
            "false_alarms": self._tally.false_alarms,
            "missed": len(self._tally.missed),
            **counted,
            **mails,
            "seconds": round(self._teller.seconds, 1),
        }

    def script(self) -> Script:
        """What the numbers must be."""
        truth = self._stage.web.truth
        known = expected(truth, min(self._rounds, truth.rounds - 1))
        return Script(
            platforms=known.platforms,
            documents=known.documents,
            changes=known.changes,
            recipients=expected_count(self._stage.members, {"kind": ["journalist"]}),
        )

    # -- what the daemon does --

    async def _read_twice(self) -> None:
        web, count = self._stage.web, len(self._stage.web.documents)
        self._teller.doing("the daemon starts and reads every policy")
        await web.wait_until_read(2, timeout=30)
        since = web.log[0].at
        await self._stage.waiting.until(lambda: self._settled(since), "the first reading of every policy")
        if unread := await ledger.unhealthy(self._stage.owner):
            raise PolicyWatchError("The daemon could not read every policy.", remedy="\n".join(unread))
        self._teller.told(
            f"The daemon has read all {count} policies, each two times: a rule is valid when both texts agree."
        )
        self._teller.doing("it looks at them again")
        await self._visit_all(3)
        asked, unchanged = web.second_pass()
        self._teller.told(
            f"It looked again and asked {asked} pages whether they had changed; {unchanged} said no (304)."
        )

    async def _next_round(self) -> None:
        web, tally = self._stage.web, self._tally
        round_ = web.advance()
        wanted = len(web.truth.changed(round_))
        self._teller.doing(f"round {round_}: the platforms change {wanted} policies, and much else")
        await self._visit_all(1)
        rows = await ledger.found(self._stage.owner, tally.newest)
        right, wrong, missed = judge_found(web.truth, round_, [(row[1], row[2]) for row in rows])
        tally.expected += wanted
        tally.right += right
        tally.false_alarms += wrong
        tally.missed += missed
        tally.newest = max([tally.newest, *(row[0] for row in rows)])
        alarms = f"{wrong or 'no'} false alarm{'' if wrong == 1 else 's'}"
        if wanted:
            self._teller.told(
                f"Round {round_}: {wanted} policies changed among the noise; {right} found, {alarms}."
            )
        else:
            self._teller.told(
                f"Round {round_}: menus, counters and link tokens changed, no policy did; {alarms}."
            )

    async def _visit_all(self, times: int) -> None:
        """Have every document visited now, and wait until each was read so often in this round and judged."""
        since = await ledger.clock(self._stage.owner)
        await acts.request_visit(self._ana, None, None)
        await self._stage.web.wait_until_read(times, timeout=60)
        await self._stage.waiting.until(lambda: self._settled(since), "the reading of every policy")

    async def _settled(self, since: Any) -> bool:
        return not await ledger.unsettled(self._stage.owner, since)

    # -- what ana does --

    async def _review(self) -> None:
        self._teller.doing("ana reads the queue")
        rows = await listing.changes(self._ana, statuses=listing.UNDECIDED, by_rank=True)
        if len(rows) < 3:
            raise PolicyWatchError(f"Only {len(rows)} changes wait in the queue; the story needs three.")
        for place, row in enumerate(rows):
            number, version = row["change_id"], row["version"]
            if place == len(rows) - 1:
                hasty = await acts.decide_change(self._ana, number, version, "no_effect")
                undone = await acts.undo_verdict(self._ana, number, hasty.version or 0)
                version = undone.version or 0
            await acts.decide_change(self._ana, number, version, "accepted")
        self._teller.told(
            f"ana reads {len(rows)} changes and accepts them. One she had waved away; she took that back."
        )

    async def _write(self) -> None:
        rows = await listing.changes(self._ana, statuses=["decided"], by_rank=True)
        numbers = [row["change_id"] for row in rows]
        for guidance, chosen in ((self._kept, numbers[:2]), (self._withdrawn, numbers[2:3])):
            self._teller.doing("ana opens a draft from accepted changes")
            made = await open_draft(self._ana, chosen, segment=guidance.segment)
            guidance.draft, guidance.version = made.id or 0, made.version or 0
        await self._revise(self._kept, _NOTE)
        self._teller.told(
            f"ana opens two drafts from them, G-{self._kept.draft} and G-{self._withdrawn.draft}, each with its "
            f"quotes, and adds words of her own to G-{self._kept.draft}."
        )

    async def _revise(self, guidance: _Guidance, words: str) -> None:
        """Add words at the end, as the editor of a person would."""
        row = await self._row(listing.draft(self._ana, guidance.draft))
        sheet = as_sheet(row["subject"], row["body_text"]) + "\n" + words
        subject, text, html = from_sheet(sheet)
        done = await acts.revise_draft(
            self._ana, guidance.draft, row["version"], subject=subject, text=text, html=html
        )
        guidance.version = done.version or 0

    async def _submit(self) -> None:
        counts = []
        for guidance in (self._kept, self._withdrawn):
            counts.append(f"{await self._ask(guidance)} {guidance.segment}")
        self._teller.told(f"ana submits both. The daemon counts who would get them: {' and '.join(counts)}.")

    async def _ask(self, guidance: _Guidance) -> int:
        """Submit a draft and wait for the number of its recipients."""
        self._teller.doing(f"the daemon counts the {guidance.segment}")
        asked = await acts.submit_draft(self._ana, guidance.draft, guidance.version, guidance.segment)
        guidance.approval = asked.id or 0

        async def counted() -> dict[str, Any] | None:
            row = await self._row(listing.approval(self._ana, guidance.approval))
            if row["count_fault"]:
                raise PolicyWatchError(f"The audience could not be counted: {row['count_fault']}")
            return None if row["recipient_count"] is None else row

        row = await self._stage.waiting.until(counted, "the count of an audience")
        assert row is not None
        guidance.subject = str(row["subject"])
        return int(row["recipient_count"])

    async def _refused(self) -> None:
        try:
            await self._say_yes(self._ana, self._kept)
        except NotAllowed as refusal:
            self._teller.told(f'ana tries to approve her own guidance. The database says: "{refusal.what}"')

    async def _take_back(self) -> None:
        await acts.withdraw_publication(self._ana, self._withdrawn.publication)
        self._teller.told(
            f"ana sees a mistake in G-{self._withdrawn.draft} and takes P-{self._withdrawn.publication} back in "
            "time. Nobody got it."
        )

    async def _mend(self) -> None:
        await self._revise(self._withdrawn, _MENDED)
        await self._ask(self._withdrawn)
        self._teller.told(
            f"ana mends G-{self._withdrawn.draft} and submits it again. It waits for ben, as A-"
            f"{self._withdrawn.approval}."
        )

    # -- what ben does --

    async def _approve(self) -> None:
        for guidance in (self._kept, self._withdrawn):
            self._teller.doing(f"ben reads G-{guidance.draft}")
            guidance.publication = await self._say_yes(self._ben, guidance)
        self._teller.told(
            f"ben reads and approves both. P-{self._kept.publication} and P-{self._withdrawn.publication} wait "
            f"out a grace period of {GRACE_SECONDS} seconds."
        )

    async def _say_yes(self, db: Database, guidance: _Guidance) -> int:
        """Approve exactly what this person is shown."""
        shown = await self._row(listing.approval(db, guidance.approval))
        done = await acts.approve_request(
            db, guidance.approval, shown["version"], bytes(shown["content_hash"]), shown["recipient_count"]
        )
        return done.id or 0

    # -- what members get --

    async def _delivered(self) -> None:
        number = self._kept.publication
        self._teller.doing(f"the grace period of P-{number} ends, and its mails go out")

        async def sent() -> bool:
            rows = await listing.publications(self._ben, number)
            if rows[0]["state"] not in ("grace", "releasing", "sent"):
                raise PolicyWatchError(
                    f"P-{number} is {rows[0]['state']}.", remedy=str(rows[0]["pause_reason"] or "")
                )
            return str(rows[0]["state"]) == "sent"

        await self._stage.waiting.until(sent, f"the sending of P-{number}", limit=45)
        people = len(self._stage.sink.recipients())
        self._teller.told(
            f"The grace period is over. P-{number} went out: {len(self._stage.sink.mails)} mails arrived at "
            f"{people} members, none of P-{self._withdrawn.publication}."
        )

    @staticmethod
    async def _row(asked: Any) -> dict[str, Any]:
        row: dict[str, Any] | None = await asked
        if row is None:
            raise PolicyWatchError("A row of the story is not there.")
        return row
