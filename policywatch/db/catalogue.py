"""The settings' platforms, documents, rules, segments and facts as versioned rows.

Nothing is deleted: what left the settings is archived. Every function writes only what differs and says what
it wrote. The order of a reconciliation is the business of `policywatchd.upkeep.reconcile`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load

__all__ = [
    "PageRow",
    "add_rules",
    "applied_hash",
    "archive_documents",
    "archive_pages",
    "archive_platforms",
    "current_segments",
    "document_ids",
    "documents_due",
    "lock_catalogue",
    "platform_ids",
    "replace_segment",
    "retire_segment",
    "robots_overrides",
    "set_config",
    "upsert_document",
    "upsert_page",
    "upsert_platform",
]

_sql = load("catalogue")


@dataclass(frozen=True, slots=True)
class PageRow:
    """A page as the settings want it; `headers` hold a mark where the value of `credential` (a name) goes."""

    document_id: int
    position: int
    url: str
    render: str
    headers: Mapping[str, str]
    rule_hash: bytes
    credential: str | None = None


async def lock_catalogue(tx: Tx) -> None:
    """Wait until no other daemon reconciles; held until the transaction ends."""
    await tx.value(_sql.lock_catalogue)


async def applied_hash(db: Database | Tx) -> str | None:
    """Hash of the settings that were applied last."""
    found = await db.value(_sql.applied_hash)
    return None if found is None else str(found)


async def upsert_platform(tx: Tx, key: str, name: str, aliases: Sequence[str], position: int) -> bool:
    """True where something was written."""
    row = await tx.one(_sql.upsert_platform, key=key, name=name, aliases=list(aliases), position=position)
    return row is not None


async def platform_ids(tx: Tx) -> dict[str, int]:
    """Ids by key."""
    return {row["key"]: row["id"] for row in await tx.all(_sql.platform_ids)}


async def archive_platforms(tx: Tx, keys: Sequence[str]) -> list[str]:
    """Archive platforms beyond `keys` that hold no kept document; returns which."""
    return [row["key"] for row in await tx.all(_sql.archive_platforms, keys=list(keys))]


async def upsert_document(
    tx: Tx,
    platform_id: int,
    key: str,
    *,
    name: str,
    language: str,
    cadence: timedelta,
    paused: bool,
    archive: Mapping[str, Any] | None,
    robots_override: Mapping[str, Any] | None = None,
) -> bool:
    """True where something was written."""
    row = await tx.one(
        _sql.upsert_document,
        platform=platform_id,
        key=key,
        name=name,
        language=language,
        cadence=cadence,
        paused=paused,
        archive=None if archive is None else json.dumps(dict(archive)),
        robots_override=None if robots_override is None else json.dumps(dict(robots_override)),
    )
    return row is not None


async def document_ids(tx: Database | Tx) -> dict[tuple[str, str], int]:
    """Ids by platform and key."""
    return {(row["platform"], row["document"]): row["id"] for row in await tx.all(_sql.document_ids)}


async def robots_overrides(tx: Tx) -> dict[int, dict[str, Any]]:
    """The named decisions that stand, by document."""
    return {row["id"]: row["robots_override"] for row in await tx.all(_sql.robots_overrides)}


async def archive_documents(tx: Tx, kept: Sequence[int]) -> list[int]:
    """Archive documents beyond `kept`, but for those that people or imports paused; returns which."""
    return [row["id"] for row in await tx.all(_sql.archive_documents, kept=list(kept))]


async def add_rules(tx: Tx, rules: Mapping[bytes, Mapping[str, Any]]) -> dict[bytes, int]:
    """Store rules by their hash; returns their ids."""
    for hash_, definition in rules.items():
        await tx.run(_sql.add_rule, hash=hash_, definition=json.dumps(dict(definition), ensure_ascii=False))
    rows = await tx.all(_sql.rule_ids, hashes=list(rules))
    return {bytes(row["hash"]): row["id"] for row in rows}


async def upsert_page(tx: Tx, page: PageRow, rule_id: int) -> bool:
    """True where something was written.

    A page that was read well keeps its rule; another one waits as its trial rule until a trial is good.
    """
    row = await tx.one(
        _sql.upsert_page,
        document=page.document_id,
        position=page.position,
        url=page.url,
        render=page.render,
        headers=json.dumps(dict(page.headers)),
        credential=page.credential,
        rule=rule_id,
    )
    return row is not None


async def archive_pages(tx: Tx, documents: Sequence[int], pages: Sequence[PageRow]) -> list[int]:
    """Archive the pages of `documents` beyond `pages`; returns the documents that lost one."""
    rows = await tx.all(
        _sql.archive_pages,
        documents=list(documents),
        of=[page.document_id for page in pages],
        urls=[page.url for page in pages],
    )
    return [row["document_id"] for row in rows]


async def documents_due(tx: Tx, documents: Sequence[int]) -> None:
    """Have documents visited soon."""
    await tx.run(_sql.documents_due, documents=list(documents))


async def current_segments(tx: Tx) -> dict[str, dict[str, Any]]:
    """id, key, version, name, criteria of the current segments, by key."""
    return {row["key"]: row for row in await tx.all(_sql.current_segments)}


async def retire_segment(tx: Tx, key: str) -> None:
    """No act can name it any more; what was bound to it stays."""
    await tx.run(_sql.retire_segment, key=key)


async def replace_segment(tx: Tx, key: str, name: str, criteria: Mapping[str, Sequence[str]]) -> None:
    """The next version of a segment becomes the current one."""
    await tx.run(_sql.retire_segment, key=key)
    await tx.run(
        _sql.add_segment, key=key, name=name, criteria=json.dumps({k: list(v) for k, v in criteria.items()})
    )


async def set_config(tx: Tx, key: str, value: Any) -> bool:
    """Set a fact that acts read; True where it changed."""
    return bool(await tx.run(_sql.set_config, key=key, value=json.dumps(value)))
