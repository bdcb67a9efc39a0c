"""What one pass over unchanged documents costs, beside a bare httpx loop that asks the same. Prints one JSON object.

    .venv/bin/python benchmarks/collect_pass.py [--documents 500] [--hosts 50] [--passes 3] [--profile FILE]

A scratch server with the program's own schema, and a web of its own in a child that answers 304 to whoever sends
the validator. Only this process' processor time counts (the daemon's; its reader child is idle here);
PostgreSQL's is read from /proc and printed apart. Both sides take turns, and the median ratio counts.
Hold: the ratio is at most 2.5, memory at most 150 MB, and the figure per document the same for 5,000.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.conninfo import make_conninfo

from policywatch.db import migrate
from policywatch.db.embedded import Server
from policywatch.db.pool import Database
from policywatch.settings import Settings
from policywatch.simulated.world import allowed, simulated_resolver
from policywatchd.once import once
from policywatchd.service import Network, Service

QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
PARTS = (
    "You agree that these terms and our privacy policy govern your use of the service and of your account {number}.",
    "We may suspend or terminate your account if you breach these terms, and we are not liable for any loss of content.",
    "You keep the rights to the content that you post, and you grant us a license to use, copy and display it.",
    "We process personal data as the privacy policy says, and you may object to that processing at any time.",
    "Disputes under these terms are governed by the law of the country in which you live, before its courts.",
)
TICKS = os.sysconf("SC_CLK_TCK")


async def serve() -> None:
    """The web: 304 to a validator, 404 for robots.txt, else a page. Says its port on standard output."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"if-none-match:" in head.lower():
                    writer.write(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n')
                elif b" /robots.txt " in head:
                    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                else:
                    body = page(head)
                    writer.write(
                        b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s'
                        % (len(body), body)
                    )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def page(head: bytes) -> bytes:
    """The policy at an address: its own text for each of them."""
    number = zlib.crc32(head[:200])
    parts = "".join(
        f"<h2>Section {at + 1}</h2><p>{part.format(number=number + at)}</p>"
        for at, part in enumerate(PARTS * 4)
    )
    return f"<html><main><h1>Terms of service {number}</h1>{parts}</main></html>".encode()


def address(number: int, hosts: int) -> tuple[str, str]:
    """Host and path of a document."""
    return f"p{number % hosts}.test", f"/legal/{number // hosts}"


def settings_of(documents: int, hosts: int) -> Settings:
    """So many documents of so many platforms, one host each."""
    platforms: dict[str, Any] = {}
    for number in range(documents):
        host, path = address(number, hosts)
        platform = platforms.setdefault(host.removesuffix(".test"), {"name": host, "documents": {}})
        platform["documents"][f"d{number // hosts}"] = {
            "name": f"Document {number}",
            "cadence": "1 h",
            "pages": [{"url": f"http://{host}{path}", "select": ["main"]}],
        }
    fetch = {"min_gap": "1 ms", "timeout": "10 s", "concurrency": 8}
    return Settings.model_validate({"catalogue": "none", "platforms": platforms, "fetch": fetch})


async def bare(port: int, documents: int, hosts: int) -> float:
    """Processor seconds of a loop with nothing but httpx in it."""
    async with httpx.AsyncClient() as client:
        began = time.process_time()
        for number in range(documents):
            host, path = address(number, hosts)
            headers = {"Host": host, "If-None-Match": '"1"'}
            answer = await client.get(f"http://127.0.0.1:{port}{path}", headers=headers)
            assert answer.status_code == 304
        return time.process_time() - began


def server_seconds(folder: Path) -> float:
    """Processor seconds of PostgreSQL with its living and ended children."""
    head = next(folder.rglob("postmaster.pid")).read_text().split()[0]
    total = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if place.name == head:
            total += sum(map(int, fields[11:15]))
        elif fields[1] == head:
            total += sum(map(int, fields[11:13]))
    return total / TICKS


async def measure(options: argparse.Namespace, folder: Path, conninfo: str, port: int) -> dict[str, Any]:
    """First look, then the passes."""
    settings = settings_of(options.documents, options.hosts)
    async with await Database.open(conninfo, max_size=3, application="bench") as db:
        service = Service(
            db, settings, network=Network(simulated_resolver(port), allowed(port)), program="bench"
        )
        try:
            first = await once(service, ("",))
            assert first.outcomes == {"first": options.documents}, first.outcomes
            with psycopg.connect(options.owner, autocommit=True) as connection:
                connection.execute("UPDATE app.document_pages SET trial = 'good'")
            rows = []
            for _ in range(options.passes):
                plain = await bare(port, options.documents, options.hosts)
                profile = cProfile.Profile() if options.profile else None
                of_server, wall = server_seconds(folder), time.perf_counter()
                if profile:
                    profile.enable()
                began = time.process_time()
                report = await once(service, ("",))
                ours = time.process_time() - began
                if profile:
                    profile.disable()
                    profile.dump_stats(options.profile)
                assert report.outcomes == {"unchanged": options.documents}, report.outcomes
                rows.append(
                    {
                        "bare_cpu_s": round(plain, 3),
                        "cpu_s": round(ours, 3),
                        "ratio": round(ours / plain, 2),
                        "postgres_cpu_s": round(server_seconds(folder) - of_server, 2),
                        "seconds": round(time.perf_counter() - wall, 2),
                    }
                )
        finally:
            await service.reader.close()
    return {
        "documents": options.documents,
        "hosts": options.hosts,
        "passes": rows,
        "ratio": round(statistics.median(row["ratio"] for row in rows), 2),
        "cpu_ms_per_document": round(
            statistics.median(row["cpu_s"] for row in rows) * 1000 / options.documents, 3
        ),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def main() -> None:
    """Make the world, measure, take it away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--profile")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    with tempfile.TemporaryDirectory(prefix="policywatch-bench-") as made:
        folder = Path(made)
        if os.geteuid() == 0:
            folder.chmod(0o711)
        server = Server(folder, extra=QUICK)
        web = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
        try:
            server.start()
            superuser = server.conninfo("postgres", "postgres")
            with psycopg.connect(superuser, autocommit=True) as connection:
                connection.execute("CREATE DATABASE bench ENCODING 'UTF8' TEMPLATE template0")
            owner = make_conninfo(superuser, dbname="bench")
            asyncio.run(migrate.up(owner, admin_name="bench_admin"))
            with psycopg.connect(owner, autocommit=True) as connection:
                password = secrets.token_hex(12)
                connection.execute(f"CREATE ROLE bench_daemon LOGIN PASSWORD '{password}'")
                connection.execute("GRANT pw_daemon TO bench_daemon")
                connection.execute("SELECT app.secure_database()")
            conninfo = make_conninfo(owner, user="bench_daemon", password=password)
            assert web.stdout is not None
            port = int(web.stdout.readline())
            options.owner = owner
            print(json.dumps(asyncio.run(measure(options, folder, conninfo, port)), indent=2))
        finally:
            web.terminate()
            web.wait()
            server.stop()


if __name__ == "__main__":
    main()
