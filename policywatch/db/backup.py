"""Backups: one consistent dump with a manifest written last, and restores that wake frozen.

`pg_dump` of the running major in the snapshot whose rows the manifest counts. A folder without a manifest is
no backup. A restore goes into a new database, is compared with the manifest, and sends nothing until two
people thaw it; it gets its name only when it is whole and frozen, so that no daemon finds it before. The target
may be another cluster: the group roles are made there first. Not in a backup: login roles of people, the master
key. Encryption and retention of backups are not here yet.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from policywatch.db import servers
from policywatch.db.queries import load
from policywatch.db.refusals import away
from policywatch.db.statements import compose
from policywatch.db.steps import roles, shipped
from policywatch.domain.audit import sealed_line
from policywatch.errors import NotAllowed, PolicyWatchError, ServiceAway, UsageError

__all__ = ["DUMP", "MANIFEST", "Manifest", "Restored", "create", "listed", "restore"]

DUMP, MANIFEST = "policywatch.dump", "manifest.json"

_sql = load("backup")
_server = load("server")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_RENAMES = 20  # tries, a tenth of a second apart

Connection = psycopg.AsyncConnection[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `rows` counts every table in the snapshot of the dump; `seal` is the audit log's newest
    (`audit verify --anchor manifest.json` reads it)."""

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
    seal: str | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. `uncertain` recipients may have got their mail after the dump was made."""

    database: str
    tables: int
    rows: int
    uncertain: int
    frozen: bool


def program_of(name: str, major: int, programs: Path | None = None) -> Path:
    """`pg_dump` or `pg_restore` of the given major: of `programs`, of an installation here, else any on the path."""
    if programs is not None and (programs / name).is_file():
        return programs / name
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
        lines = said.decode("utf-8", "replace").strip().splitlines() or [_ended(child.returncode or 0)]
        raise PolicyWatchError(
            f"{program.name} failed: {lines[0].removeprefix(f'{program.name}: ')[:300]}",
            remedy="Mend the cause and run it again; nothing was kept of it.",
        )


def _ended(code: int) -> str:
    """How a program that said nothing went: a limit on the size of files ends it by a signal."""
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}, no reason given"


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


@asynccontextmanager
async def _connected(conninfo: str, *, autocommit: bool = False) -> AsyncIterator[Connection]:
    """A connection; what PostgreSQL refuses on it is told as a sentence."""
    try:
        connection = await Connection.connect(
            conninfo,
            autocommit=autocommit,
            row_factory=dict_row,
            connect_timeout=5,
            application_name="policywatch backup",
        )
    except psycopg.Error as error:
        raise away(conninfo, error) from error
    try:
        async with connection:
            yield connection
    except psycopg.Error as error:
        said = error.diag.message_primary or " ".join(str(error).split())
        raise PolicyWatchError(
            f"The database refused: {said}.",
            remedy="Backups and restores run as whoever owns the database (database.owner_dsn).",
            code=error.sqlstate or "",
        ) from error


async def create(
    conninfo: str, folder: Path, *, program: str, programs: Path | None = None
) -> tuple[Path, Manifest]:
    """Back the database up into a new folder below `folder`; its path and manifest.

    `conninfo`: as the owner (it reads everything). `programs`: where the server's own pg_dump is, else it is
    looked for. Other programs may go on writing. On any failure the half-made folder is removed.
    """
    async with _connected(conninfo) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        snapshot = await _one(connection, _sql.export_snapshot.text)
        facts = await _one(connection, _sql.facts.text)
        counted = await (await connection.execute(_sql.count_rows.text)).fetchall()
        seal = await (await connection.execute(_sql.newest_seal.text)).fetchone()
        facts["seal"] = sealed_line(**seal) if seal else None
        tool = program_of("pg_dump", connection.info.server_version // 10000, programs)
        name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        part, place = folder / f".{name}.part", folder / name
        try:
            part.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise UsageError(
                f"{folder} cannot hold backups: {error.strerror}.",
                remedy="Set backup.folder to a writable folder.",
            ) from error
        try:
            dump = (
                "--format=custom",
                "--enable-row-security",  # where it is on, its policies let the owner see all; the counts prove it
                f"--snapshot={snapshot['snapshot']}",
                f"--file={part / DUMP}",
            )
            await _run(tool, conninfo, *dump)
            manifest = await asyncio.to_thread(_finish, part, facts, counted, program)
            part.rename(place)
            _sync(folder)
        except BaseException as error:
            shutil.rmtree(part, ignore_errors=True)
            if isinstance(error, OSError):
                raise PolicyWatchError(
                    f"The backup cannot be written to {folder}: {error.strerror}.",
                    remedy="Make room there and run it again; nothing was kept of it, older backups are as they were.",
                ) from error
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
        seal=facts["seal"],
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


async def _one(connection: Connection, text: Any, **params: Any) -> dict[str, Any]:
    row = await (await connection.execute(text, params or None)).fetchone()
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


async def restore(conninfo: str, place: Path, database: str, *, programs: Path | None = None) -> Restored:
    """Restore a backup into a new database of the server; it wakes frozen.

    `conninfo`: as a superuser, naming any database of the server. Refuses a database that exists, a dump whose
    hash is not the manifest's, a TimescaleDB dump without the extension; on failure nothing is left of it.
    """
    if not _NAME.fullmatch(database):
        raise UsageError(
            f'"{database}" cannot be the name of a database here.',
            remedy="Letters, digits, _ and -, at most 63, beginning with a letter.",
        )
    manifest = read_manifest(place)
    dump = place / DUMP
    if not dump.is_file() or await asyncio.to_thread(_hashed, dump) != manifest.sha256:
        raise PolicyWatchError(
            f"The dump in {place} is not the one its manifest names.",
            remedy="Use another backup; keep this one to look at.",
        )
    async with _connected(make_conninfo(conninfo, dbname="postgres"), autocommit=True) as server:
        await _refuse_target(server, manifest, database)
        fresh = f"pw_restoring_{secrets.token_hex(4)}"
        tool = program_of("pg_restore", server.info.server_version // 10000, programs)
        try:
            await server.execute(compose(_server.create_database, names={"name": fresh}))
            restored = await _filled(make_conninfo(conninfo, dbname=fresh), tool, manifest, place, database)
            await _named(server, fresh, database)
        except BaseException:
            with suppress(psycopg.Error):  # the cause is told, not that the server is gone too
                await server.execute(compose(_server.drop_database, names={"name": fresh}))
            raise
    return restored


async def _refuse_target(server: Connection, manifest: Manifest, database: str) -> None:
    if (await _one(server, _server.database_there.text, name=database))["there"]:
        raise UsageError(
            f"The database {database} exists; a restore never writes into one.", remedy="Name a new one."
        )
    if not (await _one(server, _sql.superuser.text))["rolsuper"]:
        raise NotAllowed(
            f"{server.info.user} is no superuser of that server; a restore gives things to roles, as only one may.",
            remedy="Set database.owner_dsn to an administrator of the server for the restore.",
        )
    version = manifest.timescaledb
    if version and not (await _one(server, _sql.timescale_offered.text, version=version))["offered"]:
        raise PolicyWatchError(
            f"The backup was made with TimescaleDB {version}, which this server does not offer.",
            remedy=f"Install TimescaleDB {version} on it, or restore on a server that has it.",
        )


async def _filled(target: str, tool: Path, manifest: Manifest, place: Path, database: str) -> Restored:
    """Roles, rows, comparison with the manifest, the database's rights anew, the frost."""
    async with _connected(target, autocommit=True) as connection:
        if manifest.timescaledb:
            wanted = {"version": manifest.timescaledb}
            await connection.execute(compose(_sql.timescale_make, names={}, literals=wanted))
            await connection.execute(_sql.timescale_before.text)
        async with connection.transaction():
            await connection.execute(_sql.quiet.text)
            await connection.execute(roles(shipped()).encode())
    await _run(tool, target, "--exit-on-error", str(place / DUMP))
    async with _connected(target) as connection:
        if manifest.timescaledb:
            await connection.execute(_sql.timescale_after.text)
        counted = await (await connection.execute(_sql.count_rows.text)).fetchall()
        rows = {r["relation"]: r["rows"] for r in counted}
        if rows != dict(manifest.rows):
            wrong = sorted(t for t in {*rows, *manifest.rows} if rows.get(t) != manifest.rows.get(t))
            raise PolicyWatchError(
                f"The restored rows differ from the manifest in: {', '.join(wrong)}.",
                remedy="Use another backup.",
            )
        await connection.execute(_sql.secure_database.text)
        reason = f"restored from the backup of {manifest.made_at}"
        woken = await _one(connection, _sql.wake_frozen.text, reason=reason)
    return Restored(database, len(rows), sum(rows.values()), int(woken["uncertain"]), frozen=True)


async def _named(server: Connection, fresh: str, database: str) -> None:
    """Give it its name at last. Somebody who looks into every database may still be connected."""
    for attempt in range(_RENAMES):
        await server.execute(_server.end_connections.text, {"name": fresh})
        try:
            await server.execute(compose(_server.rename_database, names={"old": fresh, "new": database}))
            return
        except psycopg.errors.ObjectInUse:
            if attempt == _RENAMES - 1:
                raise
            await asyncio.sleep(0.1)
