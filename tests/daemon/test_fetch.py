"""A fetch is bounded in time and bytes, whatever the other side does."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from policywatch.db.lanes import Taken
from policywatchd.collect.fetch import Ask, Fetched, FetchFault, Limits, fetch, retry_after
from policywatchd.collect.hosts import Turn
from policywatchd.collect.wall import Wall

Handler = Callable[[str, asyncio.StreamWriter], Awaitable[None]]
LIMITS = Limits(seconds=1.0, raw=200_000, decoded=400_000)


@asynccontextmanager
async def lane(url: httpx.URL) -> AsyncIterator[Turn]:
    yield Turn(Taken(url.host, None, None, None), 0.0)


async def asked(handler: Handler, ask: Ask | None = None) -> Fetched:
    """Fetch http://x.test/ from a server that behaves as `handler` does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await handler(head, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def resolve(host: str, wanted: int) -> list[tuple[str, int]]:
        return [("127.0.0.1", port)] if host.endswith(".test") else [("10.0.0.1", wanted)]

    wall = Wall(resolve, frozenset({("127.0.0.1", port)}))
    try:
        return await fetch(wall, ask or Ask("http://x.test/", "agent"), LIMITS, lane)
    finally:
        await wall.aclose()
        server.close()


def page(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_a_compressed_page_comes_out_whole_and_its_headers_are_kept() -> None:
    async def handler(head: str, writer: asyncio.StreamWriter) -> None:
        assert "Accept-Encoding: gzip\r\n" in head and "User-Agent: agent\r\n" in head
        writer.write(
            page(gzip.compress(b"terms " * 1000), "Content-Encoding: gzip", 'ETag: W/"a b"', "X-Other: 1")
        )

    got = await asked(handler)

    assert got.body == b"terms " * 1000
    assert got.headers["etag"] == 'W/"a b"' and "x-other" not in got.headers


async def test_validators_are_echoed_as_they_came() -> None:
    heads: list[str] = []

    async def handler(head: str, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 304 Not Modified\r\n\r\n")

    got = await asked(handler, Ask("http://x.test/", "a", etag='W/"x"', last_modified="Mon, some day"))

    assert got.status == 304 and got.conditional
    assert 'If-None-Match: W/"x"\r\n' in heads[0] and "If-Modified-Since: Mon, some day\r\n" in heads[0]


async def _slow_body(head: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _slow_headers(head: str, writer: asyncio.StreamWriter) -> None:
    for sign in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100:
        writer.write(bytes([sign]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def _endless(head: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()


async def _bomb(head: str, writer: asyncio.StreamWriter) -> None:
    writer.write(page(gzip.compress(b"\0" * 50_000_000), "Content-Encoding: gzip"))


async def _twice(head: str, writer: asyncio.StreamWriter) -> None:
    writer.write(page(gzip.compress(gzip.compress(b"x")), "Content-Encoding: gzip, gzip"))


async def _cut(head: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")


async def _cut_gzip(head: str, writer: asyncio.StreamWriter) -> None:
    writer.write(page(gzip.compress(b"terms " * 1000)[:-20], "Content-Encoding: gzip"))


async def _no_gzip(head: str, writer: asyncio.StreamWriter) -> None:
    writer.write(page(b"plain", "Content-Encoding: gzip"))


async def _inward(head: str, writer: asyncio.StreamWriter) -> None:
    writer.write(page(b"", "Location: http://intern.example/", status="302 Found"))


async def _round(head: str, writer: asyncio.StreamWriter) -> None:
    writer.write(page(b"", "Location: /again", status="301 Moved"))


async def _to_file(head: str, writer: asyncio.StreamWriter) -> None:
    writer.write(page(b"", "Location: file:///etc/passwd", status="302 Found"))


def _to(location: str) -> Handler:
    async def handler(head: str, writer: asyncio.StreamWriter) -> None:
        writer.write(page(b"", f"Location: {location}", status="302 Found"))

    return handler


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (_slow_body, "timeout"),
        (_slow_headers, "timeout"),
        (_endless, "size"),
        (_bomb, "bomb"),
        (_twice, "encoding"),
        (_cut, "cut"),
        (_cut_gzip, "cut"),
        (_no_gzip, "encoding"),
        (_inward, "wall"),
        (_round, "redirect"),
        (_to_file, "redirect"),
        (_to("http://xn--0/"), "redirect"),  # names that no rule of names allows
        (_to("http://xn--a-ecp.test/"), "redirect"),
        (_to("http://y.test:99999999999999999999/"), "redirect"),
        (_to("http://y.test:65616/"), "redirect"),  # its last sixteen bits are 80
    ],
)
async def test_a_hostile_answer_ends_in_a_named_fault_within_the_limits(handler: Handler, code: str) -> None:
    began = time.monotonic()
    with pytest.raises(FetchFault) as fault:
        await asked(handler)

    assert fault.value.code == code, fault.value.what
    assert time.monotonic() - began < LIMITS.seconds + 1.0


async def test_a_body_in_crumbs_ends_before_it_costs_more_than_its_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("policywatchd.collect.fetch._MOST_PIECES", 1000)

    async def handler(head: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 2000)

    with pytest.raises(FetchFault) as fault:
        await asked(handler)

    assert fault.value.code == "size" and "pieces" in fault.value.what


async def test_a_redirect_is_followed_and_told() -> None:
    async def handler(head: str, writer: asyncio.StreamWriter) -> None:
        if head.startswith("GET / "):
            writer.write(page(b"", "Location: http://y.test/terms", status="301 Moved"))
        else:
            assert "Host: y.test\r\n" in head
            writer.write(page(b"found"))

    got = await asked(handler)

    assert (got.body, got.final_url) == (b"found", "http://y.test/terms")
    assert got.redirects == ({"status": 301, "from": "http://x.test/", "to": "http://y.test/terms"},)


async def test_a_value_that_no_header_can_carry_is_told_without_the_value() -> None:
    async def handler(head: str, writer: asyncio.StreamWriter) -> None:
        writer.write(page(b"found"))

    ask = Ask("http://x.test/", "agent", secret={"Authorization": "Bearer hidden-word "})
    with pytest.raises(FetchFault) as fault:
        await asked(handler, ask)

    assert fault.value.code == "address" and "hidden-word" not in fault.value.what


async def test_a_kept_validator_can_be_sent_again() -> None:
    async def handler(head: str, writer: asyncio.StreamWriter) -> None:
        writer.write(page(b"found", 'ETag: "a" \x01', "Last-Modified: " + "x" * 499 + " y"))

    got = await asked(handler)

    await asked(
        handler,
        Ask("http://x.test/", "a", etag=got.headers["etag"], last_modified=got.headers["last-modified"]),
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("999999999999999", 86400.0),
        ("Fri, 27 Nov 2026 12:01:00 GMT", 60.0),
        ("Fri, 27 Nov 2020 12:01:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_and_at_most_a_day(value: str, seconds: float | None) -> None:
    assert retry_after(value, datetime(2026, 11, 27, 12, tzinfo=UTC)) == seconds
