"""The list of packages in pyproject.toml is written by hand; here it is compared with the tree."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
#: Import package and the folder that it lies in.
ROOTS = {
    "policywatch": ROOT / "policywatch",
    "policywatch.config": ROOT / "config",
    "policywatch.migrations": ROOT / "migrations",
    "policywatch_tui": ROOT / "tui" / "policywatch_tui",
    "policywatchd": ROOT / "daemon" / "policywatchd",
}


def _packages_of_the_tree() -> set[str]:
    found = set()
    for package, folder in ROOTS.items():
        for start in folder.rglob("__init__.py"):
            below = start.parent.relative_to(folder).parts
            found.add(".".join([package, *below]))
    return found


def test_the_list_of_packages_equals_the_tree() -> None:
    listed = PROJECT["tool"]["setuptools"]["packages"]

    assert len(listed) == len(set(listed))
    assert set(listed) == _packages_of_the_tree()


def test_every_folder_with_modules_or_sql_is_a_package() -> None:
    for folder in ROOTS.values():
        for file in folder.rglob("*"):
            if file.suffix in {".py", ".sql"} and "__pycache__" not in file.parts:
                assert (file.parent / "__init__.py").exists(), f"{file.parent} has no __init__.py"


def test_every_kind_of_file_in_the_packages_is_shipped() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]

    left_out = {
        file.relative_to(ROOT)
        for folder in ROOTS.values()
        for file in folder.rglob("*")
        if file.is_file()
        and "__pycache__" not in file.parts
        and file.suffix not in {".py", ".pyc", ".md"}
        and not any(file.match(pattern) for pattern in patterns)
    }

    assert left_out == set()
