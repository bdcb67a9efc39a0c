"""What people ask of the daemon, served by kind.

`SERVERS` maps a kind of request to the coroutine that does it; a room that serves a kind puts its own there. A server
answers with what is stored as the result; a PolicyWatchError it raises is stored as the reason of a failure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from policywatch import keys
from policywatch.db import collecting, requests
from policywatch.db.requests import Request
from policywatch.errors import PolicyWatchError, ServiceAway
from policywatchd.collect import asked
from policywatchd.unlock import key_of

if TYPE_CHECKING:
    from policywatchd.service import Service

__all__ = ["SERVERS", "SLOW", "Server", "Serving", "arguments_of", "serve_waiting"]

log = logging.getLogger("policywatch.upkeep")

Server = Callable[["Service", Request], Awaitable[Mapping[str, Any]]]

_AT_ONCE = 10
_PATIENCE = 1.0  # seconds that the loop waits for answers before it goes on
#: Kinds that may take minutes: they fetch, or read a whole history.
SLOW = frozenset({"try_rule", "reextract", "preview_filter"})


async def _visit(service: Service, request: Request) -> Mapping[str, Any]:
    """Documents become due now; their visits follow as places are free."""
    platform, document = request.arguments.get("platform"), request.arguments.get("document")
    due = await collecting.make_due(service.db, platform, document)
    service.wake("collect").set()
    return {"documents": len(due)}


SERVERS: dict[str, Server] = {
    "visit": _visit,
    "try_rule": asked.try_rule,
    "reextract": asked.read_again,
    "preview_filter": asked.preview_filter,
}


def arguments_of(service: Service, request: Request) -> dict[str, Any]:
    """What was asked, with those arguments that hold an address and were sealed. PolicyWatchError for a wrong seal."""
    sealed: dict[str, Any] = {}
    if request.sealed is not None:
        sealed = keys.open_arguments(key_of(service.settings)(1), request.kind, request.sealed)
    return {**request.arguments, **sealed}


async def _held(service: Service, request: Request) -> Mapping[str, Any]:
    """Serve it, and hold the claim meanwhile however long that takes."""

    async def hold() -> None:
        while True:
            await asyncio.sleep(requests.RENEW_SECONDS)
            service.progress("upkeep")
            await requests.renew_request(service.db, request.id, service.worker_id)

    holding = asyncio.create_task(hold())
    try:
        return await SERVERS[request.kind](service, request)
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


async def serve_waiting(service: Service, kinds: Collection[str] | None = None) -> int:
    """Serve what waits (of these kinds), oldest first; returns how many. ServiceAway passes, and another takes it up.

    One is claimed when the one before is answered: what lies claimed and unheld would be taken by another daemon.
    """
    await requests.expire_requests(service.db)
    for served in range(_AT_ONCE):
        claimed = await requests.claim_requests(service.db, service.worker_id, list(kinds or SERVERS), 1)
        if not claimed:
            return served
        await _serve(service, claimed[0])
    return _AT_ONCE


async def _serve(service: Service, request: Request) -> None:
    try:
        result, done = dict(await _held(service, request)), True
    except ServiceAway:
        raise
    except PolicyWatchError as error:
        result, done = {"fault": error.what, "remedy": error.remedy}, False
    async with service.db.transaction() as tx:
        kept = await requests.end_request(tx, request.id, service.worker_id, result, done=done)
    if not kept:
        log.warning("request_late request=%d kind=%s", request.id, request.kind)
        return
    log.info("request_served request=%d kind=%s done=%s", request.id, request.kind, done)


class Serving:
    """Serves requests beside a loop that has other things to do: what takes minutes keeps nobody waiting."""

    def __init__(self) -> None:
        self._tasks: dict[bool, asyncio.Task[int]] = {}

    async def look(self, service: Service) -> None:
        """Serve what waits; returns when that is done, or after a second while it goes on. Its errors are raised."""
        for slow in (False, True):
            if slow not in self._tasks:
                kinds = [kind for kind in SERVERS if (kind in SLOW) is slow]
                self._tasks[slow] = asyncio.create_task(serve_waiting(service, kinds))
        await asyncio.wait(self._tasks.values(), timeout=_PATIENCE)
        for slow, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[slow]
                task.result()

    async def close(self) -> None:
        """Leave what is being served to the others: its claims end by themselves."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
