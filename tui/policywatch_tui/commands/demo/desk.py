"""The desk of the demo, as a process of its own: the pretend world goes on in the one that started it.

Unlike `policywatch` without a command it starts nothing beside the desk: server and daemon are there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from policywatch.settings import load
from policywatch_tui.app import run_desk
from policywatch_tui.commands.demo.daemon import clean_environment

__all__ = ["main"]


def main(settings: Path) -> int:
    """The desk as the login that the settings name; its exit code."""
    return run_desk(load(settings, clean_environment()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
