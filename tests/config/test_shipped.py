"""The files that come with the program: policywatch.yaml, platforms, segments, JSON Schema."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from selectolax.lexbor import LexborHTMLParser

from policywatch import settings
from policywatch.reading import filters
from policywatch.reading.rules import Range, Rule
from policywatch.settings.catalogue import FILTERS, Document, Frozen, Page, Platform
from policywatch.settings.nodes import plain, read_file

ROOT = Path(__file__).parents[2]
ENV = {"HOME": "/nonexistent"}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> settings.Settings:
    """The defaults, without any file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("empty"))
        return settings.load(env=ENV)


def test_the_commented_file_says_exactly_the_defaults(shipped: settings.Settings) -> None:
    loaded = settings.load(ROOT / "policywatch.yaml", ENV)

    assert settings.effective(loaded) == settings.effective(shipped)
    assert loaded.sha256 == shipped.sha256


def test_the_commented_file_has_every_key_and_a_word_on_each_section() -> None:
    root = read_file(ROOT / "policywatch.yaml")
    lines = (ROOT / "policywatch.yaml").read_text("utf-8").splitlines()

    assert _keys(plain(root)) == _keys_of(settings.Settings)
    for name, node in root.value.items():
        assert lines[node.key_line - 2].startswith("#"), name


def _keys(value: Any, below: str = "") -> set[str]:
    found = set()
    for key, child in value.items():
        found.add(below + key)
        if isinstance(child, dict):
            found |= _keys(child, f"{below}{key}.")
    return found


def _keys_of(model: type[BaseModel], below: str = "") -> set[str]:
    found = set()
    for key, field in model.model_fields.items():
        found.add(below + key)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= _keys_of(field.annotation, f"{below}{key}.")
    return found


def test_editors_are_pointed_to_the_schema_that_the_code_makes() -> None:
    first = (ROOT / "policywatch.yaml").read_text("utf-8").splitlines()[0]
    file = ROOT / first.partition("$schema=")[2]

    assert file.read_text("utf-8") == settings.schema_text(), (
        "write it anew: policywatch config schema > config/policywatch.schema.json"
    )
    assert json.loads(file.read_text("utf-8"))["additionalProperties"] is False


def test_every_field_is_explained() -> None:
    for model in _models(Frozen):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            assert field.description.endswith((".", ")", ";")), field.description


def _models(base: type[BaseModel]) -> set[type[BaseModel]]:
    below = set(base.__subclasses__())
    return below.union(*(_models(model) for model in below)) if below else set()


def test_the_catalogue_has_the_seven_platforms_with_their_main_policies(shipped: settings.Settings) -> None:
    documents = {(one.platform, one.key): one for one in settings.catalogue(shipped)}

    assert list(shipped.platforms) == [
        "x",
        "facebook",
        "instagram",
        "linkedin",
        "tiktok",
        "youtube",
        "bluesky",
    ]
    assert shipped.platforms["x"].aliases == ("Twitter",)
    for platform in shipped.platforms:
        for key in ("terms-of-service", "privacy-policy", "community-guidelines"):
            assert documents[platform, key].pages
    assert len(documents) == 53
    assert sum(len(one.pages) for one in documents.values()) == 192


CORPUS = Path(os.environ.get("POLICYWATCH_CORPUS", ROOT / "../shared/corpus"))
# What a need is called in the collection's declarations, and the filters of ours that answer it.
NEEDS = {
    "cleanUrls": {"unwrap_redirectors", "strip_tracking_parameters"},
    "removeTrackingIDs": {"strip_tracking_parameters"},
    "removeLinks": {"drop_links"},
    "removeReturnToTopButtons": {"drop_buttons"},
    "removeHelpButtons": {"drop_buttons"},
}


@pytest.mark.skipif(not (CORPUS / "urls.tsv").is_file(), reason="the list of addresses is not at hand")
def test_the_catalogue_covers_each_page_of_the_corpus_with_the_filters_that_it_needs(
    shipped: settings.Settings,
) -> None:
    with (CORPUS / "urls.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    pages = {
        (document.platform_name, document.name, page.url): page
        for document in settings.catalogue(shipped)
        for page in document.pages
    }

    assert len({(row["platform"], row["document"]) for row in rows}) == 53
    assert {(row["platform"], row["document"], row["url"]) for row in rows} == set(pages)
    for row in rows:
        page = pages[row["platform"], row["document"], row["url"]]
        needed = set().union(*(NEEDS.get(name.strip(), set()) for name in row["filter"].split("||")))
        assert needed <= set(page.filters), (row["url"], needed)


def test_every_shipped_rule_is_one_that_the_reader_takes(shipped: settings.Settings) -> None:
    page = LexborHTMLParser("<main><p>text</p></main>")
    for document in settings.catalogue(shipped):
        for one in document.pages:
            rule = Rule.from_json(one.rule())
            assert rule.to_json() == one.rule()
            for part in (*rule.select, *rule.remove):
                for selector in part.to_json().values() if isinstance(part, Range) else [part]:
                    page.css(selector)  # raises on a selector that it does not understand


def test_the_filters_of_the_settings_are_those_of_the_reader() -> None:
    assert set(FILTERS) == set(filters.FILTERS)


def test_each_shipped_page_is_tried_without_a_browser_first(shipped: settings.Settings) -> None:
    """How the collection of the addresses fetched a page says nothing about whether plain fetching was tried."""
    assert {page.render for one in settings.catalogue(shipped) for page in one.pages} == {"auto"}


def test_the_catalogue_names_its_source(shipped: settings.Settings) -> None:
    head = (ROOT / "config" / "platforms.yaml").read_text("utf-8").partition("\nx:")[0]

    assert "made available under the\n# ODC Attribution License 1.0" in head
    assert "https://doi.org/10.26092/elib/2373" in head


def test_the_first_migration_inserts_the_shipped_platforms_and_segments(shipped: settings.Settings) -> None:
    sql = (ROOT / "migrations" / "001_initial_schema.sql").read_text("utf-8")

    platforms = _rows(sql, "INSERT INTO app.platforms (key, name, aliases, position) VALUES")
    assert [(key, name, aliases.strip("{}").split(",") if aliases != "{}" else []) for key, name, aliases in platforms] == [
        (key, one.name, list(one.aliases)) for key, one in shipped.platforms.items()
    ]  # fmt: skip
    segments = _rows(sql, "INSERT INTO app.member_segments (key, name, criteria) VALUES")
    assert [(key, name, json.loads(criteria)) for key, name, criteria in segments] == [
        (key, one.name, {column: list(values) for column, values in one.criteria.items()})
        for key, one in shipped.segments.items()
    ]


def _rows(sql: str, opening: str) -> list[tuple[str, str, str]]:
    statement = sql.partition(opening)[2].partition(";\n")[0]
    return re.findall(r"\('([^']*)',\s*'([^']*)',\s*'([^']*)'", statement)


def test_a_platform_may_be_written_by_code_as_well() -> None:
    page = Page(url="https://example.org/terms", select="main")
    platform = Platform(name="Example", documents={"terms": Document(name="Terms", pages=(page,))})

    assert platform.documents["terms"].pages[0].rule() == {"select": ["main"], "remove": [], "filters": []}
