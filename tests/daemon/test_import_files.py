"""Histories that are no git: dated files, CSV indexes, WARC files; with the same promises as an archive's."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from policywatch.db.pool import Database
from policywatch.errors import UsageError
from policywatch.settings import Settings
from policywatchd.collect.archives import children
from policywatchd.collect.archives.importing import ImportReport, import_source
from policywatchd.upkeep.reconcile import reconcile
from tests.daemon.archives import text
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

VERSIONS = """
SELECT p.key || '/' || d.key AS document, s.kind, s.fetched_at, s.origin, k.source_ref, s.text_sha256, s.source
FROM app.policy_snapshots s JOIN app.snapshot_keys k ON k.id = s.id
JOIN app.policy_documents d ON d.id = s.document_id JOIN app.platforms p ON p.id = d.platform_id ORDER BY s.id
"""
CHANGES = "SELECT t.status, t.historical, c.noise_kind FROM app.change_states t JOIN app.policy_changes c ON c.id = t.change_id"
TERMS = "https://x.example/terms"
RULES = [f"https://bluesky.example/rules/{part}" for part in ("one", "two")]
SHORTER = text(Appeals="You may appeal a decision within 7 days. A person looks at every appeal.")
SETTINGS = Settings.model_validate(
    {
        "catalogue": "none",
        "platforms": {
            "x": {
                "name": "X",
                "aliases": ["Twitter"],
                "documents": {
                    "terms-of-service": {
                        "name": "Terms of Service",
                        "pages": [{"url": TERMS, "select": ["main"], "remove": [".feedback"]}],
                    }
                },
            },
            "bluesky": {
                "name": "Bluesky",
                "documents": {
                    "rules": {
                        "name": "Rules",
                        "pages": [{"url": url, "select": ["main"]} for url in RULES],
                    }
                },
            },
        },
    }
)


@pytest.fixture(autouse=True)
def one_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process would only cost its start."""
    monkeypatch.setattr(children, "_CHILDREN", 1)


@pytest_asyncio.fixture
async def db(database: Scratch) -> AsyncIterator[Database]:
    async with await Database.open(database.daemon) as opened:
        await reconcile(opened, SETTINGS)
        yield opened


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.encode() if isinstance(body, str) else body)
    return folder


def page(*paragraphs: str, feedback: str = "Was this helpful?") -> str:
    body = "".join(f"<p>{one}</p>" for one in paragraphs)
    return f"<html><body><nav>Menu</nav><main><h1>Terms</h1>{body}<div class=feedback>{feedback}</div></main></body></html>"


def said(days: int) -> str:
    return page(
        "You must not post spam. We may remove a post.",
        f"You may appeal within {days} days." + " Please." * 20,
    )


def reasons(report: ImportReport) -> dict[str, str]:
    return {one["path"]: one["reason"] for one in report.refused_versions}


async def test_a_tree_of_dated_files_becomes_history_and_a_second_run_adds_nothing(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    # Given a platform under its old and its new name, a day with the same text, and a text file
    write(
        tmp_path,
        {
            "Twitter/Terms of Service/2022-01-01.md": text(),
            "Twitter/Terms of Service/2022-01-02T10-30-00.md": text(),
            "Twitter/Terms of Service/2022-02-01.md": SHORTER,
            "X/Terms of Service/2023-08-01.txt": SHORTER,
            "X/Terms of Service/2023-09-01.txt": text(),
            "README.md": "About these files",
        },
    )

    report = await import_source(SETTINGS, db, str(tmp_path))

    # Then both names are one document, the new name begins anew, and the copy of a text is no version
    rows = database.run(VERSIONS)
    assert {row["document"] for row in rows} == {"x/terms-of-service"}
    assert [row["kind"] for row in rows] == ["first", "change", "first", "change"]
    assert [f"{row['fetched_at']:%Y-%m-%d}" for row in rows] == [
        "2022-01-01",
        "2022-02-01",
        "2023-08-01",
        "2023-09-01",
    ]
    assert {row["source"] for row in rows} == {"archive"}
    assert rows[1]["origin"]["file"] == "Twitter/Terms of Service/2022-02-01.md"
    assert (report.snapshots_added, report.unchanged, report.changes_added, report.refused) == (4, 1, 2, 0)
    changes = database.run(CHANGES)
    assert [(row["status"], row["historical"]) for row in changes] == [("historical", True)] * 2

    # When the folder has moved and is imported again, then nothing is added
    again = await import_source(SETTINGS, db, str(tmp_path.rename(tmp_path.with_name("moved"))))
    assert (again.snapshots_added, again.skipped) == (0, 4)
    assert database.run(VERSIONS) == rows


async def test_a_tree_by_date_first_and_html_read_by_the_documents_rule(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    write(
        tmp_path,
        {
            "2024-01-01/X/Terms of Service.html": said(30),
            "2024-01-02/X/Terms of Service.html": said(30).replace("helpful", "useful"),
            "2024-01-03/X/Terms of Service.html": said(7),
        },
    )

    report = await import_source(SETTINGS, db, str(tmp_path))

    # What the rule removes is no version of its own
    assert [row["kind"] for row in database.run(VERSIONS)] == ["first", "change"]
    assert (report.unchanged, report.changes_added) == (1, 1)


async def test_bad_files_are_counted_lines_and_the_rest_goes_on(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    outside = write(tmp_path / "outside", {"secret.md": "secret"}) / "secret.md"
    folder = write(
        tmp_path / "tree",
        {
            "X/Terms of Service/2024-01-01.md": text(),
            "X/Terms of Service/2024-13-01.md": text(),
            "X/Terms of Service/2024-01-02.md": b"\x89PNG\x00\x00",
            "X/Terms of Service/2024-01-03.md": text() * 300,
            "X/Terms of Service/2024-01-04.exe": "MZ",
            "X/Terms of Service/2024-01-05.html": "<html><body>no main here</body></html>",
            "X/Terms\x1b[2J/2024-01-06.md": text(),
            "X/Ad Rules/2024-01-07.html": said(3),
            "Bluesky/Rules/2024-01-08.html": said(3),
            "Reddit/Terms/2024-01-09.md": text(),
        },
    )
    os.symlink(outside, folder / "X/Terms of Service/2024-02-01.md")
    limited = SETTINGS.model_copy(
        update={"fetch": SETTINGS.fetch.model_copy(update={"max_decoded": 50_000, "max_raw": 50_000})}
    )

    report = await import_source(limited, db, str(folder))

    assert len(database.run(VERSIONS)) == 1
    why = reasons(report)
    assert report.refused == len(why) == 9
    assert "no date" in why["X/Terms of Service/2024-13-01.md"]
    assert why["X/Terms of Service/2024-01-02.md"] == "it is binary"
    assert "more than 50000 bytes" in why["X/Terms of Service/2024-01-03.md"]
    assert ".exe" in why["X/Terms of Service/2024-01-04.exe"]
    assert "gives no text" in why["X/Terms of Service/2024-01-05.html"]
    assert "no rule finds its text" in why["X/Ad Rules/2024-01-07.html"]
    assert "has 2 pages and no url" in why["Bluesky/Rules/2024-01-08.html"]
    assert "cannot be read" in why["X/Terms of Service/2024-02-01.md"]
    assert not any("\x1b" in path for path in why)
    assert dict(report.unknown_services) == {"Reddit": 1}


async def test_an_index_names_files_and_the_pages_they_are_of(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    """A document of two pages is one version once both have been seen; pages of one hour belong together."""
    write(
        tmp_path,
        {
            "a.html": said(30),
            "b.html": page("A second page of rules." * 10),
            "c.html": said(7),
            "terms.md": text(),
            "index.csv": "Time,Platform,Document,File,URL\n"
            f"2024-01-01T10:00:00Z,Bluesky,Rules,a.html,{RULES[0]}\n"
            f"2024-01-01T10:01:00+00:00,bluesky,rules,b.html,{RULES[1]}\n"
            f"2024-02-01,Bluesky,Rules,c.html,{RULES[0]}\n"
            "2024-01-05,Twitter,Terms of Service,terms.md,\n"
            "yesterday,X,Terms of Service,terms.md,\n"
            "2024-01-06,X,Terms of Service,../outside.md,\n"
            "2024-01-07,X,Terms of Service,missing.md,\n",
        },
    )

    report = await import_source(SETTINGS, db, str(tmp_path / "index.csv"))
    again = await import_source(SETTINGS, db, str(tmp_path / "index.csv"))
    rows = database.run(VERSIONS)
    assert [(row["document"], row["kind"]) for row in rows] == [
        ("bluesky/rules", "first"),
        ("x/terms-of-service", "first"),
        ("bluesky/rules", "change"),
    ]
    assert (report.refused, report.changes_added, again.snapshots_added) == (3, 1, 0)
    assert "outside" in reasons(report)["../outside.md"]


def warc(path: Path, answers: Sequence[tuple[str, str, str, bytes]], *, cut: int = 0) -> Path:
    """A WARC of (time, address, status line, body); `cut`: so many bytes are lost at the end."""
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=False)
    for at, url, status, body in answers:
        headers = StatusAndHeaders(
            status,
            [("Content-Type", "text/html; charset=utf-8"), ("Content-Encoding", "gzip")],
            protocol="HTTP/1.1",
        )
        writer.write_record(
            writer.create_warc_record(
                url,
                "response",
                payload=io.BytesIO(gzip.compress(body)),
                http_headers=headers,
                warc_headers_dict={"WARC-Date": at},
            )
        )
    whole = stream.getvalue()
    path.write_bytes(whole[: len(whole) - cut])
    return path


async def test_a_warc_gives_the_answers_for_pages_of_ours(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    warc(
        tmp_path / "crawl-1.warc",
        [
            ("2024-01-01T00:00:00Z", TERMS, "200 OK", said(30).encode()),
            ("2024-01-01T00:00:01Z", "https://x.example/other", "200 OK", said(99).encode()),
            ("2024-01-08T00:00:00Z", TERMS + "#top", "200 OK", said(7).encode()),
            ("2024-01-09T00:00:00Z", TERMS, "403 Forbidden", page("Go away").encode()),
        ],
    )
    warc(
        tmp_path / "crawl-2.warc",
        [
            ("2024-01-15T00:00:00Z", TERMS, "200 OK", said(14).encode()),
            ("2024-01-16T00:00:00Z", TERMS, "200 OK", said(21).encode()),
        ],
        cut=100,
    )

    report = await import_source(SETTINGS, db, str(tmp_path))
    again = await import_source(SETTINGS, db, str(tmp_path))

    rows = database.run(VERSIONS)
    assert [row["kind"] for row in rows] == ["first", "change", "change"]
    assert rows[0]["origin"]["url"] == TERMS
    assert again.snapshots_added == 0
    assert any("answered 403" in why for why in reasons(report).values())
    assert report.refused == 2  # and the record that is cut off: half a page is no version


async def test_a_dry_run_counts_by_document_and_one_platform_alone_can_be_meant(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    write(
        tmp_path,
        {
            "X/Terms of Service/2024-01-01.md": text(),
            "X/Terms of Service/2024-01-02.md": SHORTER,
            "Bluesky/Rules/2024-01-01.md": text(),
        },
    )

    dry = await import_source(SETTINGS, db, str(tmp_path), dry_run=True)

    assert database.run(VERSIONS) == []
    assert dry.to_json()["by_document"] == {
        "bluesky/rules": {"versions": 1, "added": 1},
        "x/terms-of-service": {"versions": 2, "added": 2, "changes": 1},
    }
    await import_source(SETTINGS, db, str(tmp_path), platforms=["bluesky"])
    assert [row["document"] for row in database.run(VERSIONS)] == ["bluesky/rules"]
    with pytest.raises(UsageError, match="no platform myspace"):
        await import_source(SETTINGS, db, str(tmp_path), platforms=["myspace"])


async def test_a_folder_without_anything_of_use_is_told(db: Database, tmp_path: Path) -> None:
    write(tmp_path, {"a/b/c.md": "x", "index.csv": "when,what\n", "d.txt": "x"})
    for source, told in ((tmp_path, "nor dated files"), (tmp_path / "index.csv", "no column time, platform")):
        with pytest.raises(UsageError, match=told):
            await import_source(SETTINGS, db, str(source))


async def test_an_interrupted_import_of_files_is_finished_by_the_next(
    db: Database, database: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from policywatchd.collect.archives import plan

    monkeypatch.setattr(plan, "_BATCH", 2)
    write(
        tmp_path,
        {f"X/Terms of Service/2024-01-{day:02}.md": text(Conduct=f"Rule {day}.") for day in range(1, 8)},
    )

    def interrupt(done: int, total: int, _text: str) -> None:
        if done >= 4:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await import_source(SETTINGS, db, str(tmp_path), progress=interrupt)
    assert len(database.run(VERSIONS)) == 4
    report = await import_source(SETTINGS, db, str(tmp_path))

    assert (report.skipped, report.snapshots_added, report.changes_added) == (4, 3, 3)
    kinds: list[Any] = [row["kind"] for row in database.run(VERSIONS)]
    assert kinds == ["first", *["change"] * 6]


async def test_portions_imported_one_after_the_other_are_one_history(
    db: Database, database: Scratch, tmp_path: Path
) -> None:
    # Given a folder a year, the second of which begins with the text that the first ended with
    first = write(tmp_path / "2023", {"X/Terms of Service/2023-01-01.md": text()})
    second = write(
        tmp_path / "2024",
        {"X/Terms of Service/2024-01-01.md": text(), "X/Terms of Service/2024-06-01.md": SHORTER},
    )
    third = write(tmp_path / "2025", {"X/Terms of Service/2025-01-01.md": text()})

    reports = [await import_source(SETTINGS, db, str(folder)) for folder in (first, second, third)]

    assert [report.snapshots_added for report in reports] == [1, 1, 1]
    assert [report.changes_added for report in reports] == [0, 1, 1]
    assert [row["kind"] for row in database.run(VERSIONS)] == ["first", "change", "change"]
    again = await import_source(SETTINGS, db, str(second))
    assert (again.snapshots_added, again.changes_added) == (0, 0)
