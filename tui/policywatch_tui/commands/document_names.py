"""`platform/document` as people write it, and the document that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policywatch.errors import PolicyWatchError, UsageError

if TYPE_CHECKING:
    from policywatch.db.pool import Database

__all__ = ["find_document", "split_name"]


def split_name(name: str) -> tuple[str, str]:
    """`platform/document`, refused when it is not two keys."""
    platform, slash, document = name.partition("/")
    if not slash or not platform or not document:
        raise UsageError(
            f'"{name}" names no document.', remedy="Write PLATFORM/DOCUMENT, e.g. x/terms-of-service."
        )
    return platform, document


async def find_document(db: Database, name: str) -> dict[str, Any]:
    """The document's row of the listing. Raises PolicyWatchError where there is none."""
    from policywatch.db import listing

    rows = await listing.documents(db, *split_name(name))
    if not rows:
        raise PolicyWatchError(f"There is no document {name}.", remedy="See: policywatch documents list")
    return rows[0]
