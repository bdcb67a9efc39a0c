"""Fixtures that every test may ask for, and a note of what ran, for the test that compares promises with it."""

from __future__ import annotations

import pytest

from tests.databases import database, module_database, server, template

__all__ = ["database", "module_database", "server", "template"]

#: Test ids that passed in this run.
PASSED: pytest.StashKey[set[str]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PASSED] = set()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks back at the run comes last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):  # type: ignore[no-untyped-def]
    report = yield
    if report.when == "call" and report.passed:
        item.config.stash[PASSED].add(item.nodeid)
    return report
