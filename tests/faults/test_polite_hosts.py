"""R31: what a host says about being asked is kept to, by all daemons and over their restarts."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from policywatchd.collect.fetch import FetchFault
from policywatchd.collect.hosts import HostBusy
from tests.databases import Scratch
from tests.faults.polite_world import answer, host, one_daemon

pytestmark = [pytest.mark.needs_db, pytest.mark.fault]


def row(database: Scratch) -> dict[str, Any]:
    """What stands in the host's row, with seconds until it may be asked and until its breaker is tried."""
    (found,) = database.run(
        "SELECT failures, cause, back_off, robots_status, length(robots) AS length,"
        " extract(epoch FROM next_allowed_at - app.pw_now())::float AS wait,"
        " extract(epoch FROM open_until - app.pw_now())::float AS shut FROM app.hosts WHERE host = 'x.test'"
    )
    return found


async def test_no_robots_txt_allows_all_and_is_asked_for_once_a_day(database: Scratch) -> None:
    database.replace_clock()
    async with host() as web:
        async with one_daemon(database.daemon, web.port) as daemon:
            assert (await daemon.get()).status == 200
            assert daemon.passage is not None and daemon.passage.verdict == "allowed"
            await daemon.get()
        async with one_daemon(database.daemon, web.port, "restarted") as daemon:
            await daemon.get()
            assert web.asked == ["/robots.txt", "/terms", "/terms", "/terms"]

            database.move_clock("24 hours")
            await daemon.get()

    assert web.asked[4:] == ["/robots.txt", "/terms"]


async def test_a_robots_txt_that_cannot_be_read_refuses_until_it_can(database: Scratch) -> None:
    database.replace_clock()
    async with host() as web, one_daemon(database.daemon, web.port) as daemon:
        for broken, words in (
            (answer("500 Internal Server Error"), "robots.txt of x.test answers 500"),
            (b"", "robots.txt of x.test cannot be fetched: the answer broke off"),
        ):
            web.answers["/robots.txt"] = broken
            with pytest.raises(FetchFault) as refusal:
                await daemon.get()
            assert refusal.value.code == "robots-unknown" and refusal.value.what.startswith(words)
            assert daemon.passage is not None and daemon.passage.verdict == "refused"
            database.move_clock("16 minutes")
        assert "/terms" not in web.asked

        web.answers["/robots.txt"] = answer("200 OK", b"User-agent: *\nAllow: /\n")
        assert (await daemon.get()).status == 200


async def test_a_refused_page_is_not_fetched_unless_a_person_decided_so(database: Scratch) -> None:
    async with host() as web, one_daemon(database.daemon, web.port) as daemon:
        rules = (
            b"User-agent: *\nDisallow: /\n\nUser-agent: policywatch\nDisallow: /terms\nDisallow: /*?print=\n"
        )
        web.answers |= {"/robots.txt": answer("200 OK", rules), "/privacy": answer("200 OK", b"privacy")}

        with pytest.raises(FetchFault) as refusal:
            await daemon.get("/terms")
        assert refusal.value.what == "robots.txt of x.test refuses /terms to PolicyWatch"
        with pytest.raises(FetchFault, match=r"refuses /privacy\?print=1 "):
            await daemon.get("/privacy?print=1")
        assert (await daemon.get("/privacy")).status == 200
        assert web.asked == ["/robots.txt", "/privacy"]

        assert (await daemon.get("/terms", overridden=True)).status == 200
        assert daemon.passage is not None and daemon.passage.verdict == "overridden"


async def test_a_redirect_leads_past_no_rule(database: Scratch) -> None:
    async with host() as web, one_daemon(database.daemon, web.port) as daemon:
        web.answers |= {
            "/robots.txt": answer("200 OK", b"User-agent: *\nDisallow: /hidden\n"),
            "/terms": answer("302 Found", b"", "Location: /hidden"),
        }
        with pytest.raises(FetchFault, match="refuses /hidden") as refusal:
            await daemon.get()

    assert refusal.value.status == 302 and "/hidden" not in web.asked


async def test_the_first_500_kib_of_robots_txt_count(database: Scratch) -> None:
    head, line = b"User-agent: *\nDisallow: /first\n", b"# 600 KiB of remarks, and not one rule among them\n"
    body = head + line * (600 * 1024 // len(line)) + b"Disallow: /last\n"
    async with host() as web, one_daemon(database.daemon, web.port) as daemon:
        web.answers |= {"/robots.txt": answer("200 OK", body), "/last": answer("200 OK", b"last")}

        assert await daemon.said("/first") == "robots"
        assert await daemon.said("/last") == "200"
        assert row(database)["length"] == 500 * 1024


async def test_a_crawl_delay_is_the_longer_gap_but_never_more_than_a_minute(database: Scratch) -> None:
    async with host() as web, one_daemon(database.daemon, web.port) as daemon:
        web.answers["/robots.txt"] = answer("200 OK", b"User-agent: *\nCrawl-delay: 3600\n")
        await daemon.get()
        with pytest.raises(HostBusy) as busy:
            await daemon.get()

    assert busy.value.why == "gap" and busy.value.cause is None
    assert 55 < busy.value.seconds <= 75


@pytest.mark.parametrize("how", ["seconds", "date"])
async def test_retry_after_is_kept_to_by_every_daemon(database: Scratch, how: str) -> None:
    database.replace_clock()
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
    said = "120" if how == "seconds" else later
    async with host() as web:
        web.answers["/terms"] = answer("429 Too Many Requests", b"", f"Retry-After: {said}")
        async with one_daemon(database.daemon, web.port) as daemon:
            assert (await daemon.get()).status == 429
            assert daemon.passage is not None and daemon.passage.turn is not None
            assert 110 < (daemon.passage.turn.wait or 0) <= 121
        async with one_daemon(database.daemon, web.port, "other") as other:
            with pytest.raises(HostBusy) as busy:
                await other.get()
            assert busy.value.why == "asked"
            assert busy.value.what.startswith("x.test asks to wait until ")
            assert busy.value.what.endswith(" UTC (429 Too Many Requests, Retry-After)")
            assert web.asked.count("/terms") == 1

            database.move_clock("122 seconds")
            web.answers["/terms"] = answer("200 OK", b"terms")
            assert (await other.get()).status == 200
    assert row(database)["cause"] is None


async def test_without_a_time_that_makes_sense_the_wait_doubles_to_a_day_and_success_forgets_it(
    database: Scratch,
) -> None:
    database.replace_clock()
    async with host() as web, one_daemon(database.daemon, web.port) as daemon:
        web.answers["/terms"] = answer("429 Too Many Requests", b"", "Retry-After: soon, perhaps")
        waits = []
        for _ in range(7):
            assert (await daemon.get()).status == 429
            waits.append(round(row(database)["wait"] / 60))
            database.move_clock(f"{waits[-1] * 60 + 1} seconds")
        assert waits == [15, 30, 60, 120, 240, 480, 960]
        database.run("UPDATE app.hosts SET back_off = '20 hours', robots_at = app.pw_now()")
        await daemon.get()
        assert round(row(database)["wait"] / 60) == 24 * 60
        database.move_clock("24 hours 1 second")

        web.answers["/terms"] = answer("200 OK", b"terms")
        await daemon.get()
        assert row(database)["back_off"] is None


async def test_an_open_breaker_is_probed_by_exactly_one_of_all_daemons(database: Scratch) -> None:
    database.replace_clock()
    async with host() as web, one_daemon(database.daemon, web.port) as daemon:
        await daemon.get()
        web.answers["/terms"] = b""
        assert [await daemon.said() for _ in range(5)] == ["cut"] * 5
        with pytest.raises(HostBusy) as busy:
            await daemon.get()
        assert busy.value.why == "breaker"
        assert "5 requests in a row failed, the last: the answer broke off" in busy.value.what
        assert 295 < row(database)["shut"] <= 300

        # The time is over: two daemons, four visits each. The probe is held until all others have been told no.
        database.move_clock("301 seconds")
        web.asked.clear()
        web.seen.clear()
        probed = asyncio.Event()

        async def held(path: str) -> bytes:
            await probed.wait()
            return answer("503 Service Unavailable", b"", "Retry-After: 1")

        web.script = held
        mine = [asyncio.create_task(daemon.said()) for _ in range(4)]
        other = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.polite_world", database.daemon, str(web.port), "4"),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20):
            await web.seen.wait()
            assert other.stdout is not None
            told = json.loads(await other.stdout.read()) if await _is_of(mine) else []
            probed.set()
            said = await asyncio.gather(*mine)
            told = told or json.loads(await other.stdout.read())
            await other.wait()
        assert web.asked == ["/terms"]
        assert sorted([*said, *told]).count("503") == 1
        assert {*said, *told} == {"503", "held"}
        assert 590 < row(database)["shut"] <= 600, "the next probe comes after twice the time"

        # A probe that succeeds closes it.
        web.script = None
        web.answers["/terms"] = answer("200 OK", b"terms")
        database.move_clock("601 seconds")
        assert await daemon.said() == "200"
        found = row(database)
        assert (found["failures"], found["shut"], found["cause"]) == (0, None, None)


async def _is_of(tasks: list[asyncio.Task[str]]) -> bool:
    """Whether the probe is one of ours: then three of the four have been refused after a moment."""
    while sum(task.done() for task in tasks) < 3:  # noqa: ASYNC110 (tasks end one after the other)
        await asyncio.sleep(0.02)
    return not all(task.done() for task in tasks)
