"""Reading in a child that may die: extraction, hashes, comparison, analysis.

The parsers meet foreign bytes, so they run within limits of memory, processor and time, in one long-lived child
that is replaced when it dies and after every 200 tasks. The event loop never waits for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

from policywatch.bounded import BoundedError, Child
from policywatch.domain.changes import Analysis, Comparison

__all__ = ["MEMORY", "BoundedError", "Gauged", "Judged", "Reader"]

#: Bytes of address space that the reading of one page may take.
MEMORY = 1024 * 1024 * 1024
_EXTRACT_SECONDS = 15.0
_JUDGE_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Judged:
    """Two texts held against each other, and what the machine thinks of it."""

    comparison: Comparison
    analysis: Analysis


@dataclass(frozen=True, slots=True)
class Gauged:
    """How bad a capture is (`score` from 0 to 1), by which signs, and the hashes of its text."""

    score: float
    suspect: bool
    signals: tuple[Mapping[str, Any], ...]
    reader_hash: bytes
    link_hash: bytes
    kept: float = 1.0  # the share of its long lines that the last good text knows


class Reader:
    """The daemon's one reader; tasks wait for each other. Close it, or its child stays as long as we do."""

    def __init__(self) -> None:
        self._child = Child("policywatchd.reading_child:work", memory=MEMORY, cpu=_JUDGE_SECONDS)
        # One thread that lives as long as the child: the kernel ends a child with the thread that started it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._closed = False

    async def extract(self, body: bytes, content_type: str, rule: Mapping[str, Any], base_url: str) -> str:
        """The declared text of a page. Raises ExtractionError, or BoundedError where the parser gave up."""
        return str(await self._call(_EXTRACT_SECONDS, "extract", body, content_type, dict(rule), base_url))

    async def hashes(self, text: str) -> tuple[bytes, bytes]:
        """What a reader reads, and where the links lead, each as a hash."""
        read, links = await self._call(_EXTRACT_SECONDS, "hashes", text)
        return bytes.fromhex(read), bytes.fromhex(links)

    async def judge(self, before: str, after: str, *, at: date, document: str, platform: str) -> Judged:
        """Compare and analyse two texts of a document. Raises BoundedError where that takes too much."""
        found = await self._call(_JUDGE_SECONDS, "judge", before, after, at.isoformat(), document, platform)
        return Judged(Comparison.from_json(found["comparison"]), Analysis.from_json(found["analysis"]))

    async def quality(
        self,
        look: Mapping[str, Any],
        head: bytes,
        *,
        lengths: Sequence[int],
        last: str | None,
        neighbours: Sequence[str],
        language: str,
    ) -> Gauged:
        """Hold a capture against its page's past. `look` are the fields of `quality.Look` but for the head.

        Raises BoundedError where that takes too much.
        """
        task = ("quality", dict(look), head, list(lengths), last, list(neighbours), language)
        found = await self._call(_EXTRACT_SECONDS, *task)
        read, links = (bytes.fromhex(one) for one in found["hashes"])
        return Gauged(
            float(found["score"]), bool(found["suspect"]), tuple(found["signals"]), read, links, found["kept"]
        )

    async def resembles(
        self, text: str, last: str, others: Sequence[str], *, own: str, names: Sequence[str]
    ) -> str:
        """What a text is rather than this document, in words; "" for nothing else.

        `others`: the last texts of other pages, `own`: what this document is called, `names`: what others are.
        """
        return str(
            await self._call(_EXTRACT_SECONDS, "resembles", text, last, list(others), own, list(names))
        )

    async def shell(self, body: bytes, content_type: str) -> str | None:
        """Why a page is only the shell that scripts fill; None where it is not. Raises BoundedError."""
        found = await self._call(_EXTRACT_SECONDS, "shell", body, content_type)
        return None if found is None else str(found)

    async def volatile(self, first: str, second: str) -> list[dict[str, Any]]:
        """What differs between two fetches of one moment, as a filter would have to take it out."""
        return list(await self._call(_JUDGE_SECONDS, "volatile", first, second))

    async def preview(
        self,
        before: tuple[bytes, str],
        after: tuple[bytes, str],
        url: str,
        current: Mapping[str, Any],
        proposed: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """A page before and after a change (bytes and type) under two rules, as `preview.Preview.to_json` says it."""
        task = ("preview", *before, *after, url, dict(current), dict(proposed))
        return dict(await self._call(_JUDGE_SECONDS, *task))

    async def warnings(self, rule: Mapping[str, Any]) -> list[str]:
        """What is doubtful about a rule, in sentences."""
        return [str(one) for one in await self._call(_EXTRACT_SECONDS, "warnings", dict(rule))]

    async def close(self) -> None:
        """End the child. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._child.close)
        self._thread.shutdown(wait=False)

    async def _call(self, seconds: float, *task: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: self._child.call(*task, wall=seconds))
