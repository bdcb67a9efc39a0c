"""Two texts held against each other: noise named, passages found, words marked."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from policywatch.domain.changes import NoiseKind, Passage, PassageKind, Span
from policywatch.reading.blocks import parse
from policywatch.reading.compare import compare, link_hash, reader_hash
from policywatch.reading.noise import without_relative_times
from policywatch.reading.words import differing_spans, tokens

RULES = """\
# Community rules

## What we remove

*   Threats of violence against any person or place.
*   Private addresses of people who did not agree to it.
*   Spam that is sent to many people at the same time.

## Appeals

You have 14 days to appeal a removal. We answer every appeal.
"""


def edited(old: str, new: str, text: str = RULES) -> str:
    assert old in text
    return text.replace(old, new)


def marked(passage: Passage) -> tuple[list[str], list[str]]:
    return (
        [passage.before[span.start : span.end] for span in passage.before_spans],
        [passage.after[span.start : span.end] for span in passage.after_spans],
    )


def test_a_changed_number_is_one_reworded_passage_with_its_words_marked() -> None:
    comparison = compare(RULES, edited("14 days", "30 days"))

    [passage] = comparison.passages
    assert passage.kind is PassageKind.REWORDED
    assert passage.section == ("Community rules", "Appeals")
    assert marked(passage) == (["14"], ["30"])
    assert (comparison.words_added, comparison.words_removed) == (1, 1)
    assert comparison.noise_kind is NoiseKind.NONE


def test_added_and_removed_sentences_are_passages_of_their_own() -> None:
    comparison = compare(RULES, edited("*   Spam that", "*   Glorifying terror.\n*   Spam that"))

    [passage] = comparison.passages
    assert (passage.kind, passage.before, passage.after) == (PassageKind.ADDED, "", "Glorifying terror.")
    assert (comparison.words_added, comparison.words_removed) == (2, 0)
    [gone] = compare(edited("*   Spam that", "*   Glorifying terror.\n*   Spam that"), RULES).passages
    assert gone.kind is PassageKind.REMOVED


def test_a_rule_that_moves_within_its_list_is_only_reordered() -> None:
    spam = "*   Spam that is sent to many people at the same time.\n"
    moved = edited(spam, "").replace("*   Threats", spam + "*   Threats")

    comparison = compare(RULES, moved)

    assert [passage.kind for passage in comparison.passages] == [PassageKind.MOVED]
    assert comparison.noise_kind is NoiseKind.REORDERED
    assert (comparison.words_added, comparison.words_removed) == (0, 0)


def test_a_rule_that_moves_under_another_heading_is_a_change() -> None:
    spam = "*   Spam that is sent to many people at the same time.\n"
    moved = edited(spam, "") + "\n## What we limit\n\n" + spam

    comparison = compare(RULES, moved)

    assert PassageKind.MOVED in [passage.kind for passage in comparison.passages]
    assert comparison.noise_kind is NoiseKind.NONE


def test_a_rule_that_moves_to_another_list_under_one_heading_is_a_change() -> None:
    lists = "# Rules\n\nWe remove:\n\n*   Insults of private people by name.\n*   Threats.\n\nWe limit:\n\n*   Spam.\n"
    insult = "*   Insults of private people by name.\n"

    comparison = compare(lists, edited(insult, "", lists) + insult)

    assert [passage.kind for passage in comparison.passages] == [PassageKind.MOVED]
    assert comparison.noise_kind is NoiseKind.NONE


def test_a_moved_and_edited_block_is_found_in_its_new_place() -> None:
    old = "*   Private addresses of people who did not agree to it.\n"
    new = "*   Private addresses of persons who did not agree to it.\n"

    kinds = [passage.kind for passage in compare(RULES, edited(old, "") + "\n" + new).passages]

    assert kinds == [PassageKind.MOVED_CHANGED]


def test_a_section_in_the_middle_only_renumbers_what_follows() -> None:
    def policy(*names: str) -> str:
        return "\n\n".join(f"## {n}. {name}\n\nText about {name} in full." for n, name in enumerate(names, 1))

    passages = compare(policy("Use", "Data", "Law"), policy("Use", "Ads", "Data", "Law")).passages

    assert [passage.kind for passage in passages] == [
        PassageKind.ADDED,
        PassageKind.ADDED,
        PassageKind.RENUMBERED,
        PassageKind.RENUMBERED,
    ]


def test_a_paragraph_cut_in_two_is_a_split_and_back_a_merge() -> None:
    whole = "# A\n\nWe collect what you post here. We keep it for as long as your account exists.\n"
    halves = whole.replace("here. We", "here.\n\nWe")

    comparison = compare(whole, halves)

    # The words are the same, so a reader is shown nothing; with an edit both halves stay together.
    assert comparison.noise_kind is NoiseKind.MARKUP
    [split] = compare(whole, halves.replace("exists", "is open")).passages
    assert split.kind is PassageKind.SPLIT
    assert split.after == "We collect what you post here.\nWe keep it for as long as your account is open."
    [merged] = compare(halves, whole.replace("exists", "is open")).passages
    assert merged.kind is PassageKind.MERGED


def test_fresh_tokens_in_links_are_link_noise_and_leave_both_hashes_alone() -> None:
    text = "# A\n\nRead [our policy](https://l.facebook.com/l.php?u=https%3A%2F%2Fa.test%2Fp&h=AAA&s=1).\n"
    fresh = text.replace("AAA", "BBB")

    comparison = compare(text, fresh)

    assert comparison.noise_kind is NoiseKind.LINK_TARGETS
    assert comparison.reader_equal and comparison.links_equal and not comparison.passages
    assert reader_hash(text) == reader_hash(fresh)


def test_a_moved_page_is_link_noise_that_the_link_hash_sees() -> None:
    text = "# A\n\nRead [our policy](https://help.a.test/p.html).\n"

    comparison = compare(text, text.replace("p.html", "p"))

    assert comparison.noise_kind is NoiseKind.LINK_TARGETS
    assert comparison.reader_equal and not comparison.links_equal


def test_emphasis_lists_and_white_space_are_markup_noise() -> None:
    other = RULES.replace("*   ", "-   ").replace("## ", "### ").replace("14 days", "**14 days**")

    assert compare(RULES, other).noise_kind is NoiseKind.MARKUP


def test_a_relative_time_is_noise_but_a_period_is_not() -> None:
    dated = RULES + "\nLast updated: 3 days ago\n"

    assert compare(dated, dated.replace("3 days ago", "4 days ago")).noise_kind is NoiseKind.RELATIVE_TIME
    assert without_relative_times("within 30 days") == "within 30 days"
    threshold = "# A\n\nYou need 1,000 followers to earn money.\n"
    assert compare(threshold, threshold.replace("1,000", "5,000")).noise_kind is NoiseKind.NONE


def test_a_survey_box_is_navigation_and_a_doubled_paragraph_a_duplicate() -> None:
    again = RULES + "\n*   Private addresses of people who did not agree to have them shown to everybody.\n"

    assert compare(RULES, RULES + "\nHave a moment?\n\nTake Survey\n").noise_kind is NoiseKind.NAVIGATION
    assert compare(again, again + again.splitlines()[-1] + "\n").noise_kind is NoiseKind.DUPLICATE


def test_edits_close_to_each_other_read_as_one_phrase() -> None:
    before, after = differing_spans("You must not share it", "You may never post it")

    assert [(span.start, span.end) for span in before] == [(4, 18)]
    assert [(span.start, span.end) for span in after] == [(4, 18)]


def test_twenty_thousand_equal_lines_and_three_thousand_edited_ones_end() -> None:
    equal = "no\n" * 20_000
    old = "\n".join(f"Rule {n} about subject {n * 7} binds every user of the service" for n in range(3_000))

    assert len(compare(equal, equal + "yes\n").passages) == 1
    assert len(compare(old, old.replace("binds", "obliges")).passages) == 3_000


def test_one_block_of_many_words_ends() -> None:
    old = " ".join(f"word{n % 977}" for n in range(60_000))

    [passage] = compare(old, old.replace("word5 ", "term ")).passages

    assert passage.kind is PassageKind.REWORDED


lines = st.lists(
    st.one_of(
        st.text(alphabet="ab c.1#*", max_size=12),
        st.sampled_from(
            [
                "# Rules",
                "## 2. Data",
                "*   We share data with partners.",
                "We keep posts for 30 days.",
                "Learn more",
            ]
        ),
    ),
    max_size=12,
).map("\n".join)


@given(lines)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    comparison = compare(text, text)

    assert comparison.passages == ()
    assert comparison.reader_equal and comparison.links_equal


@settings(max_examples=200)
@given(lines, lines)
def test_spans_stay_in_bounds_and_passages_quote_what_stands_there(before: str, after: str) -> None:
    comparison = compare(before, after)

    assert comparison.reader_equal == (reader_hash(before) == reader_hash(after))
    for passage in comparison.passages:
        assert passage.before or passage.after
        for text, spans in ((passage.before, passage.before_spans), (passage.after, passage.after_spans)):
            assert all(0 <= span.start < span.end <= len(text) for span in spans)
            assert all(one.end <= two.start for one, two in pairwise(spans))


@given(lines, lines)
def test_no_block_is_lost(before: str, after: str) -> None:
    """Old blocks are equal to a new one, or quoted as before; and the other way round."""
    comparison = compare(before, after)
    if comparison.reader_equal:
        return

    old, new = [[block.line for block in parse(text)] for text in (before, after)]
    quoted_old = "\n".join(passage.before for passage in comparison.passages)
    quoted_new = "\n".join(passage.after for passage in comparison.passages)
    assert all(line.text in quoted_old or line.key in {one.key for one in new} for line in old)
    assert all(line.text in quoted_new or line.key in {one.key for one in old} for line in new)


@example("\xad", "0\xad0")  # a token that typography leaves nothing of
@given(st.text(max_size=80), st.text(max_size=80))
def test_unmarked_words_are_equal_on_both_sides(before: str, after: str) -> None:
    old_spans, new_spans = differing_spans(before, after)

    def kept(text: str, spans: tuple[Span, ...]) -> str:
        out, at = "", 0
        for span in spans:
            out += text[at : span.start]
            at = span.end
        return "".join((out + text[at:]).split())

    if before.isascii() and after.isascii():
        assert kept(before, old_spans) == kept(after, new_spans)
    assert "".join(tokens(before)) == before


@given(st.sampled_from(["https://a.test/1", "https://b.test/?fbclid=2", "#x"]), lines)
def test_the_reader_hash_ignores_where_links_lead(target: str, text: str) -> None:
    linked = f"{text}\n\n[our policy]({target})"

    assert reader_hash(linked) == reader_hash(f"{text}\n\nour policy")
    assert (link_hash(linked) == link_hash(f"{text}\n\nour policy")) == target.startswith("#")
