"""A version repository of the Open Terms Archive, read as it is: one document version per commit.

Only reads, and only objects: no hook, filter or external program of the repository is run. What the repository
says (paths, messages, dates) is foreign and checked here. Which document a path belongs to is the business of
`naming`, what its text means that of `judging`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import pygit2
from pygit2.enums import FileMode, RepositoryOpenFlag, SortMode

from policywatch.errors import PolicyWatchError, UsageError
from policywatch.settings import without_password

__all__ = [
    "NAME_LIMIT", "Archive", "Kind", "Version", "fault_of", "is_repository", "no_source", "open_archive",
    "open_repository", "read_blob",
]  # fmt: skip

_CLONE_LIMIT = 600  # seconds; 3.4 MB take less than one
_BUNDLE = (b"# v2 git bundle\n", b"# v3 git bundle\n")
_MOST_FILES = 10_000_000  # in changed folders, over a whole history; a few kilobytes of trees can name more
NAME_LIMIT = 200  # characters of a service, a document or a message


class Kind(StrEnum):
    """What a commit says about its version."""

    FIRST = "first"
    CHANGE = "change"
    TECHNICAL = "technical"  # the collector changed, not the platform


# By the start of the message, as both generations of the archive's engine write it.
_MESSAGES = (
    ("Start tracking", Kind.FIRST),
    ("First record of", Kind.FIRST),
    ("Refilter", Kind.TECHNICAL),
    ("Apply technical", Kind.TECHNICAL),
    ("Update", Kind.CHANGE),
    ("Record new changes of", Kind.CHANGE),
)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one document: where it is in the repository and what the commit says of it.

    `blob` is the object id of its text, `size` its bytes. `fault` says why it cannot be taken, or is empty.
    `foretold` is false where the message is of no known kind; such a version counts as a change.
    """

    commit: str
    path: str
    service: str
    terms: str
    kind: Kind
    at: datetime
    message: str
    blob: str
    size: int
    fault: str = ""
    foretold: bool = True
    origin: Mapping[str, str] | None = None
    """Where it was found, when that is no commit."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An opened repository. `name` is what its versions will say they came from.

    `gathered` are the versions of a source that is no history of commits; their texts lie in a scratch repository,
    whose `head` is None. `unchanged` counts what was left out because its text was that of the version before it.
    """

    folder: Path
    name: str
    repository: pygit2.Repository
    head: pygit2.Oid | None
    gathered: Sequence[Version] = ()
    unchanged: int = 0

    def versions(self, largest: int) -> Iterator[Version]:
        """Every version in the order of the history (never of the dates); texts above `largest` bytes have a fault.

        The history is that of the first parents: each commit is held against the one before it, so that a merge
        brings in what its branch did.
        """
        if self.head is None:
            yield from self.gathered
            return
        walker = self.repository.walk(self.head, SortMode.TOPOLOGICAL | SortMode.REVERSE)
        walker.simplify_first_parent()
        left = _MOST_FILES
        for commit in walker:
            parents = commit.parents
            for path, blob in _made(commit.tree, parents[0].tree if parents else None):
                left -= 1
                if left < 0:
                    raise UsageError(f"{self.name} holds more than {_MOST_FILES} changed files.")
                version = None if blob is None else self._version(commit, path, blob, largest)
                if version is not None:
                    yield version

    def _size(self, blob: pygit2.Oid) -> int:
        store = self.repository.odb
        if hasattr(store, "read_header"):  # without reading the bytes; pygit2 1.19 and newer
            return int(store.read_header(blob)[1])
        return len(read_blob(self.repository, blob))

    def body(self, blob: str) -> bytes:
        """The bytes of a version."""
        return read_blob(self.repository, blob)

    def _version(
        self, commit: pygit2.Commit, raw_path: bytes, blob: pygit2.Oid, largest: int
    ) -> Version | None:
        path = raw_path.decode("utf-8", "replace")
        service, _, file = path.partition("/")
        if not service or "/" in file or not file.endswith(".md") or file == ".md":
            return None
        message = commit.raw_message.decode("utf-8", "replace").strip().partition("\n")[0]
        known = next((kind for start, kind in _MESSAGES if message.startswith(start)), None)
        size = self._size(blob)
        fault = fault_of(path, size, largest)
        try:
            at = datetime.fromtimestamp(commit.author.time, UTC)
        except (ValueError, OverflowError, OSError):
            at, fault = datetime.fromtimestamp(0, UTC), "its date is outside the calendar"
        return Version(
            commit=str(commit.id),
            path=path,
            service=service,
            terms=file.removesuffix(".md"),
            kind=known or Kind.CHANGE,
            at=at,
            message="".join(sign if sign.isprintable() else " " for sign in message[:NAME_LIMIT]),
            blob=str(blob),
            size=size,
            fault=fault,
            foretold=known is not None,
        )


def _made(after: pygit2.Tree, before: pygit2.Tree | None) -> Iterator[tuple[bytes, pygit2.Oid | None]]:
    """The files `Folder/File` of changed folders, with the blob of those that are new or other; None for the rest.

    Two levels alone are read, since versions lie nowhere else and a tree may hold itself many times over.
    """
    old = {} if before is None else {one.raw_name: one for one in before}
    for folder in after:
        was = old.get(folder.raw_name)
        if not isinstance(folder, pygit2.Tree) or (was is not None and was.id == folder.id):
            continue
        known = {one.raw_name: one.id for one in was} if isinstance(was, pygit2.Tree) else {}
        for file in folder:
            path = (folder.raw_name or b"") + b"/" + (file.raw_name or b"")
            is_file = file.filemode in (FileMode.BLOB, FileMode.BLOB_EXECUTABLE)  # no link, no submodule
            yield path, file.id if is_file and known.get(file.raw_name) != file.id else None


def fault_of(path: str, size: int, largest: int) -> str:
    """Why a version cannot be taken, or nothing."""
    if not path.isprintable() or "\ufffd" in path or len(path) > NAME_LIMIT:
        return "its path is no printable name"
    if size > largest:
        return f"its text has {size} bytes, the limit is {largest}"
    return ""


@contextmanager
def open_archive(source: str) -> Iterator[Archive]:
    """Open a clone's folder, or a bundle through a temporary clone. Raises UsageError for anything else."""
    path = Path(source).expanduser()
    if not path.exists():
        address = re.match(r"[A-Za-z+]{2,}:/|[\w.-]+@", source) is not None
        raise UsageError(
            f"{source} is {'an address' if address else 'not there'}.",
            remedy="Name a git clone or bundle, a folder of dated files, a CSV index or WARC files."
            + (" Clone it first: git clone." if address else ""),
        )
    if path.is_dir():
        yield _opened(path, source)
        return
    with path.open("rb") as file:
        if file.read(len(_BUNDLE[0])) not in _BUNDLE:
            raise no_source(source)
    with tempfile.TemporaryDirectory(prefix="policywatch-import-") as folder:
        clone = Path(folder) / "archive.git"
        _clone(path.resolve(), clone, source)
        yield _opened(clone, source)


def open_repository(folder: Path) -> pygit2.Repository:
    """Open exactly this folder, whoever owns it: nothing in it is ever run. Raises pygit2.GitError."""
    pygit2.settings.owner_validation = False
    return pygit2.Repository(str(folder), RepositoryOpenFlag.NO_SEARCH)


def read_blob(repository: pygit2.Repository, blob: pygit2.Oid | str) -> bytes:
    """The bytes of a file's object."""
    found = repository[blob]
    assert isinstance(found, pygit2.Blob), "a path's object is a blob"
    return found.data


def is_repository(folder: Path) -> bool:
    """Whether a folder is a git repository, with or without a working tree."""
    try:
        open_repository(folder)
    except pygit2.GitError:
        return False
    return True


def no_source(source: str) -> UsageError:
    """Nothing that an import understands."""
    return UsageError(
        f"{source} is neither a git repository nor a git bundle, nor dated files, a CSV index or a WARC.",
        remedy="Name the folder of a git clone of an Open Terms Archive version repository, or a bundle of one;"
        " or a folder <Platform>/<Document>/<YYYY-MM-DD>.md.",
    )


def _opened(folder: Path, source: str) -> Archive:
    try:
        repository = open_repository(folder)
    except pygit2.GitError as error:
        raise no_source(source) from error
    branches = list(repository.branches.local)
    try:
        if not repository.head_is_unborn:
            head = repository.head.peel(pygit2.Commit).id
        elif len(branches) == 1:  # a bundle made without HEAD
            head = repository.branches.local[branches[0]].peel(pygit2.Commit).id
        else:
            raise UsageError(
                f"{source} has no commit on the branch it points to.",
                remedy="Check out the branch that holds the versions.",
            )
    except pygit2.GitError as error:
        raise UsageError(f"{source} cannot be read: {error}", remedy="Clone the repository anew.") from error
    return Archive(folder, _name(repository, source), repository, head)


def _name(repository: pygit2.Repository, source: str) -> str:
    """What the versions say they came from: the clone's origin, else the name of the folder or bundle."""
    remotes = {remote.name: remote.url or "" for remote in repository.remotes}
    origin = remotes.get("origin", "")
    if "://" in origin and not origin.startswith("file:"):
        return without_password(origin)[:NAME_LIMIT]
    return Path(source).resolve().name[:NAME_LIMIT]


def _clone(bundle: Path, clone: Path, source: str) -> None:
    """Unpack a bundle by the git program: libgit2 reads none."""
    git = shutil.which("git")
    if git is None:
        raise UsageError("A bundle is unpacked by git, which is not installed.", remedy="Install git.")
    bounds = ["-c", "core.bigFileThreshold=16m", "-c", "core.hooksPath=/dev/null"]  # as for what is followed
    argv = [git, *bounds, "clone", "--bare", "--quiet", "--", str(bundle), str(clone)]
    environment = {
        "PATH": "/usr/bin:/bin",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "LC_ALL": "C",
    }
    try:
        subprocess.run(
            argv,
            check=True,
            capture_output=True,
            timeout=_CLONE_LIMIT,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise PolicyWatchError(
            f"{source} was not unpacked within {_CLONE_LIMIT} s.",
            remedy="Clone it yourself and name the folder.",
        ) from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines() or ["git gave no reason"]
        raise UsageError(
            f"{source} is no bundle that git can unpack: {said[-1][:300]}",
            remedy="Make the bundle anew: git bundle create FILE HEAD main.",
        ) from error
