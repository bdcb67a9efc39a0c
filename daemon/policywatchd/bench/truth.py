"""What was found, held against the script of the scenario. Pure: texts, rounds and hours in, faults out.

A stored text is known by its words: for each page of its document it is one of the scripted versions, or something
that no version says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from policywatch.simulated.scenario import Scenario
from policywatch.simulated.scenario_script import Script, ScriptedDocument
from policywatch.simulated.scenario_texts import words_of

__all__ = ["FAULTS", "Truth"]

#: What must be 0 at the end of a run.
FAULTS = (
    "missed", "found_twice", "late", "false_alarms", "bad_taken_as_content", "stuck_afterwards",
    "markup_only_reports", "flapping_repeats", "blind_reported_late", "blind_not_closed", "robots_ignored",
    "in_flight_violations", "min_gap_violations", "visits_failed",
)  # fmt: skip

_NEVER = 10**6

#: For each page the versions that say these words; None: the page is not in the text; empty: no version does.
Identity = tuple[frozenset[int] | None, ...]


@dataclass(slots=True)
class Truth:
    """The judge of one run. `length` is how long a round lasts, `full_fetch` when "not modified" is not believed."""

    script: Script
    length: timedelta
    full_fetch: timedelta
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[dict[str, Any]] = field(default_factory=list)
    found: dict[tuple[str, int, int], int] = field(default_factory=dict)
    ends: list[datetime] = field(default_factory=list)
    _versions: dict[str, list[list[tuple[str, ...]]]] = field(default_factory=dict)
    _flaps: Counter[str] = field(default_factory=Counter)
    _told: set[tuple[str, str, int]] = field(default_factory=set)

    def fault(self, kind: str, document: str, round_: int, **more: object) -> None:
        """Count a fault and keep its circumstances."""
        self.counts[kind] += 1
        self.notes.append({"fault": kind, "document": document, "round": round_, **more})

    @property
    def scenario(self) -> Scenario:
        """What is played."""
        return self.script.scenario

    # -- texts --

    def identify(self, document: ScriptedDocument, text: str) -> Identity:
        """Which versions of its pages a stored text of that document consists of."""
        known = self._versions.get(document.full_name)
        if known is None:
            known = [
                [words_of(one.blocks) for one in document.versions if one.page == page.number]
                for page in document.pages
            ]
            self._versions[document.full_name] = known
        parts = _parts(document, text)
        return tuple(
            None if part is None else frozenset(at for at, words in enumerate(known[page]) if words == part)
            for page, part in enumerate(parts)
        )

    def snapshot(self, name: str, kind: str, text: str, round_: int) -> None:
        """A text that was believed."""
        document = self.script.by_name[name]
        if frozenset() in self.identify(document, text):
            kinds = sorted({one.kind.value for one in document.spans if one.covers(round_)})
            self.fault("bad_taken_as_content", name, round_, snapshot=kind, bad=kinds, text=text[:200])

    # -- changes --

    def report(
        self, name: str, number: int, before: str, after: str, round_: int, *, linked: bool = False
    ) -> None:
        """A change that reached the queue in that round. `linked`: to an earlier one, as its return."""
        document = self.script.by_name[name]
        old, new = self.identify(document, before), self.identify(document, after)
        if document.flaps_at is not None:
            self._flaps[name] += 1
            if self._flaps[name] > 1 and not linked:
                self.fault("flapping_repeats", name, round_, change=number)
            return
        moves = [(page, a, b) for page, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        if not moves:
            self.fault("markup_only_reports", name, round_, change=number)
        for page, were, are in moves:
            if were is None or are is None:
                self.fault("false_alarms", name, round_, change=number, page=page, why="a page came or went")
            elif not were or not are:
                bad = [one.kind.value for one in document.spans if one.page == page]
                self.fault("false_alarms", name, round_, change=number, page=page, why="no version", bad=bad)
            else:
                self._move(name, number, page, were, are, round_)

    def _move(
        self, name: str, number: int, page: int, were: frozenset[int], are: frozenset[int], round_: int
    ) -> None:
        steps = sorted((b - a, b) for a in were for b in are if b > a)
        fresh = [(by, to) for by, to in steps if (name, page, to) not in self.found]
        if not steps:
            self.fault(
                "false_alarms", name, round_, change=number, page=page, why="an older version came back"
            )
        elif not fresh:
            self.fault("found_twice", name, round_, change=number, page=page)
        else:
            by, to = fresh[0]
            for version in range(to - by + 1, to + 1):  # one report of two changes tells of both
                self.found.setdefault((name, page, version), round_)

    # -- the end of a round, and of all --

    def end_round(self, round_: int, at: datetime, standing: Sequence[Mapping[str, Any]]) -> None:
        """How the documents stand when the round is over."""
        self.ends.append(at)
        blind_after = 2 * self.script.scenario.cadence
        for row in standing:
            document = self.script.by_name[row["document"]]
            if document.refused:
                continue
            full = [one for one in document.spans if one.covers(round_) and not one.requests]
            for span in full:
                since = self.ends[span.first - 1]
                key = ("blind_reported_late", document.full_name, span.first)
                if at - since > blind_after and row["blind_since"] is None and key not in self._told:
                    self._told.add(key)
                    self.fault(*key[:2], round_, since=span.first, bad=span.kind.value, health=row["health"])
            healthy = round_ >= 2 and document.is_good(round_) and document.is_good(round_ - 1)
            if healthy and (row["blind_since"] is not None or row["alerted"]):
                key = (
                    "blind_not_closed",
                    document.full_name,
                    max((s.last for s in document.spans), default=0),
                )
                if key not in self._told:
                    self._told.add(key)
                    self.fault(*key[:2], round_, health=row["health"], cause=row["cause"])

    def deadline(self, document: ScriptedDocument, page: int, version: int) -> int | None:
        """The last round in which that change may be reported; None where the run ends before it must be."""
        change = [one for one in document.versions if one.page == page][version]
        first = change.round
        if document.pages[page].validators == "lying":
            first += -(-self.full_fetch // self.length)
        good = [one for one in range(first, self.script.scenario.rounds + 1) if document.is_good(one)]
        return good[1] if len(good) > 1 else None

    def finish(self, standing: Sequence[Mapping[str, Any]], texts: Mapping[str, str]) -> None:
        """Judge the whole run; `texts`: what is believed of each document at its end."""
        last = self.script.scenario.rounds
        for document in self.script.steady:
            self._finish_changes(document)
        for row in standing:
            document = self.script.by_name[row["document"]]
            if (
                document.refused
                or document.flaps_at is not None
                or not all(map(document.is_good, (last, max(0, last - 1))))
            ):
                continue
            text = texts.get(document.full_name)
            identity = None if text is None else self.identify(document, text)
            if identity is None or not self._is_current(document, identity):
                self.fault(
                    "stuck_afterwards", document.full_name, last,
                    health=row["health"], cause=row["cause"], bad=[one.kind.value for one in document.spans],
                )  # fmt: skip

    def _finish_changes(self, document: ScriptedDocument) -> None:
        for page in document.pages:
            count = sum(one.page == page.number for one in document.versions)
            for version in range(1, count):
                deadline = self.deadline(document, page.number, version)
                found = self.found.get((document.full_name, page.number, version))
                if deadline is None:
                    self.counts["undecided"] += 1
                elif found is None:
                    change = [one for one in document.versions if one.page == page.number][version]
                    self.fault(
                        "missed", document.full_name, change.round, page=page.number,
                        change=str(change.kind), validators=page.validators,
                    )  # fmt: skip
                elif found > deadline:
                    self.fault("late", document.full_name, found, page=page.number, deadline=deadline)

    def _is_current(self, document: ScriptedDocument, identity: Identity) -> bool:
        last = self.script.scenario.rounds
        for page, versions in zip(document.pages, identity, strict=True):
            if versions is None:
                return False
            due = [
                version
                for version, one in enumerate([v for v in document.versions if v.page == page.number])
                if version == 0 or self.deadline(document, page.number, version) is not None
            ]
            current = document.version(page.number, last)
            if not any(due[-1] <= version <= current for version in versions):
                return False
        return True

    def figures(self) -> dict[str, Any]:
        """All faults by name, and what was to be found."""
        scripted = sum(len(one.changes) for one in self.script.documents)
        return {
            "changes": scripted,
            "changes_found": len(self.found),
            "undecided": self.counts["undecided"],
            "flapping_reports": self._flaps.total(),
            "faults": {name: self.counts[name] for name in FAULTS},
        }


def _parts(document: ScriptedDocument, text: str) -> list[tuple[str, ...] | None]:
    """The words of each page within the text of a document; None for a page that is not in it."""
    if len(document.pages) == 1:
        return [words_of(text)]
    parts: list[tuple[str, ...] | None] = []
    for page in document.pages:
        heading = f"# {page.url}\n"
        _, there, rest = f"{text}\n".partition(heading)
        ends = [at for other in document.pages if (at := rest.find(f"\n# {other.url}\n")) >= 0]
        parts.append(words_of(rest[: min(ends, default=len(rest))]) if there else None)
    return parts
