"""`policywatch metrics`: the exposition, as a Prometheus server would read it from the daemon."""

from __future__ import annotations

import click

from policywatch_tui.commands.base import Shell, with_shell

__all__ = ["metrics"]


@click.command()
@with_shell
async def metrics(shell: Shell) -> None:
    """Table sizes, query times, pool, replication lag, queue ages."""
    from policywatch.db import metrics as measured
    from policywatch.metrics import exposition

    async with shell.database() as db:
        samples = [*await measured.measure(db), *await measured.newest(db)]
    if shell.as_json:
        shell.emit(
            {"metrics": [{"name": s.name, "labels": dict(s.labels), "value": s.value} for s in samples]}
        )
    else:
        click.echo(exposition(samples), nl=False)
