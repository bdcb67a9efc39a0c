"""A scenario: what a pretend web holds, how it misbehaves, and what really changes in it. Values only.

How a file is read is the business of `scenario_file`, what follows from a scenario by its seed that of
`scenario_script`, how it is served that of `scenario_web`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

__all__ = [
    "Bad", "BadKind", "ChangeKind", "Changes", "Documents", "Noise", "NoiseKind", "Outside", "Real", "Scenario",
    "Server", "Validators",
]  # fmt: skip


class NoiseKind(StrEnum):
    """What differs on a page though the policy says the same."""

    LINK_TOKENS = "link_tokens"
    RELATIVE_TIME = "relative_time"
    COUNTER = "counter"
    NAV_ORDER = "nav_order"
    AD_BOX = "ad_box"
    MARKUP = "markup"
    WHITESPACE = "whitespace"
    CLASS_NAMES = "class_names"


class BadKind(StrEnum):
    """What comes in place of the policy. Those up to MAINTENANCE answer 200."""

    CAPTCHA = "captcha"
    LOGIN = "login"
    CONSENT = "consent"
    SOFT_404 = "soft_404"
    EMPTY = "empty"
    CUT = "cut"
    HALF = "half"
    WRONG_LANGUAGE = "wrong_language"
    SCRIPT_SHELL = "script_shell"
    MOJIBAKE = "mojibake"
    OTHER_TEXT = "other_text"
    MAINTENANCE = "maintenance"
    FORBIDDEN = "forbidden"
    TOO_MANY = "too_many"
    TOO_MANY_WAIT = "too_many_wait"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    NO_ANSWER = "no_answer"
    LOGIN_REDIRECT = "login_redirect"
    OTHER_DOMAIN = "other_domain"


class ChangeKind(StrEnum):
    """What a real change does to the text."""

    CLAUSE_ADDED = "clause_added"
    CLAUSE_REMOVED = "clause_removed"
    NUMBER_CHANGED = "number_changed"
    WORDING_CHANGED = "wording_changed"
    TAKEN_BACK = "taken_back"


class Validators(StrEnum):
    """What a server sends with a page, so that it can be asked whether the page changed."""

    BOTH = "both"
    ETAG = "etag"
    DATE = "date"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Documents:
    """How many documents there are, of how many platforms on how many hosts.

    By turns go the numbers of pages and the validators that servers send: both, etag, date (Last-Modified), none.
    """

    count: int = 200
    platforms: int = 50
    hosts: int = 40
    pages: tuple[int, ...] = (1, 1, 1, 1, 3)
    validators: tuple[Validators, ...] = tuple(Validators)


@dataclass(frozen=True, slots=True)
class Noise:
    """`share` of the documents that differ in each round."""

    share: float = 0.3
    kinds: tuple[NoiseKind, ...] = tuple(NoiseKind)


@dataclass(frozen=True, slots=True)
class Bad:
    """Each kind on `share` of the documents in some rounds of `rounds`, `lasting` so many rounds.

    `brief`: the share of these that are over after the first request or two of the round.
    """

    share: float = 0.2
    rounds: tuple[int, int] = (5, 25)
    lasting: tuple[int, int] = (1, 3)
    brief: float = 0.2
    kinds: tuple[BadKind, ...] = tuple(BadKind)


@dataclass(frozen=True, slots=True)
class Changes:
    """Real changes: `count` of them in `rounds`; the shares say with which validators they are published."""

    count: int = 120
    rounds: tuple[int, int] = (2, 27)
    old_last_modified: float = 0.2
    no_validators: float = 0.1
    lying: float = 0.0
    kinds: tuple[ChangeKind, ...] = tuple(ChangeKind)


@dataclass(frozen=True, slots=True)
class Server:
    """An outside server on loopback that is visited instead of our own. `advance` is asked before each round."""

    host: str
    port: int
    advance: str | None = None


@dataclass(frozen=True, slots=True)
class Outside:
    """A document on an outside server, as the settings write it."""

    platform: str
    key: str
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """platform/document."""
        return f"{self.platform}/{self.key}"


@dataclass(frozen=True, slots=True)
class Real:
    """A real change of an outside document, for the comparison with what was found."""

    round: int
    document: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """All of it. `flapping`, `moved`, `refused` (by robots.txt) are shares of the documents."""

    name: str = "scenario"
    seed: int = 1
    rounds: int = 30
    cadence: timedelta = timedelta(hours=12)
    documents: Documents = Documents()
    noise: Noise = Noise()
    bad: Bad = Bad()
    changes: Changes = Changes()
    flapping: float = 0.0
    moved: float = 0.0
    refused: float = 0.0
    ports: int = 1
    delay: float = 0.0
    fetch: Mapping[str, Any] = field(default_factory=dict)
    rule: Mapping[str, Any] = field(default_factory=dict)
    server: Server | None = None
    outside: tuple[Outside, ...] = ()
    truth: tuple[Real, ...] | None = None

    def at(self, *, seed: int | None = None, rounds: int | None = None) -> Scenario:
        """The same scenario with another seed or another number of rounds."""
        return replace(
            self,
            seed=self.seed if seed is None else seed,
            rounds=self.rounds if rounds is None else rounds,
        )
