"""Settings walked: the catalogue document by document as the daemon reconciles it; the secrets they name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel

from policywatch.settings.catalogue import Archive, Page, RobotsOverride
from policywatch.settings.model import Settings
from policywatch.settings.reference import SecretRef

__all__ = ["CatalogueDocument", "catalogue", "secret_references"]


@dataclass(frozen=True, slots=True)
class CatalogueDocument:
    """One document with its platform and the cadence that holds for it."""

    platform: str
    platform_name: str
    aliases: tuple[str, ...]
    platform_position: int
    key: str
    name: str
    language: str
    cadence: timedelta
    paused: bool
    pages: tuple[Page, ...]
    archive: Archive | None
    robots_override: RobotsOverride | None


def catalogue(settings: Settings) -> Iterator[CatalogueDocument]:
    """Every document of the settings, in the order of the YAML; positions of platforms count from 1."""
    for position, (platform_key, platform) in enumerate(settings.platforms.items(), start=1):
        for key, document in platform.documents.items():
            yield CatalogueDocument(
                platform=platform_key,
                platform_name=platform.name,
                aliases=platform.aliases,
                platform_position=position,
                key=key,
                name=document.name,
                language=document.language,
                cadence=document.cadence or settings.fetch.cadence,
                paused=document.paused,
                pages=document.pages,
                archive=document.archive,
                robots_override=document.robots_override,
            )


def secret_references(settings: Settings) -> Iterator[tuple[str, SecretRef]]:
    """Every secret that the settings name, with its key: `("mail.password", SecretRef(...))`."""
    for section in Settings.model_fields:
        part = getattr(settings, section)
        if isinstance(part, BaseModel):
            for field in type(part).model_fields:
                value = getattr(part, field)
                if isinstance(value, SecretRef):
                    yield f"{section}.{field}", value
