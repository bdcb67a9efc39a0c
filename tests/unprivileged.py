"""An ordinary account to run a part of a test under, also when the tests themselves run as root.

What protects secrets and servers is files and accounts, and root is above both: as root such a test proves nothing.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policywatch.db.accounts import can_reach

__all__ = ["Unprivileged", "unprivileged"]

ROOT = Path(__file__).resolve().parent.parent
_ACCOUNT = "nobody"


@dataclass(frozen=True, slots=True)
class Unprivileged:
    """An account, a folder that is its own, and a Python that it can run."""

    account: str
    folder: Path
    python: str
    uid: int | None = None
    gid: int | None = None

    def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[str]:
        """Python with these arguments, as the account, in its folder, with a small environment."""
        surroundings = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(ROOT) if self.uid is None else "",
            "PYTHONDONTWRITEBYTECODE": "1",
            **(env or {}),
        }
        if self.uid is not None:
            more |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.Popen(
            [self.python, *arguments],
            cwd=self.folder,
            env=surroundings,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **more,
        )

    def run(self, *arguments: str, seconds: float, env: Mapping[str, str] | None = None) -> str:
        """Its output once it ended well; AssertionError with its words otherwise."""
        with self.start(*arguments, env=env) as child:
            try:
                out, err = child.communicate(timeout=seconds)
            except BaseException:
                child.kill()
                raise
        assert child.returncode == 0, f"{arguments} ended with {child.returncode}:\n{out}\n{err}"
        return out


@contextmanager
def unprivileged() -> Iterator[Unprivileged]:
    """The account of the tests, or `nobody` where that is root. Its folder goes afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pwu-"))
    site = Path(sysconfig.get_path("purelib"))
    try:
        if os.geteuid() != 0:
            yield Unprivileged(pwd.getpwuid(os.geteuid()).pw_name, folder, sys.executable)
            return
        entry = pwd.getpwnam(_ACCOUNT)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        python = _environment(folder, _python(folder, entry), entry, site)
        yield Unprivileged(_ACCOUNT, folder, python, entry.pw_uid, entry.pw_gid)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path, python: str, entry: pwd.struct_passwd, site: Path) -> str:
    """A virtual environment of the account's own: our packages as links, the libraries where they are (or a copy).

    A PYTHONPATH alone would not do: children with limits are started by `python -I`, which reads none.
    """
    root, packages = _reachable(folder, entry, site)
    sources = folder / "sources"
    floor = sources / "policywatch"
    floor.mkdir(parents=True)
    for path in (*(root / "policywatch").iterdir(), root / "config", root / "migrations"):
        if path.name != "__pycache__":
            (floor / path.name).symlink_to(path)
    (sources / "policywatch_tui").symlink_to(root / "tui" / "policywatch_tui")
    (sources / "policywatchd").symlink_to(root / "daemon" / "policywatchd")
    (sources / "tests").symlink_to(root / "tests")
    venv = folder / "venv"
    library = venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    library.mkdir(parents=True)
    (library / "project.pth").write_text(f"{sources}\n{packages}\n")
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(python)
    (venv / "pyvenv.cfg").write_text(f"home = {Path(python).parent}\n")
    return str(venv / "bin" / "python")


def _reachable(folder: Path, entry: pwd.struct_passwd, site: Path) -> tuple[Path, Path]:
    """The project and its libraries where the account can read them: where they are, or a copy."""
    found = []
    for number, tree in enumerate((ROOT, site)):
        if can_reach(tree, entry.pw_uid, entry.pw_gid):
            found.append(tree)
            continue
        copy = folder / f"copy-{number}"
        skip = shutil.ignore_patterns("__pycache__", ".git", ".venv", "node_modules")
        shutil.copytree(tree, copy, symlinks=True, ignore=skip)
        found.append(copy)
    return found[0], found[1]


def _copied(folder: Path, version: str) -> str:
    """Our interpreter with its standard library, for an account that cannot reach it (below /root, say)."""
    ours = Path(sys.base_prefix)
    copy = folder / "python"
    (copy / "bin").mkdir(parents=True)
    real, wrapper = copy / "bin" / "real", copy / "bin" / f"python{version}"
    shutil.copy2(Path(sys.executable).resolve(), real)
    # Its own library before one of the system, also in children with an empty environment.
    wrapper.write_text(f'#!/bin/bash\nLD_LIBRARY_PATH={copy / "lib"} exec -a "$0" {real} "$@"\n')
    wrapper.chmod(0o755)
    skip = shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "ensurepip", "__pycache__")
    shutil.copytree(
        ours / "lib" / f"python{version}", copy / "lib" / f"python{version}", symlinks=True, ignore=skip
    )
    for library in (ours / "lib").glob("libpython*.so*"):
        shutil.copy2(library, copy / "lib" / library.name, follow_symlinks=False)
    return str(wrapper)


def _candidates(folder: Path, version: str) -> Iterator[str]:
    yield from (sys.executable, f"/usr/local/bin/python{version}", f"/usr/bin/python{version}")
    yield _copied(folder, version)


def _python(folder: Path, entry: pwd.struct_passwd) -> str:
    """An interpreter of our version that the account can run: compiled libraries fit no other."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for candidate in _candidates(folder, version):
        if not can_reach(Path(candidate), entry.pw_uid, entry.pw_gid):
            continue
        answer = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=[],
        )
        if answer.returncode == 0 and answer.stdout.strip() == version:
            return candidate
    reason = (
        f"{entry.pw_name} can run no Python {version}: {Path(sys.executable).resolve()} lies below a closed folder, "
        "a copy of it does not run, and the system has none of that version"
    )
    if os.environ.get("REQUIRE_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)
