"""What a scenario serves in place of a policy is held as suspect, and no policy of it is."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from policywatch.reading import quality
from policywatch.reading.compare import reader_hash
from policywatch.reading.extract import MIN_TEXT, extract
from policywatch.reading.rules import ExtractionError, Rule
from policywatch.simulated import scenario_file
from policywatch.simulated.scenario import BadKind
from policywatch.simulated.scenario_pages import BODIES
from policywatch.simulated.scenario_script import Script, ScriptedDocument
from policywatch.simulated.scenario_web import ScenarioWeb

HTML = "text/html; charset=utf-8"
RULE = Rule.from_json(
    {"select": ["main"], "remove": [".feedback", ".related"], "filters": ["drop_relative_times"]}
)


def text_of(body: bytes) -> str | None:
    """The declared text; None where a visit calls the page unread without judging its words."""
    try:
        text = extract(body, HTML, RULE, "http://h0.test/")
    except ExtractionError:
        return None
    return text if len(text.strip()) >= MIN_TEXT else None


class World:
    """A web of 40 documents on 10 platforms, as their last good captures were."""

    def __init__(self, seed: int) -> None:
        about = {"seed": seed, "documents": {"count": 40, "platforms": 10, "hosts": 5, "pages": [1, 2]}}
        self.script = Script(scenario_file.parse(about))
        self.web = ScenarioWeb(self.script, datetime(2026, 11, 27, tzinfo=UTC))
        self.pages = {one.number: self.web.served(one, one.pages[0]).body for one in self.script.documents}
        self.texts = {number: text_of(body) or "" for number, body in self.pages.items()}

    def judge(self, document: ScriptedDocument, body: bytes) -> quality.Quality | None:
        """How a visit judges these bytes where the document's page is expected."""
        text = text_of(body)
        if text is None:
            return None
        others = [
            reader_hash(self.texts[other.number])
            for other in self.script.documents
            if other.platform == document.platform and other is not document
        ]
        look = quality.Look(
            200, HTML, head=body.decode()[:20_000], text=text, whole=b"</html" in body[-4096:]
        )
        return quality.judge(look, quality.remember([self.texts[document.number]], others), "en")


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_no_bad_page_passes_for_a_policy(kind: BadKind) -> None:
    world = World(seed=5)
    for document in world.script.documents:
        other = next(
            one for one in world.script.documents if one.platform == document.platform and one is not document
        )
        body = BODIES[kind](document.platform_name, world.pages[document.number], world.pages[other.number])
        judged = world.judge(document, body)
        assert judged is None or judged.suspect, (document.full_name, judged)


def test_no_policy_is_held_for_a_bad_page_however_it_changes() -> None:
    about = {
        "documents": {"count": 40, "platforms": 10, "hosts": 5},
        "changes": {"count": 80, "rounds": [1, 30]},
    }
    script = Script(scenario_file.parse(about))
    world = World(seed=1)
    world.script, world.web = script, ScenarioWeb(script, datetime(2026, 11, 27, tzinfo=UTC))
    for document in script.documents:
        texts = []
        for version in range(len(document.versions)):
            body = world.web.served(document, document.pages[0], version).body
            texts.append((body, text_of(body) or ""))
        for (_, before), (body, _) in itertools.pairwise(texts):
            world.texts[document.number] = before
            judged = world.judge(document, body)
            assert judged is not None
            assert not judged.suspect, (document.full_name, judged)
