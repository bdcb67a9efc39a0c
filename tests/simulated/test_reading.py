"""The reader finds the script in the pretend pages: every real change, and nothing else."""

from __future__ import annotations

from datetime import date

import pytest

from policywatch.domain.changes import NoiseKind
from policywatch.reading.compare import compare
from policywatch.reading.extract import Rule, extract
from policywatch.simulated.pages import Noise, page
from policywatch.simulated.texts import Document, documents
from policywatch.simulated.truth import scripted
from policywatch.simulated.web import SimulatedWeb

RULE = Rule(select=("main",), remove=(".feedback",), filters=())


def read_all(web: SimulatedWeb) -> dict[Document, str]:
    return {
        document: extract(web.page(document), "text/html; charset=utf-8", RULE, document.url)
        for document in web.documents
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_scripted_change_is_found_and_no_noise_is_taken_for_one(seed: int) -> None:
    web = SimulatedWeb(seed=seed, today=date(2026, 11, 27))
    before = read_all(web)
    for _ in range(4):
        round_ = web.advance()
        after = read_all(web)
        found = {
            document
            for document in web.documents
            if before[document] != after[document]
            and compare(before[document], after[document]).noise_kind is NoiseKind.NONE
        }

        assert found == web.truth.changed(round_)
        before = after


def test_each_kind_of_noise_alone_is_no_change() -> None:
    truth = scripted(date(2026, 11, 27))
    for document in documents():
        text = truth.text(document, 0)
        still = extract(page(document, text, 1, {}), "text/html", RULE, document.url)
        for kind in Noise:
            noisy = extract(page(document, text, 1, {kind: 1}), "text/html", RULE, document.url)
            assert still == noisy or compare(still, noisy).noise_kind is not NoiseKind.NONE, (document, kind)
