"""Our copy of a version repository that is followed: fetched by git, read as objects, never run.

Only what an operator names is asked: https, ssh, or a folder or bundle of this machine. git works without the
account's configuration, hooks, credential helpers, submodules and questions; within a time and a size; and takes
the newest commits alone, since older history is the business of an import.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pygit2

from policywatch.errors import PolicyWatchError, UsageError
from policywatch.settings import without_password
from policywatchd.collect.archives.repository import NAME_LIMIT, Archive, Version, open_repository

__all__ = ["ArchiveAway", "Mirror", "Window", "address_of"]

DEPTH = 1000  # newest commits that a mirror holds
_BRANCH = "refs/heads/followed"
_PACKS = 40  # fetches after which a mirror is made anew, small
_PROTOCOLS = "https:ssh:file"
_SCP = re.compile(r"^[A-Za-z0-9_.-]+@[A-Za-z0-9][A-Za-z0-9.-]*:[^:].*$")

# What git says -> what it means; %s is the address.
_SAYINGS: tuple[tuple[str, str], ...] = (
    (r"couldn't find remote ref|Remote branch .* not found", "%s has no commit yet"),
    (r"does not appear to be a git repository|not a git repository|[Rr]epository .*not found", "%s is no git repository, or is not there"),
    (r"could not read Username|Authentication failed|Permission denied|Host key verification failed", "%s asks for a login, and archives are read without one"),
    (r"redirect", "%s leads to another address; name that one"),
    (r"[Cc]ould not resolve|[Ff]ailed to connect|[Tt]imed out|[Tt]imeout|unreachable|refused|unable to access|reset by peer", "%s cannot be reached"),
)  # fmt: skip


class ArchiveAway(PolicyWatchError):
    """A repository could not be looked at; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Window:
    """The newest commits of a repository: versions by path, in the order of the history.

    Of versions of the `edge` commit the time is not known: they were there before it. `known` are the commits,
    `gone` the paths that the newest one no longer has.
    """

    archive: Archive
    head: str
    edge: str | None
    known: frozenset[str]
    versions: Mapping[str, Sequence[Version]] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Mirror:
    """One repository's copy in `folder`. `seconds` and `largest` bound one fetch."""

    repository: str
    address: str
    folder: Path
    seconds: float = 600.0
    largest: int = 1 << 30

    @classmethod
    def of(cls, repository: str, folder: Path, relative_to: Path) -> Mirror:
        """The mirror of a repository among those in `folder`. Raises ArchiveAway for an address that is none."""
        name = hashlib.sha256(repository.encode()).hexdigest()[:24]
        return cls(repository, address_of(repository, relative_to), folder / f"{name}.git")

    async def fetch(self, progressed: Callable[[], None] = lambda: None) -> None:
        """Bring the copy to the repository's newest commits. Raises ArchiveAway."""
        await asyncio.to_thread(self._prepare)
        await self._git(
            ["init", "--quiet", "--bare", "--initial-branch=followed", str(self.folder)], progressed
        )
        flags = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--force"]
        await self._git(
            [
                "-C",
                str(self.folder),
                "fetch",
                *flags,
                f"--depth={DEPTH}",
                "--",
                self.address,
                f"+HEAD:{_BRANCH}",
            ],
            progressed,
        )

    def window(self, largest: int) -> Window:
        """Read the copy: no text, only what there is. Blocks. Raises ArchiveAway where the copy is damaged."""
        try:
            repository = open_repository(self.folder)
            head = repository.references[_BRANCH].peel(pygit2.Commit).id
            archive = Archive(self.folder, without_password(self.repository)[:NAME_LIMIT], repository, head)
            walker = repository.walk(head, pygit2.enums.SortMode.TOPOLOGICAL)
            walker.simplify_first_parent()
            commits = [str(commit.id) for commit in walker]
            versions: dict[str, list[Version]] = {}
            for version in archive.versions(largest):
                versions.setdefault(version.path, []).append(version)
            tree = repository[head].peel(pygit2.Tree)
            gone = frozenset(path for path in versions if path not in tree)
        except UsageError as error:
            raise ArchiveAway(error.what) from error
        except (pygit2.GitError, KeyError, ValueError) as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise ArchiveAway(f"our copy of {self._shown} was damaged ({error}) and is made anew") from error
        edge = commits[-1] if repository.is_shallow else None
        return Window(archive, str(head), edge, frozenset(commits), versions, gone)

    @property
    def _shown(self) -> str:
        return without_password(self.repository)

    def _prepare(self) -> None:
        """The folder of mirrors with a configuration of its own; a copy that has grown old goes."""
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self.folder.parent / "gitconfig"
        if not config.exists():
            config.write_text("[safe]\n\tdirectory = *\n", encoding="ascii")
        packs = list((self.folder / "objects" / "pack").glob("*.pack"))
        (self.folder / "shallow.lock").unlink(
            missing_ok=True
        )  # of a fetch that was killed; the lease is ours
        if len(packs) > _PACKS or sum(pack.stat().st_size for pack in packs) > self.largest:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _git(self, arguments: Sequence[str], progressed: Callable[[], None]) -> None:
        git = shutil.which("git")
        if git is None:
            raise ArchiveAway("git is not installed, and archives are fetched by it", remedy="Install git.")
        argv = [git, *_options(), *arguments]
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", f'ulimit -f {self.largest // 512}; exec "$@"', "sh", *argv,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            env=_environment(self.folder.parent), start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self.seconds):
                said = await _heard(process, progressed)
        except TimeoutError:
            raise ArchiveAway(f"{self._shown} was not fetched within {self.seconds:g} s") from None
        finally:
            await _ended(process)
        if process.returncode:
            raise ArchiveAway(self._sentence(said, process.returncode))

    def _sentence(self, said: str, code: int) -> str:
        if (
            code in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)
            or "File size limit" in said
            or "File too large" in said
        ):
            return f"{self._shown} is larger than {self.largest >> 20} MiB"
        for pattern, sentence in _SAYINGS:
            if re.search(pattern, said):
                return sentence % self._shown
        lines = [line for line in said.splitlines() if line.strip()] or [f"git ended with {code}"]
        plain = "".join(sign if sign.isprintable() else " " for sign in lines[-1])
        return f"{self._shown} could not be fetched: {plain[:300]}"


def address_of(repository: str, relative_to: Path) -> str:
    """What git is given: an https or ssh address, or a folder or bundle of this machine. Raises ArchiveAway."""
    shown = without_password(repository)
    if "://" in repository:
        try:
            parts = urlsplit(repository)
        except ValueError:
            raise ArchiveAway(f"{shown} is no address") from None
        if parts.scheme not in ("https", "ssh", "file"):
            raise ArchiveAway(f"{shown}: archives are read by https, ssh or from a folder")
        if parts.password is not None or (parts.scheme == "https" and parts.username is not None):
            raise ArchiveAway(f"{shown} holds a user or password; archives are read without one")
        return repository
    if _SCP.match(repository):
        return repository
    path = Path(repository).expanduser()
    path = path if path.is_absolute() else relative_to / path
    if not path.exists():
        raise ArchiveAway(f"{shown} is not there")
    # as an address a folder is fetched by the protocol, which knows depth; a bundle is a file and stays one
    return path.resolve().as_uri() if path.is_dir() else str(path.resolve())


def _options() -> list[str]:
    settings = {
        "core.hooksPath": "/dev/null",
        "core.askPass": "/bin/false",
        "core.fsmonitor": "false",
        "credential.helper": "",
        "http.followRedirects": "false",
        "http.lowSpeedLimit": "1000",
        "http.lowSpeedTime": "60",
        "core.bigFileThreshold": "16m",  # a few hundred kilobytes may unpack to half a gigabyte
        "pack.threads": "1",
        "gc.auto": "0",
        "maintenance.auto": "false",
        "fetch.writeCommitGraph": "false",
    }
    return [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20",
    }


async def _heard(process: asyncio.subprocess.Process, progressed: Callable[[], None]) -> str:
    """What it said on standard error, the end of it; each piece is progress."""
    assert process.stderr is not None
    said = b""
    while piece := await process.stderr.read(1 << 16):
        said = (said + piece)[-20_000:]
        progressed()
    await process.wait()
    return said.decode("utf-8", "replace")


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Nothing of it outlives us: the group is killed while its leader is not reaped."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
