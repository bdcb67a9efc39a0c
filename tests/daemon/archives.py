"""Version repositories made by tests, as the Open Terms Archive writes them: one commit, one version."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pygit2

__all__ = ["SECTIONS", "History", "text", "told_history"]

BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
SECTIONS = {
    "Your content": "You keep the rights to what you post. You give us a licence to show it to others.",
    "Conduct": "You must not post spam. We may remove a post that breaks these rules.",
    "Payments": "Creators are paid 70 per cent of the revenue of their posts within 30 days.",
    "Appeals": "You may appeal a decision within 14 days. A person looks at every appeal.",
}


def text(link: str = "https://example.org/help", **other: str) -> str:
    """A policy of four sections; `other` replaces a section's words by its name, spaces as `_`."""
    words = {**SECTIONS, **{name.replace("_", " "): said for name, said in other.items()}}
    parts = [f"## {name}\n\n{said}" for name, said in words.items()]
    return "# Terms\n\n" + "\n\n".join(parts) + f"\n\n[Help]({link})\n"


@dataclass
class History:
    """A repository that grows by one version a commit. `hours` place a commit after the beginning of 2023."""

    folder: Path
    repository: pygit2.Repository = field(init=False)
    hour: int = 0

    def __post_init__(self) -> None:
        self.repository = pygit2.init_repository(str(self.folder), initial_head="main")

    def commit_raw(self, files: dict[str, str], seconds: int) -> None:
        """A commit at a time that git takes and no calendar knows."""
        for path, body in files.items():
            blob = self.repository.create_blob(body.encode())
            self.repository.index.add(pygit2.IndexEntry(path, blob, pygit2.enums.FileMode.BLOB))
        who = f"Archive <archive@example.org> {seconds} +0000"
        lines = f"tree {self.repository.index.write_tree()}\nparent {self.repository.head.target}\n"
        raw = f"{lines}author {who}\ncommitter {who}\n\nUpdate\n"
        made = self.repository.odb.write(pygit2.enums.ObjectType.COMMIT, raw.encode())
        self.repository.references["refs/heads/main"].set_target(made)

    def commit(
        self,
        message: str,
        files: dict[str, str | bytes | None],
        *,
        hours: int | None = None,
    ) -> str:
        """Commit files (None takes one away); returns the commit's id. Each commit is an hour after the last."""
        self.hour += 1
        index = self.repository.index
        for path, body in files.items():
            if body is None:
                index.remove(path)
                continue
            raw = body.encode() if isinstance(body, str) else body
            blob = self.repository.create_blob(raw)
            index.add(pygit2.IndexEntry(path, blob, pygit2.enums.FileMode.BLOB))
        index.write()
        seconds = int(BEGIN.timestamp()) + 3600 * (self.hour if hours is None else hours)
        who = pygit2.Signature("Archive", "archive@example.org", seconds, 0)
        parents = [] if self.repository.head_is_unborn else [self.repository.head.target]
        made = self.repository.create_commit("HEAD", who, who, message, index.write_tree(), parents)
        return str(made)


def told_history(folder: Path) -> tuple[History, list[str]]:
    """Thirteen commits with everything that an archive does; returns the ids too.

    Twelve are versions of four documents of three platforms; the first holds a README alone.
    """
    tweet, x, sky = "Twitter/Terms of Service.md", "X/Terms of Service.md", "Bluesky/Privacy Policy.md"
    spam = text(Conduct="You must not post spam or adverts. We may remove a post that breaks these rules.")
    longer = text(Appeals="You may appeal a decision within 7 days. A person looks at every appeal.")
    history = History(folder)
    commits = [
        history.commit("Initial commit", {"README.md": "About this repository."}),
        history.commit("Start tracking Twitter Terms of Service", {tweet: text()}),
        history.commit("Start tracking Bluesky Privacy Policy", {sky: text()}),
        history.commit("Update Twitter Terms of Service", {tweet: spam}),
        history.commit("Refilter Twitter Terms of Service", {tweet: spam + "\nFooter\n"}),
        # A date before that of the version it follows: the order of the commits counts
        history.commit("Update Bluesky Privacy Policy", {sky: text("https://example.org/help?t=2")}, hours=1),
        history.commit("Update Twitter Terms of Service", {tweet: longer}),
        history.commit("Update Twitter Terms of Service", {tweet: spam}),  # a text that was there before
        history.commit("First record of X Terms of Service", {x: spam, tweet: None}),
        history.commit("Record new changes of X Terms of Service", {x: longer}),
        history.commit(
            "Apply technical or declaration upgrade on Bluesky Privacy Policy", {sky: text() + "\nFoot\n"}
        ),
        history.commit("First record of TikTok Shop Rules", {"TikTok/Shop Rules.md": text()}),
        history.commit(
            "Record new changes of TikTok Shop Rules",
            {
                "TikTok/Shop Rules.md": text(
                    Payments="Sellers are paid 60 per cent of the price of what they sell."
                )
            },
        ),
    ]
    return history, commits
