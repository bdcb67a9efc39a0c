"""What follows from a scenario by its seed: documents, their texts by round, bad spans, noise; and the truth of it.

Equal scenarios give equal scripts. Nothing here knows a clock: rounds count from 0, the first state, in which
nothing is bad and nothing has changed yet.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from policywatch.simulated.scenario import BadKind, ChangeKind, NoiseKind, Scenario
from policywatch.simulated.scenario_texts import NAMES, company, edited, page_text

__all__ = ["Page", "Script", "ScriptedDocument", "Span", "Version"]

_APART = 4  # rounds at least between two changes of one document
_TRIES = 60


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a document. `validators`: both, etag, date, none; see docs/scenario.md for old, exact, lying."""

    document: int
    number: int
    host: str
    path: str
    validators: str

    @property
    def url(self) -> str:
        """Its address; the port is the resolver's business."""
        return f"http://{self.host}{self.path}"


@dataclass(frozen=True, slots=True)
class Span:
    """From round `first` to `last` a page is bad. `requests`: so many of each round (0: all of them)."""

    page: int
    kind: BadKind
    first: int
    last: int
    requests: int = 0

    def covers(self, round_: int) -> bool:
        """Whether that round is one of them."""
        return self.first <= round_ <= self.last


@dataclass(frozen=True, slots=True)
class Version:
    """From `round` on, `page` of the document says `blocks`. The first version of each page has round 0."""

    round: int
    page: int
    kind: ChangeKind | None
    blocks: tuple[str, ...]


@dataclass(slots=True)
class ScriptedDocument:
    """A document of the pretend web, with all that happens to it."""

    number: int
    platform: int
    platform_name: str
    key: str
    name: str
    pages: tuple[Page, ...]
    versions: list[Version] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    flaps_at: int | None = None
    moved_at: int | None = None
    refused: bool = False

    @property
    def full_name(self) -> str:
        """platform/document, as the program writes it."""
        return f"p{self.platform}/{self.key}"

    def version(self, page: int, round_: int) -> int:
        """How many versions of that page came before the one of that round."""
        return sum(one.page == page and one.round <= round_ for one in self.versions) - 1

    def blocks(self, page: int, version: int) -> tuple[str, ...]:
        """The text of a version of a page."""
        return [one for one in self.versions if one.page == page][version].blocks

    def text(self, round_: int) -> tuple[tuple[str, ...], ...]:
        """What the document says in that round, page by page."""
        return tuple(self.blocks(page.number, self.version(page.number, round_)) for page in self.pages)

    @property
    def changes(self) -> list[Version]:
        """Its real changes in order."""
        return sorted((one for one in self.versions if one.kind is not None), key=lambda one: one.round)

    def span(self, page: int, round_: int) -> Span | None:
        """What is bad about a page in that round."""
        return next((one for one in self.spans if one.page == page and one.covers(round_)), None)

    def is_good(self, round_: int) -> bool:
        """Whether every request of that round gets the policy."""
        return not any(one.covers(round_) for one in self.spans)


class Script:
    """A scenario worked out. `documents` in order of their numbers.

    Without `texts` only places and names are there, for who needs no more of thousands of documents.
    """

    def __init__(self, scenario: Scenario, *, texts: bool = True) -> None:
        self.scenario, self._texts = scenario, texts
        self.documents = [self._document(number) for number in range(scenario.documents.count)]
        draw = self._draw("roles")
        numbers = list(range(len(self.documents)))
        draw.shuffle(numbers)
        if not texts:
            return
        self._roles(numbers)
        self._bad()
        self._changes()
        self._flaps()

    def _draw(self, *about: object) -> random.Random:
        return random.Random("/".join(map(str, (self.scenario.seed, *about))))  # noqa: S311 (repeatable)

    def _document(self, number: int) -> ScriptedDocument:
        about, seed = self.scenario.documents, self.scenario.seed
        platform = number % about.platforms
        turn = number // about.platforms
        name = NAMES[turn % len(NAMES)] + (f" {turn // len(NAMES) + 1}" if turn >= len(NAMES) else "")
        key = name.lower().replace(" ", "-")
        host = f"h{platform % about.hosts}.test"
        manners = [manner.value for manner in about.validators]
        pages = tuple(
            Page(number, page, host, f"/p{platform}/{key}" + (f"/{page + 1}" if page else ""),
                 manners[(number // 3 + page) % len(manners)])
            for page in range(about.pages[number % len(about.pages)])
        )  # fmt: skip
        document = ScriptedDocument(number, platform, company(seed, platform).name, key, name, pages)
        for page in pages if self._texts else ():
            text = page_text(seed, platform, number, page.number, name, turn)
            document.versions.append(Version(0, page.number, None, text))
        return document

    def _roles(self, numbers: list[int]) -> None:
        """Who flaps, who moves, whom robots.txt refuses: no document is two of them."""
        scenario, count = self.scenario, len(numbers)
        for _ in range(round(scenario.refused * count)):
            self.documents[numbers.pop()].refused = True
        draw = self._draw("roles", "rounds")
        for _ in range(round(scenario.flapping * count)):
            self.documents[numbers.pop()].flaps_at = draw.randint(1, max(1, scenario.rounds // 2))
        for _ in range(round(scenario.moved * count)):
            self.documents[numbers.pop()].moved_at = draw.randint(1, scenario.rounds)

    @property
    def steady(self) -> list[ScriptedDocument]:
        """Those that are neither refused nor flapping: bad captures and real changes happen to them."""
        return [one for one in self.documents if not (one.refused or one.flaps_at is not None)]

    # -- what is bad --

    def _bad(self) -> None:
        bad, draw = self.scenario.bad, self._draw("bad")
        last = min(bad.rounds[1], self.scenario.rounds)
        if not bad.share or last < bad.rounds[0]:
            return
        steady = self.steady
        for kind in bad.kinds:
            left = round(bad.share * len(self.documents))
            for document in draw.sample(steady, len(steady)):
                if not left:
                    break
                left -= self._spoil(draw, document, kind, (bad.rounds[0], last))

    def _spoil(
        self, draw: random.Random, document: ScriptedDocument, kind: BadKind, rounds: tuple[int, int]
    ) -> bool:
        """Find the document a span of that kind with a good round before and after; False where there is none."""
        bad = self.scenario.bad
        for _ in range(_TRIES):
            lasting = draw.randint(*bad.lasting)
            first = draw.randint(*rounds)
            until = min(first + lasting - 1, rounds[1])
            if any(one.first <= until + 1 and first <= one.last + 1 for one in document.spans):
                continue
            requests = draw.choice((1, 1, 2)) if draw.random() < bad.brief else 0
            page = draw.choice(document.pages).number
            document.spans.append(Span(page, kind, first, until, requests))
            return True
        return False

    # -- what really changes --

    def _changes(self) -> None:
        changes, draw = self.scenario.changes, self._draw("changes")
        last = min(changes.rounds[1], self.scenario.rounds)
        if not changes.count or last < changes.rounds[0]:
            return
        shares = (
            ("old", changes.old_last_modified / 2),
            ("exact", changes.old_last_modified / 2),
            ("none", changes.no_validators),
            ("lying", changes.lying),
        )
        wanted = Counter({manner: round(share * changes.count) for manner, share in shares})
        wanted["usual"] = changes.count - wanted.total()
        manners = [manner for manner, times in sorted(wanted.items()) for _ in range(times)]
        draw.shuffle(manners)
        taken: dict[tuple[int, int], str] = {}
        steady = self.steady
        for manner in manners:
            for _ in range(_TRIES):
                document = draw.choice(steady)
                page = draw.choice(document.pages)
                known = taken.get((document.number, page.number), manner)
                if known == manner and self._change(draw, document, page, last):
                    taken[document.number, page.number] = manner
                    break
        for (number, page_number), manner in taken.items():
            if manner != "usual":
                self._publish(self.documents[number], page_number, manner)

    def _change(self, draw: random.Random, document: ScriptedDocument, page: Page, last: int) -> bool:
        round_ = draw.randint(self.scenario.changes.rounds[0], last)
        if not all(self._apart(document, round_, one.round) for one in document.changes):
            return False
        before = [one for one in document.versions if one.page == page.number]
        if any(one.round > round_ for one in before):
            return False  # texts are made one out of the other, in order
        kind = draw.choice(self.scenario.changes.kinds)
        if kind is ChangeKind.TAKEN_BACK and len(before) > 1:
            blocks = before[-2].blocks
        else:
            kind = ChangeKind.CLAUSE_ADDED if kind is ChangeKind.TAKEN_BACK else kind
            blocks = edited(draw, kind, before[-1].blocks)
        document.versions.append(Version(round_, page.number, kind, blocks))
        return True

    def _apart(self, document: ScriptedDocument, one: int, other: int) -> bool:
        """Whether two changes can be told apart: some rounds, and good ones of them, lie between."""
        early, late = sorted((one, other))
        good = sum(document.is_good(round_) for round_ in range(early, late))
        return late - early >= _APART and good >= 3

    def _publish(self, document: ScriptedDocument, page: int, manner: str) -> None:
        old = document.pages[page]
        new = Page(old.document, old.number, old.host, old.path, manner)
        document.pages = (*document.pages[:page], new, *document.pages[page + 1 :])

    def _flaps(self) -> None:
        """The second text of a page that shows two by turns: version 1, which no round reaches."""
        for document in self.documents:
            if document.flaps_at is not None:
                draw = self._draw("flap", document.number)
                text = edited(draw, ChangeKind.CLAUSE_ADDED, document.versions[0].blocks)
                document.versions.append(Version(10**9, 0, None, text))

    # -- noise --

    def noise(self, document: ScriptedDocument, round_: int) -> tuple[NoiseKind, ...]:
        """What differs on the pages of a document in that round though the policy says the same."""
        about = self.scenario.noise
        if round_ == 0 or any(page.validators in ("old", "exact", "lying") for page in document.pages):
            return ()  # a page that is made anew every day carries no old file time
        draw = self._draw("noise", document.number, round_)
        if draw.random() >= about.share:
            return ()
        return tuple(draw.sample(about.kinds, draw.randint(1, min(3, len(about.kinds)))))

    # -- the truth --

    @cached_property
    def by_name(self) -> dict[str, ScriptedDocument]:
        """The documents by platform/document."""
        return {one.full_name: one for one in self.documents}

    def truth(self) -> dict[str, Any]:
        """The truth file: what a perfect run finds, in plain types."""
        return {
            "scenario": self.scenario.name,
            "seed": self.scenario.seed,
            "rounds": self.scenario.rounds,
            "documents": [
                {
                    "document": one.full_name,
                    "pages": [page.url for page in one.pages],
                    "validators": [page.validators for page in one.pages],
                    "refused": one.refused,
                    "flaps_at": one.flaps_at,
                    "moved_at": one.moved_at,
                }
                for one in self.documents
            ],
            "by_round": [self._truth_of(round_) for round_ in range(self.scenario.rounds + 1)],
        }

    def _truth_of(self, round_: int) -> dict[str, Any]:
        return {
            "round": round_,
            "changes": [
                {
                    "document": one.full_name,
                    "page": change.page,
                    "kind": str(change.kind),
                    "validators": one.pages[change.page].validators,
                }
                for one, change in self._changes_of(round_)
            ],
            "bad": [
                {
                    "document": one.full_name,
                    "page": span.page,
                    "kind": span.kind.value,
                    "requests": span.requests,
                }
                for one in self.documents
                for span in one.spans
                if span.covers(round_)
            ],
            "noise": [one.full_name for one in self.documents if self.noise(one, round_)],
        }

    def _changes_of(self, round_: int) -> Iterator[tuple[ScriptedDocument, Version]]:
        for one in self.documents:
            yield from ((one, change) for change in one.changes if change.round == round_)

    # -- the settings of the daemon that visits it --

    def platforms(self) -> dict[str, Any]:
        """The section `platforms` of the settings."""
        found: dict[str, Any] = {}
        rule = {"select": ["main"], "remove": [".feedback", ".related"], "filters": ["drop_relative_times"]}
        rule |= self.scenario.rule
        for one in self.documents:
            platform = found.setdefault(
                f"p{one.platform}", {"name": f"{one.platform_name} {one.platform}", "documents": {}}
            )
            platform["documents"][one.key] = {
                "name": one.name,
                "language": "en",
                "pages": [{"url": page.url, **rule} for page in one.pages],
            }
        return found


def rounds_until_good(document: ScriptedDocument, round_: int, last: int) -> Sequence[int]:
    """The rounds from `round_` to `last` in which every request gets the policy, in order."""
    return [one for one in range(round_, last + 1) if document.is_good(one)]
