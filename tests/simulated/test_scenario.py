"""A scenario file is read whole or refused by name, and everything that follows from it follows from its seed."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from policywatch.errors import UsageError
from policywatch.simulated import scenario, scenario_file
from policywatch.simulated.scenario import BadKind, ChangeKind, NoiseKind, Scenario
from policywatch.simulated.scenario_script import Script, ScriptedDocument
from policywatch.simulated.scenario_texts import words_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scenario.md").read_text("utf-8")
BUSY: dict[str, Any] = {
    "rounds": 20,
    "documents": {"count": 60, "platforms": 15, "hosts": 10, "pages": [1, 1, 3]},
    "bad": {"share": 0.2, "rounds": [4, 16]},
    "changes": {"count": 40, "rounds": [1, 18], "lying": 0.1},
    "flapping": 0.05,
    "moved": 0.05,
    "refused": 0.05,
}


def script(seed: int = 1, **changed: object) -> Script:
    return Script(scenario_file.parse({**BUSY, "seed": seed, **changed}))


def as_json(one: Script) -> str:
    return json.dumps(one.truth())


# The file --------------------------------------------------------------------------------------------


def test_an_empty_file_is_a_scenario() -> None:
    assert scenario_file.parse({}).documents.count == 200


def test_the_shipped_scenario_is_the_one_of_the_promise() -> None:
    shipped = scenario_file.load(ROOT / "benchmarks" / "scenario.json")
    assert (shipped.documents.count, shipped.rounds) == (200, 30)
    assert (shipped.noise.share, shipped.bad.share, shipped.bad.rounds) == (0.3, 0.2, (5, 25))
    assert shipped.changes.old_last_modified == 0.2
    assert set(shipped.bad.kinds) == set(BadKind)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ({"seeds": 1}, "seeds"),
        ({"seed": True}, "seed"),
        ({"rounds": 0}, "rounds"),
        ({"cadence": "soon"}, "cadence"),
        ({"noise": {"share": 2}}, "noise.share"),
        ({"noise": {"kinds": ["thunder"]}}, "noise.kinds"),
        ({"bad": {"rounds": [9, 3]}}, "bad.rounds"),
        ({"documents": {"count": 10, "platforms": 2, "hosts": 3}}, "documents.hosts"),
        ({"changes": {"old_last_modified": 0.9, "lying": 0.9}}, "changes"),
        ({"truth": []}, "truth"),
        ({"server": {"host": "192.0.2.1", "port": 80}, "documents": [{"pages": [{}]}]}, "server.host"),
        ({"server": {"host": "127.0.0.1", "port": 80}, "documents": []}, "documents"),
        ([], "the file"),
    ],
)
def test_a_fault_in_the_file_is_named_by_its_key(written: object, key: str, tmp_path: Path) -> None:
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps(written), "utf-8")
    with pytest.raises(UsageError, match=f": {re.escape(key)} ") as fault:
        scenario_file.load(file)
    assert str(file) in fault.value.what


def test_an_outside_server_brings_its_own_documents() -> None:
    found = scenario_file.parse(
        {
            "server": {"host": "127.0.0.1", "port": 8080, "advance": "/round/{round}"},
            "documents": [{"platform": "acme", "key": "terms", "pages": [{"url": "http://acme.test/"}]}],
            "truth": [{"round": 3, "document": "acme/terms"}],
        }
    )
    assert [one.name for one in found.outside] == ["acme/terms"]
    assert found.truth is not None
    assert found.truth[0].round == 3


def test_every_key_and_kind_of_the_schema_is_documented() -> None:
    keys = {name for name in Scenario.__dataclass_fields__ if name != "outside"}
    for section in (scenario.Documents, scenario.Noise, scenario.Bad, scenario.Changes, scenario.Server):
        keys |= set(section.__dataclass_fields__)
    kinds = {str(kind) for kinds in (BadKind, ChangeKind, NoiseKind, scenario.Validators) for kind in kinds}
    marked = set(re.findall(r"`\"?([a-z_0-9]+)\"?`|\"([a-z_]+)\":", PAGE))
    documented = {word for pair in marked for word in pair if word}
    assert keys | kinds <= documented


# What follows from it --------------------------------------------------------------------------------


def test_equal_seeds_give_equal_truths_and_others_another() -> None:
    assert as_json(script(seed=3)) == as_json(script(seed=3))
    assert as_json(script(seed=3)) != as_json(script(seed=4))


def test_every_change_changes_what_a_reader_reads() -> None:
    changes = 0
    for document in script().documents:
        for page in document.pages:
            texts = [words_of(one.blocks) for one in document.versions if one.page == page.number]
            assert all(one != other for one, other in itertools.pairwise(texts))
            changes += len(texts) - 1
    assert changes == 40 + sum(one.flaps_at is not None for one in script().documents)


def test_no_two_documents_have_one_text() -> None:
    texts = [words_of(one.blocks) for document in script().documents for one in document.versions]
    first = [words_of(document.versions[0].blocks) for document in script().documents]
    assert len(set(first)) == len(first)
    assert min(map(len, texts)) > 200


def test_each_kind_of_bad_page_strikes_a_fifth_of_the_documents() -> None:
    spans = [span for document in script().documents for span in document.spans]
    for kind in BadKind:
        of_kind = [span for span in spans if span.kind is kind]
        assert len(of_kind) == 12
        assert all(4 <= span.first <= span.last <= 16 for span in of_kind)


def test_a_good_round_lies_between_two_bad_spans_of_a_document() -> None:
    for document in script().documents:
        spans = sorted(document.spans, key=lambda span: span.first)
        assert all(after.first > before.last + 1 for before, after in itertools.pairwise(spans))


def test_changes_of_a_document_lie_far_enough_apart_to_be_told_apart() -> None:
    for document in script().documents:
        rounds = [one.round for one in document.changes]
        assert all(after - before >= 4 for before, after in itertools.pairwise(rounds))


def test_a_fifth_of_the_changes_carries_an_old_last_modified() -> None:
    manners = [
        document.pages[change.page].validators
        for document in script().documents
        for change in document.changes
    ]
    assert sum(manner in ("old", "exact") for manner in manners) == 8
    assert sum(manner == "lying" for manner in manners) == 4


def test_nothing_happens_in_round_0_and_nothing_real_to_refused_documents() -> None:
    found = script()
    truth = found.truth()["by_round"][0]
    assert (truth["changes"], truth["bad"], truth["noise"]) == ([], [], [])
    refused: list[ScriptedDocument] = [one for one in found.documents if one.refused]
    assert len(refused) == 3
    assert not any(one.changes or one.spans for one in refused)


def test_noise_strikes_its_share_of_the_documents() -> None:
    found = script(noise={"share": 0.5})
    struck = sum(bool(found.noise(one, round_)) for one in found.documents for round_ in range(1, 21))
    assert 0.3 < struck / (60 * 20) < 0.6  # pages with an old file time stay as they are
