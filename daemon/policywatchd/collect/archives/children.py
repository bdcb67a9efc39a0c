"""Two processes that screen chains of versions, then judge batches ahead of the writing, a few and no more."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from policywatch.errors import PolicyWatchError
from policywatchd.collect.archives.judging import Judged, Question, judge, screen, start
from policywatchd.collect.archives.plan import Planned
from policywatchd.collect.archives.suspects import Chain, Found

__all__ = ["Children"]

_CHILDREN = 2
_AHEAD = 3  # batches judged while one is written: bounds what is held in memory


class Children:
    """The processes of one import. They end with the `async with`."""

    def __init__(self, folder: Path) -> None:
        # spawn: a fork would copy the locks of the threads that hold the database's connections
        self._pool = ProcessPoolExecutor(
            _CHILDREN,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=start,
            initargs=(str(folder),),
        )

    async def __aenter__(self) -> Children:
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        # in peace we wait: a child that is only starting still looks for the folder; after a fault nobody waits
        await asyncio.to_thread(self._pool.shutdown, wait=kind is None, cancel_futures=True)

    async def screened(self, chains: Sequence[Chain]) -> list[list[Found]]:
        """The suspect versions of each chain, in the order of the chains."""
        loop = asyncio.get_running_loop()
        # the longest first: the last ones to end are short
        order = sorted(range(len(chains)), key=lambda place: -len(chains[place].links))
        try:
            answers = await asyncio.gather(
                *(loop.run_in_executor(self._pool, screen, chains[place]) for place in order)
            )
        except BrokenProcessPool as error:
            raise _broken() from error
        found = dict(zip(order, answers, strict=True))
        return [found[place] for place in range(len(chains))]

    async def judged_batches(
        self, batches: Iterable[Sequence[Planned]]
    ) -> AsyncGenerator[tuple[Sequence[Planned], list[Judged]], None]:
        """Each batch with an answer per version, in order."""
        waiting: deque[tuple[Sequence[Planned], asyncio.Task[list[Judged]]]] = deque()
        try:
            for batch in batches:
                waiting.append((batch, asyncio.create_task(_asked(self._pool, batch))))
                if len(waiting) > _AHEAD:
                    first, answer = waiting.popleft()
                    yield first, await answer
            while waiting:
                first, answer = waiting.popleft()
                yield first, await answer
        except BrokenProcessPool as error:
            raise _broken() from error
        finally:
            for _, answer in waiting:
                answer.cancel()


def _broken() -> PolicyWatchError:
    return PolicyWatchError(
        "A process that compares the texts ended before its answer (out of memory, or killed).",
        remedy="Run the import again: it goes on from what is stored.",
    )


async def _asked(pool: ProcessPoolExecutor, batch: Sequence[Planned]) -> list[Judged]:
    """The answers for a batch; versions of one document go to one child, where each text is read once."""
    loop = asyncio.get_running_loop()
    runs: dict[str, list[int]] = {}
    for place, one in enumerate(batch):
        runs.setdefault(one.version.path, []).append(place)
    answers = await asyncio.gather(
        *(
            loop.run_in_executor(pool, judge, [_question(batch[place]) for place in places])
            for places in runs.values()
        )
    )
    ordered: dict[int, Judged] = {}
    for places, answer in zip(runs.values(), answers, strict=True):
        ordered.update(zip(places, answer, strict=True))
    return [ordered[place] for place in range(len(batch))]


def _question(one: Planned) -> Question:
    return Question(
        blob=one.version.blob,
        before=one.compared_with,
        at=one.version.at.date(),
        document=one.target.name,
        platform=one.target.platform.name,
    )
