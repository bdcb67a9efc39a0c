"""Suspect versions of an import: found, told, written down once, and left out of the history.

Their texts are kept, and each has an audit row, which is also how the next run knows of them. Nothing of them is a
snapshot: what we do not believe is never compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from policywatch.db import contents, history, workers
from policywatch.db.contents import Unstored
from policywatch.db.pool import Database
from policywatchd.collect.archives.children import Children
from policywatchd.collect.archives.naming import Target
from policywatchd.collect.archives.plan import ImportReport, Plan, Planned, Suspicion
from policywatchd.collect.archives.repository import Archive, Kind
from policywatchd.collect.archives.suspects import Chain, Link

__all__ = ["Holding"]

_LISTED = 50  # suspect versions that a report lists; all are counted


class Holding:
    """What one import holds back."""

    def __init__(self, db: Database, archive: Archive, plan: Plan, report: ImportReport) -> None:
        self._db, self._archive, self._plan, self._report = db, archive, plan, report

    async def screen(self, children: Children) -> None:
        """Mark the suspect versions of the plan; the others follow each other without them."""
        names = [_name(target) for target in self._plan.targets]
        known = await history.suspect_versions(self._db, names)
        chains = []
        for links in self._plan.chains():
            if all(one.stored is not None for one in links):
                continue
            if not _is_settled(links, known):
                chains.append(links)
                continue
            for one in links:
                if one.stored is None:
                    one.suspicion = Suspicion(0.0, (), known=True)
                    self._tell(one, one.suspicion)
        end = self._plan.end()
        asked = [
            Chain([_link(one, known) for one in links], end, links[0].target.language) for links in chains
        ]
        for links, answer in zip(chains, await children.screened(asked), strict=True):
            for found in answer:
                one = links[found.place]
                one.suspicion = Suspicion(found.score, found.signs, _is_known(one, known))
                self._tell(one, one.suspicion)
        self._plan.relink()

    async def write(self) -> None:
        """Keep the texts of those that are new, and write each down in the audit log."""
        fresh = [one for one in self._plan.versions if one.suspicion is not None and not one.suspicion.known]
        if not fresh:
            return
        async with self._db.transaction() as tx:
            bodies = [self._archive.body(one.version.blob) for one in fresh]
            hashes = await contents.store_many(tx, [Unstored(body) for body in bodies])
            for one, sha256 in zip(fresh, hashes, strict=True):
                assert one.suspicion is not None
                told = {
                    "source_ref": one.source_ref,
                    "archive": self._archive.name,
                    "path": one.version.path,
                    "at": one.version.at.isoformat(),
                    "text_sha256": sha256.hex(),
                    "score": one.suspicion.score,
                    "signs": list(one.suspicion.signs),
                }
                await workers.audit(tx, "archive.suspect", "suspect_version", _name(one.target), after=told)

    def _tell(self, one: Planned, suspicion: Suspicion) -> None:
        report = self._report
        report.suspect += 1
        report.count(one.target, "suspect")
        if len(report.suspect_versions) < _LISTED:
            report.suspect_versions.append(
                {
                    "commit": one.version.commit,
                    "path": one.version.path,
                    "at": one.version.at.isoformat(),
                    "score": suspicion.score,
                    "signs": list(suspicion.signs) or ["held by an earlier run"],
                }
            )


def _name(target: Target) -> str:
    return f"{target.platform.key}/{target.key}"


def _is_known(one: Planned, known: set[tuple[str, str]]) -> bool:
    return (_name(one.target), one.source_ref) in known


def _is_settled(links: Sequence[Planned], known: set[tuple[str, str]]) -> bool:
    """Whether all that is missing was held back by an earlier run, and what came after it is stored."""
    last = max((place for place, one in enumerate(links) if one.stored is not None), default=-1)
    missing = [place for place, one in enumerate(links) if one.stored is None]
    return all(place < last and _is_known(links[place], known) for place in missing)


def _link(one: Planned, known: set[tuple[str, str]]) -> Link:
    state = "good" if one.stored is not None else "held" if _is_known(one, known) else "new"
    return Link(one.version.blob, one.version.at, one.kind is not Kind.FIRST, state)
