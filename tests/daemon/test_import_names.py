"""A path of an archive finds its document: by the platform's names, by the document's name or key."""

from __future__ import annotations

import pytest

from policywatch.db.history import KnownDocument, KnownPlatform
from policywatchd.collect.archives.naming import Names, slug

X = KnownPlatform(1, "x", "X", ("Twitter", "Bluesky"))
BLUESKY = KnownPlatform(2, "bluesky", "Bluesky", ())
TERMS = KnownDocument(10, 1, "terms-of-service", "Terms of Service")
SHOP = KnownDocument(11, 2, "shop", "In-App Purchases Policy")


@pytest.mark.parametrize("service", ["X", "x", "Twitter", "TWITTER"])
@pytest.mark.parametrize("terms", ["Terms of Service", "terms of service", "Terms-of-Service"])
def test_a_former_name_and_another_spelling_find_the_document(service: str, terms: str) -> None:
    target = Names([X, BLUESKY], [TERMS, SHOP]).find(service, terms, "")
    assert target is not None
    assert target.id == TERMS.id


def test_a_document_is_found_by_its_name_where_its_key_is_another() -> None:
    target = Names([X, BLUESKY], [TERMS, SHOP]).find("Bluesky", "In-App Purchases Policy", "")
    assert target is not None
    assert (target.id, target.platform.key) == (SHOP.id, "bluesky")  # and a name wins over another's alias


def test_a_new_document_is_one_under_all_its_names() -> None:
    names = Names([X], [])
    first, second = (
        names.find("Twitter", "Ad Rules", "Twitter/Ad Rules.md"),
        names.find("X", "Ad Rules", "X/Ad Rules.md"),
    )
    assert first is second
    assert first is not None
    assert (first.id, first.key, first.name, first.path) == (
        None,
        "ad-rules",
        "Ad Rules",
        "Twitter/Ad Rules.md",
    )


def test_a_foreign_service_and_a_name_without_letters_find_nothing() -> None:
    names = Names([X], [TERMS])
    assert names.find("Reddit", "Terms of Service", "") is None
    assert names.find("X", "...", "") is None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("In-App Purchases Policy", "in-app-purchases-policy"),
        ("Règles  d'usage", "regles-d-usage"),
        ("…", ""),
    ],
)
def test_a_key_is_made_of_small_letters_and_dashes(name: str, key: str) -> None:
    assert slug(name) == key
