"""The command itself: tells the story, counts it, and on a terminal ends in the desk."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from policywatch_tui.commands.base import Shell, with_shell

__all__ = ["demo"]


@click.command()
@click.option("--headless", is_flag=True, help="Do not open the desk at the end.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Leave database, settings and received mails in this new folder.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, 20),
    default=4,
    show_default=True,
    help="How often the pretend platforms change; from the fourth time on it is noise alone.",
)
@with_shell
async def demo(shell: Shell, headless: bool, keep: Path | None, rounds: int) -> int:
    """The whole story in a pretend world: seven platforms change, ana and ben work, members get mail.

    Nothing leaves this computer and nothing of it stays (but for --keep). On a terminal it ends in the desk.
    Exits 0 only if every number is as scripted.
    """
    headless = headless or shell.as_json or not (sys.stdin.isatty() and sys.stdout.isatty())
    with _signals_end() as caught:
        try:
            return await _run(shell, headless, keep, rounds)
        except asyncio.CancelledError:
            if caught:
                return 128 + caught[0]
            raise


@contextlib.contextmanager
def _signals_end() -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and a closed terminal end the story in order; while it clears up, more of them do nothing."""
    loop, task, caught = asyncio.get_running_loop(), asyncio.current_task(), list[int]()
    assert task is not None

    def end(number: int) -> None:
        if not caught:
            caught.append(number)
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    try:
        yield caught
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def _run(shell: Shell, headless: bool, keep: Path | None, rounds: int) -> int:
    # Imported here: `--help` must not wait for the database's driver.
    from policywatch_tui.commands.demo.figures import deviations
    from policywatch_tui.commands.demo.place import placed
    from policywatch_tui.commands.demo.stage import staged
    from policywatch_tui.commands.demo.story import Story
    from policywatch_tui.commands.demo.teller import Teller

    stream = (sys.stderr if shell.on_terminal() else None) if shell.as_json else sys.stdout
    teller = Teller(stream, lively=stream is not None and stream.isatty() and not shell.plain)
    with placed(keep) as place:
        async with staged(place, teller) as stage:
            story = Story(stage, teller, rounds)
            await stage.daemon.beside(story.tell())
            for person in stage.people.values():
                await person.leave()
            if headless:
                await stage.daemon.stop()  # nothing moves any more: what is kept holds the same numbers
            figures = await story.figures()
            wrong = deviations(figures, story.script())
            if shell.as_json:
                shell.emit(figures)
            else:
                teller.line()
                for line in _table(figures):
                    teller.line(line)
                teller.line()
                teller.line(
                    "Every number is as scripted." if not wrong else "Not every number is as scripted."
                )
            for sentence in wrong:
                click.echo(sentence, err=True)
            if not headless:
                await _desk(place.settings_of("ben"))
        if place.kept:
            click.echo(_how_to_open(place.folder), err=shell.as_json)
    return 1 if wrong else 0


def _table(figures: Mapping[str, float]) -> list[str]:
    """The figures in two columns."""
    cells = [f"{name.replace('_', ' '):<33}{value:>5g}" for name, value in figures.items()]
    half = (len(cells) + 1) // 2
    return ["  ".join(pair).rstrip() for pair in zip(cells[:half], [*cells[half:], ""][:half], strict=True)]


def _how_to_open(folder: Path) -> str:
    return (
        f"Database, settings and mails are kept in {folder}. To look at them:\n"
        f"  policywatch --config {folder}/policywatch.yaml db start\n"
        f"  policywatch --config {folder}/ben.yaml        (the desk, as ben; or ana.yaml)\n"
        f"  policywatch --config {folder}/policywatch.yaml db stop"
    )


async def _desk(settings: Path) -> None:
    """The desk as ben, in a process of its own: web, mail server and daemon go on here meanwhile."""
    from policywatch_tui.commands.demo.daemon import clean_environment

    click.echo(
        "\nThe desk opens as ben. Changes wait to be read, and guidance by ana waits for a yes (key 2)."
        "\nLeave it with q; then everything is stopped and removed."
    )
    click.echo("Press Enter to open it. ", nl=False)
    await _enter()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "policywatch_tui.commands.demo.desk", str(settings)), env=clean_environment()
    )
    try:
        if code := await child.wait():
            click.echo(f"The desk ended with exit code {code}.", err=True)
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            await child.wait()


async def _enter() -> None:
    """Until the person presses Enter; on the loop, so that Ctrl-C is heard."""
    loop, pressed = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        sys.stdin.readline()
        pressed.set()

    loop.add_reader(sys.stdin.fileno(), read)
    try:
        await pressed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
