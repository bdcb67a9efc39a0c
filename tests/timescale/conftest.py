"""The tests of this folder run only when the folder is named (`make test-timescale`): they need Node, not PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the folder out of runs that did not ask for it."""
    asked = (config.invocation_params.dir / argument.split("::")[0] for argument in config.args)
    if any(place.resolve().is_relative_to(_HERE) for place in asked):
        return None
    return True
