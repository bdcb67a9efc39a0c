"""Which of our documents a path of an archive is: services by name or alias, documents by name or key.

Pure. A service that is none of our platforms is left out and said so; a document that a platform does not have
yet is a new one, which the import creates paused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from policywatch.db.history import KnownDocument, KnownPlatform

__all__ = ["Names", "Target", "slug"]


@dataclass(slots=True, eq=False)
class Target:
    """A document that versions go to. `id` is None while it is not in the database; `path` is where it was met."""

    platform: KnownPlatform
    key: str
    name: str
    path: str
    id: int | None
    language: str = "en"


def slug(name: str) -> str:
    """`In-App Purchases Policy` -> `in-app-purchases-policy`; empty where no letter or digit is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:63].rstrip("-")


class Names:
    """Finds the document of a service and a name, and remembers the new ones."""

    def __init__(self, platforms: Iterable[KnownPlatform], documents: Iterable[KnownDocument]) -> None:
        self._platforms: dict[str, KnownPlatform] = {}
        self._targets: dict[tuple[int, str], Target] = {}
        ordered = list(platforms)
        for names in (
            lambda p: p.aliases,
            lambda p: (p.key,),
            lambda p: (p.name,),
        ):  # a name wins over an alias
            for platform in ordered:
                for name in names(platform):
                    self._platforms[name.casefold()] = platform
        by_id = {platform.id: platform for platform in ordered}
        for document in documents:
            platform = by_id[document.platform_id]
            target = Target(platform, document.key, document.name, "", document.id, document.language)
            self._targets.setdefault((platform.id, document.name.casefold()), target)
            self._targets[(platform.id, document.key)] = target

    def find(self, service: str, terms: str, path: str) -> Target | None:
        """The document of a path; None where the service is no platform of ours or the name makes no key."""
        platform = self._platforms.get(service.casefold())
        key = slug(terms)
        if platform is None or not key:
            return None
        known = self._targets.get((platform.id, terms.casefold())) or self._targets.get((platform.id, key))
        if known is None:
            known = Target(platform, key, terms, path, None)
            self._targets[(platform.id, key)] = known
        return known
