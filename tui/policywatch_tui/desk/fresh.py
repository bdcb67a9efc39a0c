"""How fresh the screen is: server time without the local wall clock, and the word live, STALE or OFFLINE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from policywatch_tui.desk.line import Look, Piece

__all__ = ["POLL_SECONDS", "STALE_SECONDS", "Freshness", "seconds_to_next_look"]

POLL_SECONDS = 30.0
STALE_SECONDS = 3 * POLL_SECONDS
_SOON_SECONDS = 5.0
_FIRST_LOOKS = 6


def seconds_to_next_look(looks: int, *, offline: bool, daemon_seen: bool) -> float:
    """How long to wait for the next look at everything, after so many of them.

    Sooner while the server is away, and at first while no daemon beats: a desk begins one and is open before it does.
    """
    soon = offline or (looks < _FIRST_LOOKS and not daemon_seen)
    return _SOON_SECONDS if soon else POLL_SECONDS


_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class Freshness:
    """The last contact with the server. `mono` arguments are seconds of a monotonic clock."""

    server_at: datetime | None = None
    server_mono: float = 0.0
    contact_mono: float = 0.0
    offline_at: datetime | None = None

    def told(self, server_now: datetime, mono: float) -> None:
        """The server said what time it is."""
        self.server_at, self.server_mono = server_now, mono
        self.contact(mono)

    def contact(self, mono: float) -> None:
        """The server answered anything."""
        self.contact_mono = mono
        self.offline_at = None

    def lost(self, mono: float) -> None:
        """The server did not answer."""
        if self.offline_at is None:
            self.offline_at = self.now(mono)

    @property
    def loaded(self) -> bool:
        """Whether the server ever answered."""
        return self.server_at is not None

    @property
    def offline(self) -> bool:
        """Whether the last question went unanswered."""
        return self.offline_at is not None

    def now(self, mono: float) -> datetime:
        """The server's time; before the first answer there is none, and the epoch stands for it."""
        if self.server_at is None:
            return _EPOCH
        return self.server_at + timedelta(seconds=mono - self.server_mono)

    def word(self, mono: float, zone: tzinfo, unconfirmed: int = 0) -> Piece:
        """The word at the top right of every screen."""
        if self.offline_at is not None:
            since = "" if self.server_at is None else f" {self.offline_at.astimezone(zone):%H:%M}"
            open_acts = f", {unconfirmed} unconfirmed" if unconfirmed else ""
            return f" OFFLINE{since}{open_acts} ", Look.REVERSE
        if self.server_at is None:
            return "not loaded yet", Look.DIM
        silent = mono - self.contact_mono
        if silent > STALE_SECONDS:
            return f" STALE {max(1, int(silent // 60))}m ", Look.REVERSE
        return f"live {self.now(self.contact_mono).astimezone(zone):%H:%M}", Look.DIM
