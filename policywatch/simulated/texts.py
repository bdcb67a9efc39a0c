"""The wording of the pretend policies before anything changes: 21 documents, put together from clauses.

Not the place for what changes later (`truth`) or for the pages around the text (`pages`). A text is a small
Markdown: `# ` and `## ` headings, `* ` lists, paragraphs, `[text](path)` links, an empty line between blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files

__all__ = ["DOCUMENTS", "PLATFORMS", "Document", "Platform", "documents", "original", "platform"]

#: Key and name of the three documents that every platform has; the key is also the path of the page.
DOCUMENTS: dict[str, str] = {
    "terms-of-service": "Terms of Service",
    "privacy-policy": "Privacy Policy",
    "community-guidelines": "Community Guidelines",
}


@dataclass(frozen=True, slots=True)
class Platform:
    """One pretend platform, with the words and numbers that its texts hold.

    `posts` is what people publish there; `*_days` are whole days; `share` is per cent.
    """

    key: str
    name: str
    post: str
    posts: str
    city: str
    age: int
    keep_days: int
    close_days: int
    message_days: int
    notice_days: int
    appeal_days: int
    pay_days: int
    share: int
    strikes: int
    aliases: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The name under which the pretend web serves it."""
        return f"{self.key}.test"

    @property
    def company(self) -> str:
        """The pretend company behind it."""
        return f"{self.name} Pretend Limited"

    def words(self) -> dict[str, str | int]:
        """What the placeholders of the clauses stand for."""
        words = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "aliases"}
        return words | {"company": self.company}


PLATFORMS: tuple[Platform, ...] = (
    Platform(
        "x", "X", "post", "posts", "Port Example", 13, 30, 30, 30, 30, 14, 20, 55, 3, aliases=("Twitter",)
    ),
    Platform("facebook", "Facebook", "post", "posts", "North Sample", 13, 90, 90, 60, 30, 180, 21, 50, 4),
    Platform("instagram", "Instagram", "post", "posts", "Sampleton", 13, 90, 90, 14, 30, 180, 21, 45, 3),
    Platform("linkedin", "LinkedIn", "article", "articles", "Proofbridge", 16, 30, 30, 90, 30, 30, 30, 40, 3),
    Platform("tiktok", "TikTok", "video", "videos", "Exampleby", 13, 60, 30, 30, 14, 180, 15, 50, 4),
    Platform("youtube", "YouTube", "video", "videos", "Draft Harbour", 13, 180, 60, 30, 30, 30, 25, 55, 3),
    Platform("bluesky", "Bluesky", "post", "posts", "Pretendsea", 13, 30, 30, 45, 14, 30, 30, 70, 3),
)


@dataclass(frozen=True, slots=True, order=True)
class Document:
    """One pretend document; `page` is how logs and scripts name it."""

    platform: str
    key: str

    @property
    def host(self) -> str:
        """Host of its page."""
        return f"{self.platform}.test"

    @property
    def path(self) -> str:
        """Path of its page."""
        return f"/{self.key}"

    @property
    def url(self) -> str:
        """Address of its page; the port is the resolver's business."""
        return f"http://{self.host}{self.path}"

    @property
    def page(self) -> str:
        """`platform/document`."""
        return f"{self.platform}/{self.key}"


def platform(key: str) -> Platform:
    """The pretend platform of that key; KeyError for any other."""
    for known in PLATFORMS:
        if known.key == key:
            return known
    raise KeyError(key)


def documents() -> tuple[Document, ...]:
    """All 21 documents, platform by platform."""
    return tuple(Document(known.key, key) for known in PLATFORMS for key in DOCUMENTS)


@cache
def _clauses(key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The clauses of one kind of document: (name, its wordings), in order."""
    text = files("policywatch.simulated").joinpath(f"{key}.txt").read_text(encoding="utf-8")
    found = []
    for part in re.split(r"^= ", text, flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        found.append(
            (name.strip(), tuple(wording.strip() for wording in re.split(r"^~\n", rest, flags=re.M)[1:]))
        )
    return tuple(found)


def original(document: Document) -> str:
    """The text of a document before the first change.

    Each platform takes its own choice of wordings and, for some, numbers its sections.
    """
    known = platform(document.platform)
    turn = PLATFORMS.index(known)
    words = known.words()
    blocks: list[str] = []
    for position, (_, wordings) in enumerate(_clauses(document.key)):
        # The bits of the platform's number decide: no two platforms share all their wordings.
        choice = ((turn + 1) >> (position % 3)) % len(wordings)
        text = wordings[choice].format_map(words)
        if turn % 2 and position:
            text = re.sub(r"^## ", f"## {position}. ", text, flags=re.M)
        blocks.append(text)
    return "\n\n".join(blocks) + "\n"
