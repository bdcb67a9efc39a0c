"""What a visit saw of a page, and what that says of its health. Values and tables only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from policywatch.db.collecting import Page

__all__ = ["Fault", "Seen", "Trial", "of_code", "of_status"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a page cannot be read: `state` of its capture (failed, suspect), `health`, and a sentence.

    `passing`: likely to be over soon, so that the next look comes before the cadence. The sentence goes into tables,
    logs, alerts and mails: what a page or its server put into it is printable, on one line.
    """

    state: str
    health: str
    cause: str
    passing: bool = False

    def __post_init__(self) -> None:
        if not self.cause.isprintable():
            shown = "".join(sign if sign.isprintable() else " " for sign in self.cause)
            object.__setattr__(self, "cause", shown)


@dataclass(frozen=True, slots=True)
class Trial:
    """How a rule did: two fetches that agree make it valid. `result`: lengths, cause, warnings, volatile passages."""

    rule_id: int
    good: bool
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One page of one visit. Without a fault it is good (`text`, `raw` are there) or unchanged."""

    page: Page
    fault: Fault | None = None
    text: str | None = None
    raw: bytes | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    redirects: Sequence[Mapping[str, Any]] = ()
    final_url: str | None = None
    conditional: bool = False
    elapsed: float | None = None
    wait: float | None = None  # seconds, as the host asked by Retry-After
    fetched: bool = True
    robots: str | None = None  # verdict of robots.txt: allowed, refused, overridden, unknown
    egress: str | None = None  # our own address of the connection
    moved_to: str | None = (
        None  # where the page says that it lives from now on; it was read there all the same
    )
    quality: float | None = None  # badness from 0 to 1; None: not judged, because the text is not new
    signals: Sequence[Mapping[str, Any]] = ()  # the signs behind it
    hashes: tuple[bytes, bytes] | None = None  # of the text: what a reader reads, where the links lead
    step: str = "http"  # of the ladder, by which it was read: http, browser
    step_reason: str | None = None  # why not by a lower step
    plain: str | None = None  # the plain page was looked at too, and what it lacked
    trial: Trial | None = None  # of the page's rule, where this look tried it
    accepted: int | None = None  # the suspect capture that a person accepted and that stands for this page

    @property
    def is_read(self) -> bool:
        """Whether this look says what the page says: good, unchanged, or as a person accepted it."""
        return self.fault is None or self.accepted is not None

    @property
    def is_plainly_unchanged(self) -> bool:
        """Whether nothing but the look itself is to be noted: no body came, and nobody moved."""
        return (
            self.status == HTTPStatus.NOT_MODIFIED
            and self.fault is None
            and self.text is None
            and self.accepted is None
            and self.moved_to is None
        )

    @property
    def state(self) -> str:
        """The state of the capture."""
        if self.fault:
            return self.fault.state
        return "unchanged" if self.text is None else "good"


_STATUS: dict[int, tuple[str, bool]] = {
    401: ("blocked", False),
    403: ("blocked", False),
    404: ("gone", False),
    410: ("gone", False),
    429: ("blocked", True),
    451: ("blocked", False),
}
_CODES: dict[str, tuple[str, bool]] = {
    "timeout": ("degraded", True),
    "connect": ("degraded", True),
    "cut": ("degraded", True),
    "wall": ("blocked", False),
    "redirect": ("moved", False),
    "address": ("needs-rules", False),
    "robots": ("blocked", False),
    "robots-unknown": ("degraded", True),
    "credential": ("blocked", False),
    "kind": ("needs-rules", False),
    **dict.fromkeys(("render-away", "render", "busy", "browser", "page", "unsettled"), ("degraded", True)),
}


def of_status(status: int) -> Fault:
    """The fault of an answer that is neither a page nor "not modified"."""
    health, passing = _STATUS.get(status, ("degraded", status >= 500))
    try:
        words = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        words = str(status)
    return Fault("failed", health, f"the page answers {words}", passing)


def of_code(code: str, cause: str) -> Fault:
    """The fault of a fetch that brought no whole answer."""
    health, passing = _CODES.get(code, ("degraded", False))
    return Fault("failed", health, cause, passing)
