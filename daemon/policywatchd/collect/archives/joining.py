"""Dated files come in portions: a folder a year, a WARC a crawl. The first version of a portion follows the last one
that an earlier import stored, so that what changed in between is found.
"""

from __future__ import annotations

from dataclasses import replace

from policywatch.db import contents, history
from policywatch.db.pool import Database
from policywatchd.collect.archives.plan import Plan, Planned
from policywatchd.collect.archives.repository import Archive, Kind

__all__ = ["join"]


async def join(db: Database, archive: Archive, plan: Plan) -> None:
    """Give the first version of each chain its stored predecessor; where it says the same it is no version."""
    begins = [
        chain[0] for chain in plan.chains() if chain[0].stored is None and chain[0].target.id is not None
    ]
    places = [(_document(one), one.version.path, one.version.at) for one in begins]
    found = await history.predecessors(db, places)
    for one in begins:
        stored = found.get((_document(one), one.version.path))
        if stored is None:
            continue
        blob = str(archive.repository.create_blob(await contents.fetch(db, stored.text_sha256)))
        if blob == one.version.blob:
            one.stored = stored
            continue
        earlier = replace(one.version, at=stored.fetched_at, blob=blob, kind=Kind.FIRST)
        one.before = Planned(earlier, one.target, Kind.FIRST, "", -1, None, stored)
        one.kind = Kind.CHANGE


def _document(one: Planned) -> int:
    assert one.target.id is not None, "only documents that are there have predecessors"
    return one.target.id
