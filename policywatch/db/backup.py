"""Backups: one consistent dump with a manifest written last, and restores that wake frozen.

`pg_dump` of the running major in the snapshot whose rows the manifest counts. A folder without a manifest is
no backup. A restore goes into a new database, is compared with the manifest, and sends nothing until two
people thaw it. Encryption and retention of backups are not here yet.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from policywatch.db import servers
from policywatch.db.queries import load
from policywatch.db.refusals import away
from policywatch.errors import PolicyWatchError, ServiceAway, UsageError

__all__ = ["DUMP", "MANIFEST", "Manifest", "Restored", "create", "listed", "restore"]

DUMP, MANIFEST = "policywatch.dump", "manifest.json"

_sql = load("backup")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `rows` counts every table in the snapshot of the dump."""

    made_at: str
    database: str
    server_version: str
    system_identifier: str
    schema_version: int
    install_id: str
    timescaledb: str | None
    size: int
    sha256: str
    rows: Mapping[str, int]
    program: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. `uncertain` recipients may have got their mail after the dump was made."""

    database: str
    tables: int
    rows: int
    uncertain: int
    frozen: bool


def program_of(name: str, major: int) -> Path:
    """`pg_dump` or `pg_restore` of the given major, from the installations of this machine; else any on the path."""
    usable, _ = servers.find()
    for installation in usable:
        path = installation.bin / name
        if installation.major == major and path.is_file():
            return path
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    raise ServiceAway(
        f"{name} of PostgreSQL {major} is not here.",
        remedy=f"Install the client programs of PostgreSQL {major}.",
    )


async def _run(program: Path, conninfo: str, *arguments: str) -> None:
    """Run a client program; the password goes by the environment, never by an argument that `ps` shows."""
    parts = conninfo_to_dict(conninfo)
    env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    if password := parts.pop("password", None):
        env["PGPASSWORD"] = str(password)
    child = await asyncio.create_subprocess_exec(
        str(program),
        f"--dbname={make_conninfo('', **{k: v for k, v in parts.items() if v is not None})}",
        *arguments,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await child.communicate()
    except asyncio.CancelledError:
        child.terminate()
        await child.wait()
        raise
    if child.returncode != 0:
        lines = said.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise PolicyWatchError(f"{program.name} failed: {lines[0][:300]}", remedy="Nothing was kept of it.")


def _hashed(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Make file or folder durable: the manifest may only name what is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def create(conninfo: str, folder: Path, *, program: str) -> tuple[Path, Manifest]:
    """Back the database up into a new folder below `folder`; its path and manifest.

    `conninfo`: as the owner (it reads everything). Other programs may go on writing. On any failure the
    half-made folder is removed.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(conninfo, row_factory=dict_row)
    except psycopg.Error as error:
        raise away(conninfo, error) from error
    async with connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        snapshot = await _one(connection, _sql.export_snapshot.text)
        facts = await _one(connection, _sql.facts.text)
        counted = await (await connection.execute(_sql.count_rows.text)).fetchall()
        name = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        part = folder / f".{name}.part"
        try:
            part.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise UsageError(
                f"{folder} cannot hold backups: {error.strerror}.",
                remedy="Set backup.folder to a writable folder.",
            ) from error
        try:
            tool = program_of("pg_dump", int(facts["server_version"].split(".")[0]))
            await _run(
                tool,
                conninfo,
                "--format=custom",
                f"--snapshot={snapshot['snapshot']}",
                f"--file={part / DUMP}",
            )
            manifest = await asyncio.to_thread(_finish, part, facts, counted, program)
            place = folder / name
            part.rename(place)
            _sync(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return place, manifest


def _finish(part: Path, facts: Mapping[str, Any], counted: list[dict[str, Any]], program: str) -> Manifest:
    """Dump durable first, then the manifest that names its hash."""
    dump = part / DUMP
    dump.chmod(0o600)
    _sync(dump)
    manifest = Manifest(
        made_at=facts["at"].astimezone(UTC).isoformat().replace("+00:00", "Z"),
        database=facts["database"],
        server_version=facts["server_version"],
        system_identifier=facts["system_identifier"],
        schema_version=facts["schema_version"],
        install_id=facts["install_id"],
        timescaledb=facts["timescaledb"],
        size=dump.stat().st_size,
        sha256=_hashed(dump),
        rows={r["relation"]: r["rows"] for r in counted},
        program=program,
    )
    written = part / MANIFEST
    with os.fdopen(
        os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump(asdict(manifest), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    _sync(part)
    return manifest


async def _one(connection: psycopg.AsyncConnection[dict[str, Any]], text: Any) -> dict[str, Any]:
    row = await (await connection.execute(text)).fetchone()
    assert row is not None
    return row


def read_manifest(place: Path) -> Manifest:
    """The manifest of a backup; PolicyWatchError when the folder is none."""
    try:
        stored = json.loads((place / MANIFEST).read_text("utf-8"))
        return Manifest(**stored)
    except (OSError, ValueError, TypeError) as error:
        raise PolicyWatchError(
            f"{place} is no backup: its manifest is missing or broken.", remedy="See: policywatch backup list"
        ) from error


def listed(folder: Path) -> list[tuple[Path, Manifest | None]]:
    """Every folder in the backup folder, the newest first; None where the manifest is missing or broken."""
    found: list[tuple[Path, Manifest | None]] = []
    for place in sorted((p for p in folder.glob("*") if p.is_dir()), reverse=True):
        try:
            found.append((place, read_manifest(place)))
        except PolicyWatchError:
            found.append((place, None))
    return found


async def restore(conninfo: str, place: Path, database: str) -> Restored:
    """Restore a backup into a new database of the server; it wakes frozen.

    `conninfo`: as the owner, naming any database of the server. Refuses a database that exists, a dump whose
    hash is not the manifest's, a TimescaleDB dump without the extension; removes the new database on failure.
    """
    manifest = read_manifest(place)
    dump = place / DUMP
    if not dump.is_file() or await asyncio.to_thread(_hashed, dump) != manifest.sha256:
        raise PolicyWatchError(
            f"The dump in {place} is not the one its manifest names.",
            remedy="Use another backup; keep this one to look at.",
        )
    admin = make_conninfo(conninfo, dbname="postgres")
    target = make_conninfo(conninfo, dbname=database)
    try:
        connection = await psycopg.AsyncConnection.connect(admin, autocommit=True, row_factory=dict_row)
    except psycopg.Error as error:
        raise away(admin, error) from error
    async with connection:
        major = connection.info.server_version // 10000
        try:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        except psycopg.errors.DuplicateDatabase as error:
            raise UsageError(
                f"The database {database} exists; a restore never writes into one.", remedy="Name a new one."
            ) from error
        try:
            await _run(program_of("pg_restore", major), target, "--exit-on-error", str(dump))
            return await _woken(target, manifest, place, database)
        except BaseException:
            await connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database))
            )
            raise


async def _woken(target: str, manifest: Manifest, place: Path, database: str) -> Restored:
    """Compare with the manifest, set the database's rights anew, freeze it."""
    async with await psycopg.AsyncConnection.connect(target, row_factory=dict_row) as connection:
        counted = await (await connection.execute(_sql.count_rows.text)).fetchall()
        rows = {r["relation"]: r["rows"] for r in counted}
        if rows != dict(manifest.rows):
            wrong = sorted(t for t in {*rows, *manifest.rows} if rows.get(t) != manifest.rows.get(t))
            raise PolicyWatchError(
                f"The restored rows differ from the manifest in: {', '.join(wrong)}.",
                remedy="Use another backup.",
            )
        await connection.execute(_sql.secure_database.text)
        woken = await (
            await connection.execute(
                _sql.wake_frozen.text, {"reason": f"restored from the backup of {manifest.made_at}"}
            )
        ).fetchone()
    return Restored(
        database, len(rows), sum(rows.values()), int(woken["uncertain"]) if woken else 0, frozen=True
    )
