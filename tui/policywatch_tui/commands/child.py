"""The daemon's verbs as a child process: its JSON on stdout, its progress (JSON lines on stderr) drawn here.

Desk and daemon never import each other; this is one of the two ways a command uses the daemon's rooms (the
other is a request row).
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import click

from policywatch.errors import PolicyWatchError
from policywatch_tui.commands.base import Shell
from policywatch_tui.desk.clean import clean

__all__ = ["daemon_argv", "run_verb"]


def daemon_argv(shell: Shell, *arguments: str) -> list[str]:
    """The daemon of the same installation and settings, as arguments of a process."""
    argv = [sys.executable, "-m", "policywatchd.main"]
    if shell.config is not None:
        argv += ["--config", str(shell.config)]
    return [*argv, *arguments]


def run_verb(shell: Shell, *arguments: str, label: str = "", told: str = "") -> tuple[int, dict[str, Any]]:
    """Run one verb to its end; returns its exit code and the object it printed ({} if it printed none).

    `told` is an event of the log that the answer tells as well; its lines are left out.
    Ctrl-C reaches the child too (same terminal group); it ends in order and says so by its exit code.
    """
    with subprocess.Popen(
        daemon_argv(shell, "--quiet", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        said = list[str]()
        # Both pipes are read at once: a long answer would block a child whose progress is waited for.
        reading = threading.Thread(target=lambda pipe: said.append(pipe.read()), args=(child.stdout,))
        reading.start()
        _follow(shell, child.stderr, label, told)
        reading.join()
        printed, code = "".join(said), child.wait()
    try:
        result = json.loads(printed) if printed.strip() else {}
    except ValueError as error:
        raise PolicyWatchError(
            f"policywatchd {arguments[0]} answered no JSON.", remedy="Run it by itself to see why."
        ) from error
    return code, result if isinstance(result, dict) else {"result": result}


def _follow(shell: Shell, lines: Any, label: str, told: str) -> None:
    """Draw progress lines `{"done": n, "total": m, "text": ...}` on a terminal; other lines pass through."""
    bar = None
    for line in lines:
        step = _progress(line)
        if step is None and told and f" {told} " in line:
            continue
        if step is None:
            click.echo(clean(line.rstrip("\n")), err=True)
        elif shell.on_terminal():
            if bar is None:
                bar = click.progressbar(length=max(1, int(step["total"])), label=label, file=sys.stderr)
                bar.__enter__()
            bar.length = max(1, int(step["total"]))
            bar.update(int(step["done"]) - bar.pos)
    if bar is not None:
        bar.__exit__(None, None, None)


def _progress(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        step = json.loads(line)
    except ValueError:
        return None
    return step if isinstance(step, dict) and "done" in step and "total" in step else None
