"""What an import has to do: every version of the archive, its document, its predecessor, and whether it is stored.

Pure but for reading the repository. A chain is one path: the first version under a new name begins a new chain
(Twitter to X), although both belong to one document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from policywatch.db.history import StoredVersion
from policywatchd.collect.archives.naming import Names, Target
from policywatchd.collect.archives.repository import Archive, Kind, Version

__all__ = ["ImportReport", "Plan", "Planned", "batches", "make_plan"]

_BATCH = 100  # versions in one transaction
_BATCH_BYTES = 16 << 20  # bounds what is held in memory when texts are large
_LISTED = 50  # refused versions that a report lists; all are counted


@dataclass(slots=True)
class ImportReport:
    """What an import read and did. All counts are versions where nothing else is said; `seconds` is wall time.

    `first`, `changes` and `technical` are what the archive says of all versions read. `changes_added` (in which a
    reader sees other words) and `noise` (by kind) are what this run found in the versions that it added. `left_out`
    are of platforms that were not asked for, `unchanged` copies of the text before them. `suspect` look like a wall
    or an error page: kept, never compared. `by_document` counts versions, stored, added, changes, noise, suspect.
    """

    source: str
    repository: str
    dry_run: bool = False
    versions: int = 0
    first: int = 0
    changes: int = 0
    technical: int = 0
    unforetold: int = 0
    documents: int = 0
    documents_created: int = 0
    skipped: int = 0
    snapshots_added: int = 0
    changes_added: int = 0
    queued: int = 0
    noise: Counter[str] = field(default_factory=Counter)
    unknown_services: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    unchanged: int = 0
    suspect: int = 0
    suspect_versions: list[dict[str, Any]] = field(default_factory=list)
    by_document: dict[str, Counter[str]] = field(default_factory=dict)
    refused: int = 0
    refused_versions: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain types, the keys in the order above."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["noise"] = dict(sorted(self.noise.items()))
        plain["unknown_services"] = dict(sorted(self.unknown_services.items()))
        plain["by_document"] = {name: dict(counts) for name, counts in sorted(self.by_document.items())}
        plain["seconds"] = round(self.seconds, 1)
        return plain

    def count(self, target: Target, what: str, by: int = 1) -> None:
        """Count something of one document."""
        if by:
            self.by_document.setdefault(f"{target.platform.key}/{target.key}", Counter())[what] += by

    def refuse(self, version: Version, why: str) -> None:
        """Count a version that cannot be taken, and list it while the list is short."""
        self.refused += 1
        if len(self.refused_versions) < _LISTED:
            where = {"commit": version.commit} if version.commit else {}
            self.refused_versions.append({**where, "path": version.path, "reason": why})


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a version is held back: a score from 0 to 1 and named signs. `known`: an earlier run held it too."""

    score: float
    signs: tuple[str, ...]
    known: bool = False


@dataclass(slots=True, eq=False)
class Planned:
    """A version in its place. `before` is the one it follows in its chain; `stored` is set once it is in the database."""

    version: Version
    target: Target
    kind: Kind
    source_ref: str
    place: int
    before: Planned | None
    stored: StoredVersion | None = None
    suspicion: Suspicion | None = None

    @property
    def compared_with(self) -> str | None:
        """The blob it is compared with; None where there is no change to look for."""
        if (
            self.kind is not Kind.CHANGE
            or self.before is None
            or self.before.version.blob == self.version.blob
        ):
            return None
        return self.before.version.blob


@dataclass(frozen=True, slots=True)
class Plan:
    """Every version that belongs to a platform of ours, in the order of the history."""

    versions: Sequence[Planned]
    targets: Sequence[Target]
    _by_ref: dict[str, list[Planned]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.versions:
            self._by_ref.setdefault(one.source_ref, []).append(one)

    def mark_stored(self, stored: Mapping[tuple[int, str], StoredVersion]) -> None:
        """Note what earlier runs stored."""
        for one in self.versions:
            if one.target.id is not None:
                one.stored = stored.get((one.target.id, one.source_ref))

    def place_of(self, document: int, source_ref: str) -> int | None:
        """Where in the history a version of a document stands; None where this archive does not hold it."""
        places = self._by_ref.get(source_ref, ())
        return next((one.place for one in places if one.target.id == document), None)

    def missing(self) -> list[Planned]:
        """What is not stored yet and is believed."""
        return [one for one in self.versions if one.stored is None and one.suspicion is None]

    def chains(self) -> list[list[Planned]]:
        """The versions of each path, in their order; one that an earlier import stored may stand at the front."""
        found: dict[str, list[Planned]] = {}
        for one in self.versions:
            found.setdefault(one.version.path, [] if one.before is None else [one.before]).append(one)
        return list(found.values())

    def end(self) -> datetime:
        """The time of the newest version: how far the source has looked."""
        return max(one.version.at for one in self.versions)

    def relink(self) -> None:
        """What is held back is followed by nothing: the next version follows the last one that is believed."""
        for links in self.chains():
            good: Planned | None = None
            for one in links:
                if one.before is not None and good is not None:
                    one.before = good
                if one.suspicion is None:
                    good = one


def make_plan(
    archive: Archive,
    names: Names,
    largest: int,
    report: ImportReport,
    only: Collection[str] | None = None,
) -> Plan:
    """Read the whole history (no texts) and count it into `report`; `only`: of these platforms, by key."""
    report.unchanged = archive.unchanged
    planned: list[Planned] = []
    newest: dict[str, Planned] = {}
    targets: dict[tuple[int, str], Target] = {}
    seen: set[tuple[int, str, str]] = set()
    for version in archive.versions(largest):
        report.versions += 1
        report.unforetold += not version.foretold
        if version.fault:
            report.refuse(version, version.fault)
            continue
        target = names.find(version.service, version.terms, version.path)
        if target is None:
            report.unknown_services[version.service] += 1
            continue
        if only is not None and target.platform.key not in only:
            report.left_out += 1
            continue
        report.count(target, "versions")
        before = newest.get(version.path)
        kind = Kind.FIRST if before is None else version.kind
        name = (target.platform.id, target.key)
        # One commit can touch a document under two names; a second text of it needs a name of its own.
        once = (*name, version.commit) not in seen
        planned.append(
            Planned(
                version=version,
                target=target,
                kind=kind,
                source_ref=version.commit if once else f"{version.commit}:{version.path}",
                place=len(planned),
                before=None if kind is Kind.FIRST else before,
            )
        )
        seen.add((*name, version.commit))
        targets[name] = target
        newest[version.path] = planned[-1]
    kinds = Counter(one.kind for one in planned)
    report.first, report.changes, report.technical = (kinds[kind] for kind in Kind)
    report.documents = len(targets)
    return Plan(planned, list(targets.values()))


def batches(missing: Sequence[Planned]) -> Iterator[list[Planned]]:
    """Runs of versions for one transaction each, in their order."""
    batch: list[Planned] = []
    size = 0
    for one in missing:
        if batch and (len(batch) >= _BATCH or size + one.version.size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += one.version.size
    if batch:
        yield batch
