"""Tells the story as it happens: one plain line a step, and on a terminal the step that is under way."""

from __future__ import annotations

import shutil
import textwrap
import time
from collections.abc import Callable
from typing import TextIO

from policywatch_tui.desk.clean import clean

__all__ = ["Teller"]

_MARGIN = " " * 10


class Teller:
    """`stream` None is silence (the story is then told by its figures). `lively`: the stream is a terminal."""

    def __init__(
        self, stream: TextIO | None, *, lively: bool = False, mono: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._lively = lively
        self._mono = mono
        self._began = mono()
        self._under_way = False

    @property
    def seconds(self) -> float:
        """Since the story began."""
        return self._mono() - self._began

    def doing(self, what: str) -> None:
        """What is under way; shown on a terminal alone, and replaced by the next line."""
        if self._stream is not None and self._lively:
            self._wipe()
            self._stream.write(f"{_MARGIN}{clean(what).rstrip(' .')} ..."[: _columns() - 1])
            self._stream.flush()
            self._under_way = True

    def told(self, sentence: str) -> None:
        """A step that is done: one line, on a terminal folded to its width."""
        line = f"{self.seconds:6.1f} s  {clean(sentence)}"
        self.line(textwrap.fill(line, _columns() - 1, subsequent_indent=_MARGIN) if self._lively else line)

    def line(self, text: str = "") -> None:
        """A line without a time."""
        if self._stream is not None:
            self._wipe()
            self._stream.write(text + "\n")
            self._stream.flush()

    def _wipe(self) -> None:
        if self._under_way and self._stream is not None:
            self._stream.write("\r\x1b[K")
            self._under_way = False


def _columns() -> int:
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 110))
