"""The prompt row without a picture: one question at a time, answered by keys, cancelled by escape.

Three kinds: a text (ended by enter; an empty one is no answer where an answer is required), a choice (one of
some letters), and a yes that only `y` gives. Enter alone never confirms anything that writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from enum import Enum

from policywatch_tui.desk.clean import clean
from policywatch_tui.desk.line import Line, Look, cells

__all__ = ["Answer", "Question", "QuestionKind", "snooze_until"]

_SPANS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_LONGEST_SNOOZE = timedelta(days=366)


class QuestionKind(Enum):
    """How it is answered."""

    TEXT = "text"
    CHOICE = "choice"
    YES = "yes"


class Answer(Enum):
    """What a key did to the question."""

    OPEN = "open"
    GIVEN = "given"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Question:
    """A question on the prompt row; `given` holds the text or the letter."""

    kind: QuestionKind
    words: str
    letters: str = ""
    required: bool = False
    digits: bool = False
    given: str = ""
    limit: int = 500
    complaint: str = field(default="", init=False)

    def feed(self, key: str, character: str | None) -> Answer:
        """One key; `character` is what it types, None for a named key."""
        self.complaint = ""
        if key in ("escape", "ctrl+c"):
            return Answer.CANCELLED
        if self.kind is QuestionKind.YES:
            return Answer.GIVEN if character == "y" else Answer.CANCELLED if character else Answer.OPEN
        if self.kind is QuestionKind.CHOICE:
            if character and character in self.letters:
                self.given = character
                return Answer.GIVEN
            return Answer.OPEN
        return self._type(key, character)

    def _type(self, key: str, character: str | None) -> Answer:
        if key == "enter":
            if self.required and not self.given.strip():
                self.complaint = "something must stand here; esc leaves"
                return Answer.OPEN
            return Answer.GIVEN
        if key in ("backspace", "ctrl+h"):
            self.given = self.given[:-1]
        elif key == "ctrl+u":
            self.given = ""
        elif key == "ctrl+w":
            self.given = re.sub(r"\S*\s*$", "", self.given)
        elif character and self._takes(character):
            self.given += character
        return Answer.OPEN

    def _takes(self, character: str) -> bool:
        fits = character.isprintable() and len(self.given) < self.limit
        return fits and (not self.digits or character in "0123456789")

    def drawn(self, width: int) -> tuple[Line, int]:
        """The prompt row and the column of its cursor; a long answer shows its end."""
        words = f"{self.words} " if not self.complaint else f"{self.words} ({self.complaint}) "
        typed = clean(self.given) if self.kind is QuestionKind.TEXT else ""
        room = max(1, width - 1)
        if cells(words) > room // 2 and typed:
            words = words[-(room // 2) :]
        left = max(1, room - cells(words))
        while cells(typed) > left:
            typed = typed[1:]
        return ((words, Look.BOLD), (typed, Look.PLAIN)), min(width - 1, cells(words) + cells(typed))


def snooze_until(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    """The time that `4h`, `2d`, `1w` or `2025-11-30` (09:00 there) means; None for `0`.

    Raises ValueError with a sentence for anything else, the past and more than a year ahead.
    """
    word = text.strip().lower()
    if word == "0":
        return None
    if found := re.fullmatch(r"(\d{1,3})\s*([hdw])", word):
        until = now + int(found[1]) * _SPANS[found[2]]
    else:
        try:
            day = datetime.strptime(word, "%Y-%m-%d").replace(tzinfo=zone)
        except ValueError:
            raise ValueError(
                f"{clean(text)!r} is no time; write 4h, 1d, 1w or a date as 2025-11-30"
            ) from None
        until = day.replace(hour=9)
    if until <= now:
        raise ValueError("that time is over")
    if until - now > _LONGEST_SNOOZE:
        raise ValueError("a snooze of more than a year is no snooze")
    return until
