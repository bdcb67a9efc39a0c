"""The browser's way out, without a browser: what the proxy lets through, and what it never does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from policywatchd.collect.wall import Gate
from policywatchd.render.proxy import PageProxy
from tests.daemon.script_web import ScriptWeb, neighbour
from tests.daemon.script_web import web as open_web

MARK = "(as the page may)"
HEAD = f"User-Agent: tests\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: {MARK}\r\n\r\n"


@pytest_asyncio.fixture
async def web() -> AsyncIterator[ScriptWeb]:
    async with open_web() as opened:
        opened.pages["x.test", "/a?b=c"] = "here"
        yield opened


async def said(proxy: PageProxy, *pieces: str) -> bytes:
    """What comes back for these bytes, until the proxy ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(proxy.address).port)
    async with asyncio.timeout(10):
        for piece in pieces:
            writer.write(piece.replace(MARK, proxy.authorization).encode())
            await writer.drain()
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_plain_request_goes_to_its_host_in_the_form_of_an_origin(web: ScriptWeb) -> None:
    async with PageProxy(web.gate(), "http://x.test/a", 10_000) as proxy:
        answer = await said(proxy, f"GET http://x.test/a?b=c HTTP/1.1\r\nHost: x.test\r\n{HEAD}")

    assert answer.endswith(b"here")
    (asked,) = web.asked
    assert (asked.path, asked.headers["connection"]) == ("/a?b=c", "close")
    assert "proxy-connection" not in asked.headers


async def test_a_tunnel_carries_what_it_is_given(web: ScriptWeb) -> None:
    async with PageProxy(web.gate(), "https://x.test/a", 10_000) as proxy:
        answer = await said(
            proxy, f"CONNECT x.test:443 HTTP/1.1\r\n{HEAD}", f"GET /a?b=c HTTP/1.1\r\nHost: x.test\r\n{HEAD}"
        )

    assert answer.startswith(b"HTTP/1.1 200 Connection established") and answer.endswith(b"here")


async def test_a_second_request_on_a_connection_goes_nowhere(web: ScriptWeb) -> None:
    async with PageProxy(web.gate(), "http://x.test/a", 10_000) as proxy:
        two = f"GET http://x.test/a?b=c HTTP/1.1\r\nHost: x.test\r\n{HEAD}" * 2
        await said(proxy, two)

    assert len(web.asked) <= 1


@pytest.mark.parametrize(
    "request_line",
    [
        "GET http://other.test/ HTTP/1.1", "CONNECT other.test:443 HTTP/1.1", "GET /a HTTP/1.1", "GET file:///etc/passwd HTTP/1.1",
        "GET https://x.test/ HTTP/1.1", "CONNECT x.test HTTP/1.1", "CONNECT x.test:http HTTP/1.1", "nonsense",
        "GET http://[::1/ HTTP/1.1",
    ],
)  # fmt: skip
async def test_while_the_page_is_on_its_way_its_own_host_alone_is_open(
    web: ScriptWeb, request_line: str
) -> None:
    async with PageProxy(web.gate(), "http://x.test/a", 10_000) as proxy:
        assert await said(proxy, f"{request_line}\r\n{HEAD}") == b""

    assert web.asked == []


async def test_a_page_by_tls_is_never_fetched_in_clear(web: ScriptWeb) -> None:
    async with PageProxy(web.gate(), "https://x.test/a", 10_000) as proxy:
        assert await said(proxy, f"GET http://x.test/a HTTP/1.1\r\nHost: x.test\r\n{HEAD}") == b""

    assert web.asked == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "localhost", "10.0.0.1", "169.254.169.254", "192.168.1.1"]
)
async def test_an_address_that_is_not_public_gets_no_connection(web: ScriptWeb, host: str) -> None:
    async with neighbour() as beside:
        page = f"http://{host}:{beside.port}/"
        async with PageProxy(Gate(web.resolve, frozenset()), page, 10_000) as proxy:
            assert await said(proxy, f"GET {page} HTTP/1.1\r\nHost: {host}\r\n{HEAD}") == b""
            assert await said(proxy, f"CONNECT {host}:{beside.port} HTTP/1.1\r\n{HEAD}") == b""

        assert beside.connects == 0
    assert proxy.faults[host.strip("[]")][0] == "wall"


async def test_a_name_that_answers_twice_is_connected_to_where_it_was_checked() -> None:
    async with neighbour() as beside:
        answers = [[("93.184.216.34", 80), ("127.0.0.1", beside.port)], [("127.0.0.1", beside.port)]]

        async def resolve(host: str, port: int) -> list[tuple[str, int]]:
            return answers.pop(0)

        async with PageProxy(Gate(resolve, frozenset()), "http://twice.example/", 10_000) as proxy:
            for _ in range(2):
                assert (
                    await said(proxy, f"GET http://twice.example/ HTTP/1.1\r\nHost: twice.example\r\n{HEAD}")
                    == b""
                )
        assert beside.connects == 0


async def test_bytes_beyond_the_limit_are_cut_and_nothing_more_is_opened(web: ScriptWeb) -> None:
    web.pages["x.test", "/a?b=c"] = "x" * 50_000
    ask = f"GET http://x.test/a?b=c HTTP/1.1\r\nHost: x.test\r\n{HEAD}"
    async with PageProxy(web.gate(), "http://x.test/a", 10_000) as proxy:
        assert len(await said(proxy, ask)) <= 10_000
        assert proxy.overrun
        assert await said(proxy, ask) == b""

    assert len(web.asked) == 1


@pytest.mark.parametrize("word", ["", "Proxy-Authorization: Basic cGFnZTpndWVzc2Vk\r\n"])
@pytest.mark.parametrize("line", ["GET http://x.test/a?b=c HTTP/1.1", "CONNECT x.test:443 HTTP/1.1"])
async def test_another_program_of_this_machine_that_finds_the_port_gets_nothing(
    web: ScriptWeb, line: str, word: str
) -> None:
    async with PageProxy(web.gate(), "http://x.test/a", 10_000) as proxy:
        answer = await said(proxy, f"{line}\r\nHost: x.test\r\n{word}\r\n")

    assert answer.startswith(b"HTTP/1.1 407 ") and web.asked == []


async def test_a_page_that_goes_on_its_way_closes_the_tunnels_to_other_hosts(web: ScriptWeb) -> None:
    """A redirect in a tunnel that is open already would take the page's headers along."""
    async with PageProxy(web.gate(), "http://x.test/a", 10_000) as proxy:
        proxy.navigating = False
        port = urlsplit(proxy.address).port
        tunnels = {}
        for host in ("x.test", "other.test"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"CONNECT {host}:443 HTTP/1.1\r\n{HEAD}".replace(MARK, proxy.authorization).encode())
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            tunnels[host] = reader, writer

        await proxy.leave()

        assert proxy.navigating
        async with asyncio.timeout(5):
            assert await tunnels["other.test"][0].read() == b""
            reader, writer = tunnels["x.test"]
            writer.write(b"GET /a?b=c HTTP/1.1\r\nHost: x.test\r\n\r\n")
            assert (await reader.read()).endswith(b"here")
        for _, writer in tunnels.values():
            writer.close()


async def test_the_proxy_ends_with_its_page(web: ScriptWeb) -> None:
    async with PageProxy(web.gate(), "http://x.test/a", 10_000) as proxy:
        address = urlsplit(proxy.address)
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
        ask = f"GET http://x.test/held HTTP/1.1\r\nHost: x.test\r\n{HEAD}"
        writer.write(ask.replace(MARK, proxy.authorization).encode())
        async with asyncio.timeout(5):
            await web.reached.wait()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", address.port)
