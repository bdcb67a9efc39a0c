"""The policies of a scenario in words: put together from the clauses of the demo, edited by chance of a seed.

A text is a list of blocks of the small Markdown of `texts`. Equal draws give equal texts.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from policywatch.simulated.scenario import ChangeKind

__all__ = ["NAMES", "Company", "company", "edited", "other_name", "page_text", "words_of"]

#: What the documents of a platform are called, in turn.
NAMES = (
    "Terms of Service", "Privacy Policy", "Community Guidelines", "Cookie Policy", "Developer Terms",
    "Advertising Policy", "Copyright Policy", "Paid Services Terms",
)  # fmt: skip
_SOURCES = ("terms-of-service", "privacy-policy", "community-guidelines")
_SYLLABLES = (
    "nor",
    "tas",
    "vel",
    "ko",
    "lim",
    "ra",
    "bru",
    "den",
    "pi",
    "sol",
    "gar",
    "mu",
    "fen",
    "ti",
    "wal",
    "jo",
)
_CITIES = (
    "Port Example",
    "North Sample",
    "Sampleton",
    "Proofbridge",
    "Exampleby",
    "Draft Harbour",
    "Pretendsea",
)
_ADDED = (
    "## Training of language models\n\nWe will use your public {posts} and comments to train models. "
    "You can object to this within {n} days in [Settings](/settings/models).",
    "## Sharing with partners\n\nWe share your approximate location with advertising partners and keep a record "
    "of that for {n} days.",
    "## Proof of age\n\nWe may ask you for a proof of age. The picture of your document is deleted after {n} days.",
    "## Fees for inactive accounts\n\nAn account that nobody opened for {n} days may be charged a fee of two "
    "euros a month until it is closed.",
    "## Automated decisions\n\nA machine may limit an account without notice. A person looks at your complaint "
    "within {n} days.",
    "## Arbitration\n\nYou agree that disputes are decided by binding arbitration unless you refuse in writing "
    "within {n} days.",
    "## Telephone numbers\n\nWe use telephone numbers that were given for security to find people you may know. "
    "They are matched for {n} days.",
    "## Links to other services\n\nWe check every link in {posts} and keep the addresses for {n} days in order to "
    "find fraud.",
)
_REWORDED = (
    ("We may ", "We will "),
    ("You may use ", "You must not use "),
    ("You can ", "You can no longer "),
    ("free of charge", "for a fee"),
    ("We do not ", "We "),
    ("is decided by a person", "is decided by a machine"),
    (" without limit", " up to one hundred euros"),
    ("Nobody at ", "Only a few people at "),
    ("are allowed", "are forbidden"),
    ("We tell the person concerned", "We need not tell the person concerned"),
)
_NUMBER = re.compile(r"\b(\d{1,3})( (?:days|per cent|years|violations|hours))")
_LINK = re.compile(r"\]\([^)]*\)")
_REVIEWED = re.compile(r"^Last reviewed .* ago$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Company:
    """The pretend company behind a platform, and the words that fill its clauses."""

    name: str
    words: dict[str, str | int]


def company(seed: int, number: int) -> Company:
    """The company of the platform with that number; no two have one name."""
    draw = random.Random(f"{seed}/company/{number}")  # noqa: S311 (repeatable)
    base = len(_SYLLABLES)
    name = "".join(_SYLLABLES[number // base**place % base] for place in range(2 if number < base**2 else 4))
    posts = draw.choice(("posts", "videos", "articles", "pictures"))
    words: dict[str, str | int] = {
        "name": name.capitalize(),
        "company": f"{name.capitalize()} Pretend Limited",
        "post": posts.removesuffix("s"),
        "posts": posts,
        "city": draw.choice(_CITIES),
        "age": draw.choice((13, 14, 16)),
        "share": draw.randrange(30, 75),
        "strikes": draw.randrange(3, 6),
    }
    for key in ("keep_days", "close_days", "message_days", "notice_days", "appeal_days", "pay_days"):
        words[key] = draw.randrange(10, 190)
    return Company(name.capitalize(), words)


def page_text(seed: int, platform: int, document: int, page: int, name: str, turn: int) -> tuple[str, ...]:
    """The first text of a page of a document: 9 to 20 clauses, in blocks. `turn`: of the platform's documents."""
    draw = random.Random(f"{seed}/text/{document}/{page}")  # noqa: S311 (repeatable)
    of = company(seed, platform)
    about = _SOURCES[turn % len(_SOURCES)]
    clauses = list(_clauses(about)[1:-1])
    others = [clause for source in _SOURCES if source != about for clause in _clauses(source)[1:-1]]
    chosen = clauses + draw.sample(others, draw.randrange(1, 11))
    draw.shuffle(chosen)
    part = f", part {page + 1}" if page else ""
    title = f"# {of.name} {name}{part}"
    opening = (
        f"This text binds {of.words['company']}, {of.words['city']}, and everybody who uses {of.name}. It is "
        f"policy number {document + 1} of {of.name}, kept under the mark {draw.randrange(10**6, 10**7)}-{page}."
    )
    text = [title, opening]
    for wordings in chosen:
        text += _blocks(draw.choice(wordings).format_map(of.words))
    if turn >= len(_SOURCES) or page:  # nobody gives the parts of two policies the same names
        text = [f"{block}, under the {name}{part}" if block.startswith("## ") else block for block in text]
    facts = draw.sample(range(10, 900), 2)
    text += [
        f"## What is special about this {name.lower()}",
        f"Letters about it are answered within {facts[0]} days by desk {facts[1]} in {of.words['city']}. "
        f"Older versions are kept in the [archive](/archive/{document}).",
        *_blocks(_clauses(about)[-1][draw.randrange(2)].format_map(of.words)),
    ]
    return tuple(text)


def other_name(seed: int, platform: int) -> str:
    """The name of a company that stands for something else entirely: a foreign domain, a wrong page."""
    return company(seed, platform + 7).name


def words_of(blocks: Sequence[str] | str) -> tuple[str, ...]:
    """The words of a text without its marks, links' targets and relative times: what a reader reads of it."""
    text = blocks if isinstance(blocks, str) else "\n\n".join(blocks)
    lines = [line for line in _REVIEWED.sub("", text).splitlines() if not line.startswith("# http")]
    return tuple(re.findall(r"[^\W_]+", _LINK.sub("]", "\n".join(lines)).lower()))


def edited(draw: random.Random, kind: ChangeKind, blocks: tuple[str, ...]) -> tuple[str, ...]:
    """The text after an edit of that kind; where the text has no place for it, a clause is added instead."""
    edit = _EDITS.get(kind, _add)
    after = edit(draw, blocks)
    while words_of(after) == words_of(blocks):
        after = _add(draw, blocks)
    return after


def _add(draw: random.Random, blocks: tuple[str, ...]) -> tuple[str, ...]:
    clause = draw.choice(_ADDED).format(posts="posts", n=draw.randrange(3, 900))
    places = [number for number, block in enumerate(blocks) if block.startswith("## ")]
    at = draw.choice(places)
    return (*blocks[:at], *_blocks(clause), *blocks[at:])


def _remove(draw: random.Random, blocks: tuple[str, ...]) -> tuple[str, ...]:
    starts = [number for number, block in enumerate(blocks) if block.startswith("## ")]
    if len(starts) < 5:
        return blocks
    turn = draw.randrange(len(starts) - 2)
    return (*blocks[: starts[turn]], *blocks[starts[turn + 1] :])


def _number(draw: random.Random, blocks: tuple[str, ...]) -> tuple[str, ...]:
    found = [(at, match) for at, block in enumerate(blocks) for match in _NUMBER.finditer(block)]
    if not found:
        return blocks
    at, match = draw.choice(found)
    old = int(match[1])
    new = draw.choice([number for number in (7, 10, 14, 21, 30, 45, 60, 90, 120, 365) if number != old])
    block = blocks[at]
    return (*blocks[:at], f"{block[: match.start(1)]}{new}{block[match.end(1) :]}", *blocks[at + 1 :])


def _reword(draw: random.Random, blocks: tuple[str, ...]) -> tuple[str, ...]:
    found = [(at, pair) for at, block in enumerate(blocks) for pair in _REWORDED if pair[0] in block]
    if not found:
        return blocks
    at, (old, new) = draw.choice(found)
    return (*blocks[:at], blocks[at].replace(old, new, 1), *blocks[at + 1 :])


_EDITS: dict[ChangeKind, Callable[[random.Random, tuple[str, ...]], tuple[str, ...]]] = {
    ChangeKind.CLAUSE_ADDED: _add,
    ChangeKind.CLAUSE_REMOVED: _remove,
    ChangeKind.NUMBER_CHANGED: _number,
    ChangeKind.WORDING_CHANGED: _reword,
}


def _blocks(text: str) -> list[str]:
    return [block.strip() for block in text.split("\n\n") if block.strip()]


@cache
def _clauses(source: str) -> tuple[tuple[str, ...], ...]:
    """The wordings of each clause of a kind of document, in order."""
    text = files("policywatch.simulated").joinpath(f"{source}.txt").read_text(encoding="utf-8")
    return tuple(
        tuple(
            wording.strip() for wording in re.split(r"^~\n", part.partition("\n")[2], flags=re.MULTILINE)[1:]
        )
        for part in re.split(r"^= ", text, flags=re.MULTILINE)[1:]
    )
