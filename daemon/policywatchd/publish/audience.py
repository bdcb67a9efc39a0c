"""Who guidance would reach: the members file is read, the segment matched, the count recorded.

Nobody at a desk sees members; they see counts. Which rows a release writes is the business of `release`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from policywatch.db import publishing, workers
from policywatch.db.pool import Database
from policywatch.domain.guidance import Member
from policywatch.errors import UsageError
from policywatch.guidance.identity import recipient_hash
from policywatch.guidance.members import MembersFile, parse_members
from policywatch.guidance.segments import audience, parse_segment, require_columns
from policywatch.settings import Settings
from policywatchd.publish.keys import Keys

__all__ = ["MAX_OCTETS", "members_of", "read_members", "serve"]

log = logging.getLogger("policywatch.publish")

MAX_OCTETS = 256 * 1024 * 1024
_NAMED_FAULTS = 5  # lines that an alert names; all are in the log


def _octets(path: Path) -> bytes:
    """The file, if it is a regular one and not absurdly large."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise UsageError(f"{path} is no file.", remedy="Mend members.file in policywatch.yaml.")
    # Should it become a pipe in between: not waiting for its writer.
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        octets = file.read(MAX_OCTETS + 1)
    if len(octets) > MAX_OCTETS:
        raise UsageError(
            f"{path} is larger than {MAX_OCTETS // 1024**2} MiB.",
            remedy="Check that members.file names the right file.",
        )
    return octets


def read_members(settings: Settings) -> MembersFile:
    """The members of the file that the settings name; UsageError says why there are none. Blocks."""
    path = settings.members.file
    if path is None:
        raise UsageError(
            "No members file is configured.", remedy="Name a CSV file: members.file in policywatch.yaml."
        )
    try:
        text = _octets(path).decode("utf-8")
    except OSError as fault:
        raise UsageError(
            f"The members file {path} cannot be read: {os.strerror(fault.errno or 0).lower()}.",
            remedy="Mend members.file in policywatch.yaml, or the rights of the file.",
        ) from fault
    except UnicodeDecodeError as fault:
        line = fault.object.count(b"\n", 0, fault.start) + 1
        raise UsageError(
            f"The members file {path}, line {line}: this is not UTF-8.", remedy="Save the file as UTF-8."
        ) from fault
    return parse_members(text, settings.members.columns.model_dump())


async def members_of(db: Database, settings: Settings, wanted: publishing.Audience) -> tuple[Member, ...]:
    """The members that a stored segment means; bad rows become an alert and the rest goes on.

    UsageError if the file cannot be read at all or lacks a column that the segment asks for.
    """
    file = await asyncio.to_thread(read_members, settings)
    await _tell_faults(db, file, str(settings.members.file))
    segment = parse_segment(wanted.key, wanted.name, wanted.criteria, version=wanted.version)
    require_columns(segment, file.columns)
    return await asyncio.to_thread(audience, segment, file.members)


async def _tell_faults(db: Database, file: MembersFile, path: str) -> None:
    if not file.faults:
        await workers.close_alert(db, "members_rows", path)
        return
    for fault in file.faults[:100]:
        log.warning("members_row_skipped line=%d reason=%r", fault.line, fault.sentence)
    named = "; ".join(map(str, file.faults[:_NAMED_FAULTS]))
    more = len(file.faults) - _NAMED_FAULTS
    await workers.open_alert(
        db,
        "members_rows",
        path,
        f"{len(file.faults)} rows of the members file were skipped: {named}"
        + (f"; and {more} more." if more > 0 else "."),
    )


async def serve(db: Database, settings: Settings, keys: Keys, worker: str) -> int:
    """Count the audience of every approval request that waits for it; how many were answered."""
    waiting = await publishing.uncounted(db)
    for approval, wanted in waiting:
        try:
            hashes = await _hashes(db, settings, keys, wanted)
        except UsageError as fault:
            await publishing.record_audience(
                db, approval, worker=worker, count=None, suppressed=None, fault=fault.what
            )
            log.warning("audience_not_counted approval=A-%d reason=%r", approval, fault.what)
            continue
        suppressed = await publishing.suppressed_among(db, hashes)
        count = len(hashes) - suppressed
        await publishing.record_audience(
            db, approval, worker=worker, count=count, suppressed=suppressed, fault=None
        )
        log.info("audience_counted approval=A-%d count=%d suppressed=%d", approval, count, suppressed)
    return len(waiting)


async def _hashes(
    db: Database, settings: Settings, keys: Keys, wanted: publishing.Audience
) -> Sequence[bytes]:
    members = await members_of(db, settings, wanted)
    return await asyncio.to_thread(lambda: [recipient_hash(keys.hash, member.address) for member in members])
