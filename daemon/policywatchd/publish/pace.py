"""How fast and how often: mails a second, waits between tries. Pure but for the clock and chance it is given."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

__all__ = ["IDLE_SECONDS", "Pace", "retry_after"]

IDLE_SECONDS = 2.0  # between looks at the database when nothing is known to be due
_RETRIES = (300.0, 900.0, 3600.0, 7200.0, 14400.0, 28800.0)


def retry_after(tries: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds until the next try of a recipient that was tried so often: 5 min ... 8 h, give or take a fifth."""
    return _RETRIES[min(max(tries, 1), len(_RETRIES)) - 1] * uniform(0.8, 1.2)


class Pace:
    """How many mails may leave now, at most `rate` a second (None: as many as wanted), by a monotonic clock."""

    def __init__(self, rate: float | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._monotonic = rate, monotonic
        self._tokens, self._at = max(1.0, rate or 0.0), monotonic()

    def room(self, wanted: int) -> int:
        """Of so many wanted, how many may go."""
        if self._rate is None:
            return wanted
        now = self._monotonic()
        self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._at) * self._rate)
        self._at = now
        return min(wanted, int(self._tokens))

    @property
    def wait(self) -> float:
        """Seconds after which a look is worth while although nothing happened."""
        return IDLE_SECONDS if self._rate is None else min(IDLE_SECONDS, max(0.1, 1.0 / self._rate))

    def spend(self, count: int) -> None:
        """So many were marked."""
        self._tokens -= count
