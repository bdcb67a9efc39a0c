"""The settings become rows: platforms, documents, pages, rules, segments, facts; one transaction, one audit row.

The YAML is the source. What left it is archived and never deleted; what a person or an import paused stays paused.
Equal settings write nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from policywatch.db import catalogue as rows
from policywatch.db import workers
from policywatch.db.catalogue import PageRow
from policywatch.db.pool import Database, Tx
from policywatch.settings import CatalogueDocument, Settings, catalogue, difference, effective

__all__ = ["Reconciled", "reconcile", "rule_hash"]

log = logging.getLogger("policywatch.upkeep")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How many rows were written of each kind; `applied` False: the same settings stood there already."""

    applied: bool
    platforms: int = 0
    documents: int = 0
    pages: int = 0
    archived: int = 0
    segments: int = 0
    facts: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def rule_hash(rule: Mapping[str, Any]) -> bytes:
    """The hash that names a rule: of its JSON with sorted keys."""
    return hashlib.sha256(json.dumps(rule, sort_keys=True, ensure_ascii=False).encode()).digest()


async def reconcile(
    db: Database,
    settings: Settings,
    *,
    force: bool = False,
    previous: tuple[str, Mapping[str, Any]] | None = None,
) -> Reconciled:
    """Bring the database to the settings; `force` also where their hash stands there already.

    `previous`: hash and `effective()` of the settings before these, so that the audit row can say what changed.
    """
    async with db.transaction() as tx:
        await rows.lock_catalogue(tx)
        old = await rows.applied_hash(tx)
        if old == settings.sha256 and not force:
            return Reconciled(applied=False)
        documents = list(catalogue(settings))
        platforms = await _platforms(tx, settings)
        overridden = await rows.robots_overrides(tx)
        written, kept = await _documents(tx, documents)
        await _audit_overrides(tx, documents, kept, overridden)
        pages, lost = await _pages(tx, documents, kept)
        archived = await rows.archive_documents(tx, list(kept.values()))
        gone = await rows.archive_platforms(tx, list(settings.platforms))
        segments = await _segments(tx, settings)
        facts = await _facts(tx, settings)
        done = Reconciled(
            applied=True,
            platforms=platforms,
            documents=written,
            pages=pages,
            archived=len(archived) + len(gone) + lost,
            segments=segments,
            facts=facts,
        )
        before, after = _changed(settings, old, previous)
        await workers.audit(
            tx,
            "config.applied",
            "config",
            "settings",
            before={"sha256": old, **before},
            after={"sha256": settings.sha256, **done.to_json(), **after},
        )
        await workers.hint(tx, "document", 0)
    log.info("config_applied sha256=%s %s", settings.sha256[:12], done)
    return done


def _changed(
    settings: Settings, old: str | None, previous: tuple[str, Mapping[str, Any]] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the audit row tells of the difference, before and after; nothing where the old settings are not known."""
    if previous is None or previous[0] != old:
        return {}, {}
    found = difference(previous[1], effective(settings))
    return (
        {"changed": {one.key: one.before for one in found}},
        {"changed": {one.key: one.after for one in found}},
    )


async def _platforms(tx: Tx, settings: Settings) -> int:
    written = 0
    for position, (key, platform) in enumerate(settings.platforms.items(), start=1):
        written += await rows.upsert_platform(tx, key, platform.name, platform.aliases, position)
    return written


async def _documents(
    tx: Tx, documents: Sequence[CatalogueDocument]
) -> tuple[int, dict[tuple[str, str], int]]:
    """How many were written, and the ids of all of the settings' documents."""
    platform_ids = await rows.platform_ids(tx)
    written = 0
    for one in documents:
        written += await rows.upsert_document(
            tx,
            platform_ids[one.platform],
            one.key,
            name=one.name,
            language=one.language,
            cadence=one.cadence,
            paused=one.paused,
            archive=one.archive.model_dump(mode="json") if one.archive else None,
            robots_override=one.robots_override.model_dump(mode="json") if one.robots_override else None,
        )
    ids = await rows.document_ids(tx)
    return written, {(one.platform, one.key): ids[one.platform, one.key] for one in documents}


async def _audit_overrides(
    tx: Tx,
    documents: Sequence[CatalogueDocument],
    kept: Mapping[tuple[str, str], int],
    before: Mapping[int, Mapping[str, Any]],
) -> None:
    """Each decision against robots.txt that is new, other than before, or taken back has its own row."""
    for one in documents:
        old = before.get(kept[one.platform, one.key])
        new = one.robots_override.model_dump(mode="json") if one.robots_override else None
        if old != new:
            name = f"{one.platform}/{one.key}"
            await workers.audit(tx, "document.robots_override", "document", name, before=old, after=new)


async def _pages(
    tx: Tx, documents: Sequence[CatalogueDocument], kept: Mapping[tuple[str, str], int]
) -> tuple[int, int]:
    """How many pages were written, how many archived; their documents become due."""
    rules: dict[bytes, Mapping[str, Any]] = {}
    wanted: list[PageRow] = []
    for one in documents:
        for position, page in enumerate(one.pages):
            hash_ = rule_hash(page.rule())
            rules[hash_] = page.rule()
            wanted.append(
                PageRow(
                    kept[one.platform, one.key],
                    position,
                    page.url,
                    page.render,
                    page.request_headers(),
                    hash_,
                    page.credential.name if page.credential else None,
                )
            )
    ids = await rows.add_rules(tx, rules)
    changed = [page.document_id for page in wanted if await rows.upsert_page(tx, page, ids[page.rule_hash])]
    lost = await rows.archive_pages(tx, list(kept.values()), wanted)
    await rows.documents_due(tx, sorted({*changed, *lost}))
    return len(changed), len(lost)


async def _segments(tx: Tx, settings: Settings) -> int:
    current = await rows.current_segments(tx)
    written = 0
    for key, segment in settings.segments.items():
        criteria = {str(column): list(values) for column, values in segment.criteria.items()}
        there = current.get(key)
        if there is not None and there["name"] == segment.name and dict(there["criteria"]) == criteria:
            continue
        await rows.replace_segment(tx, key, segment.name, criteria)
        written += 1
    for key in sorted(set(current) - set(settings.segments)):
        await rows.retire_segment(tx, key)
        written += 1
    return written


async def _facts(tx: Tx, settings: Settings) -> int:
    guidance = settings.guidance
    facts: dict[str, Any] = {
        "approvals_needed": guidance.approvals_needed,
        "approvals_needed_critical": guidance.approvals_needed_critical,
        "grace_period": _interval(guidance.grace_period),
        "approval_expiry": _interval(guidance.expiry),
        "release_window": _interval(guidance.release_window),
        "growth_limit": guidance.growth_limit,
        "settings_sha256": settings.sha256,
    }
    return sum([await rows.set_config(tx, key, value) for key, value in facts.items()])


def _interval(length: timedelta) -> str:
    """As PostgreSQL reads it back."""
    return f"{length.total_seconds():g} seconds"
