"""The wall lets nothing through to a network that is not public: counted by listeners on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from policywatch.db.lanes import Taken
from policywatchd.collect import wall as wall_module
from policywatchd.collect.fetch import Ask, Fetched, FetchFault, Limits, fetch
from policywatchd.collect.hosts import Turn
from policywatchd.collect.wall import Resolver, Wall, WallRefusal, is_public, system_resolver

REFUSED = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
    "2001::1", "2001:db8::1", "fec0::1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "",
    "168.63.129.16", "3fff::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_of_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_let_through(address: str) -> None:
    assert is_public(address)


class Listener:
    """Counts who connects."""

    def __init__(self) -> None:
        self.connects = 0
        self.port = 0
        self.said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.said)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(said: bytes | None = None) -> AsyncIterator[Listener]:
    listener = Listener()
    listener.said = said or listener.said
    server = await asyncio.start_server(listener.answer, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


def answering(*addresses: tuple[str, int]) -> Resolver:
    async def resolve(host: str, port: int) -> list[tuple[str, int]]:
        return list(addresses)

    return resolve


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ],
)
async def test_no_form_of_loopback_is_ever_connected_to(host: str) -> None:
    async with listening() as listener:
        wall = Wall(system_resolver)
        with pytest.raises((WallRefusal, httpx.ConnectError)):
            await wall.handle_async_request(httpx.Request("GET", f"http://{host}:{listener.port}/"))
        await wall.aclose()

    assert listener.connects == 0


async def test_one_private_answer_among_public_ones_refuses_the_name() -> None:
    async with listening() as listener:
        wall = Wall(answering(("93.184.216.34", 80), ("127.0.0.1", listener.port)))
        with pytest.raises(WallRefusal, match="not public"):
            await wall.handle_async_request(httpx.Request("GET", "http://mixed.example/"))
        await wall.aclose()

    assert listener.connects == 0


async def test_a_port_beside_the_webs_is_refused() -> None:
    wall = Wall(answering(("93.184.216.34", 22)))
    with pytest.raises(WallRefusal, match="port 22"):
        await wall.handle_async_request(httpx.Request("GET", "http://ssh.example:22/"))
    await wall.aclose()


async def test_the_allowed_address_alone_is_open_in_a_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with listening() as listener, listening() as other:
        allowed = frozenset({("127.0.0.1", listener.port)})
        wall = Wall(answering(("127.0.0.1", listener.port)), allowed)
        answer = await wall.handle_async_request(httpx.Request("GET", "http://x.test/"))
        assert answer.status_code == 200
        await answer.aclose()
        await wall.aclose()
        wall = Wall(answering(("127.0.0.1", other.port)), allowed)
        with pytest.raises(WallRefusal):
            await wall.handle_async_request(httpx.Request("GET", "http://x.test/"))
        await wall.aclose()

    assert (listener.connects, other.connects) == (1, 0)


FORMS = [
    *("127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "0", "localhost", "localhost.", "LOCALHOST"),
    *(
        "2130706433",
        "0x7f000001",
        "017700000001",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "127.0.0.1.",
    ),
    *("127.0.0.0x1", "00000177.0.0.1", "127.0.0.01"),  # hexadecimal, octal, padded
    *("１２７.0.0.1", "⑫7.0.0.1", "127。0。0。1"),  # full-width, circled, ideographic dots
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"),
    *(
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001::7f00:1]",
        "[fe80::1]",
        "[fc00::1]",
    ),
    *("[fec0::1]", "[ff02::1]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("198.18.0.1", "192.0.0.8", "224.0.0.1", "255.255.255.255"),
]


@pytest.mark.parametrize("form", FORMS)
async def test_no_way_to_write_an_inner_address_reaches_a_listener(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening() as listener:
        # Its port is one of the web's here, so that the address alone decides.
        monkeypatch.setattr(wall_module, "_PORTS", frozenset({80, 443, listener.port}))
        wall = Wall(system_resolver)
        with pytest.raises(FetchFault) as fault:
            await fetched(wall, f"http://{form}:{listener.port}/")
        await wall.aclose()

    assert fault.value.code in ("wall", "connect", "address"), fault.value.what
    assert listener.connects == 0


def test_there_are_as_many_forms_as_promised() -> None:
    assert len(set(FORMS)) >= 43


@pytest.mark.parametrize("hop", range(1, 6))
async def test_a_name_that_points_inside_on_a_later_hop_is_refused_there(
    hop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    turn = b"HTTP/1.1 302 Found\r\nLocation: /on\r\nConnection: close\r\n\r\n"
    async with listening(turn) as outside, listening() as inside:
        monkeypatch.setattr(wall_module, "_PORTS", frozenset({80, 443, inside.port}))
        asked = 0

        async def resolve(host: str, port: int) -> list[tuple[str, int]]:
            nonlocal asked
            asked += 1
            return [("127.0.0.1", outside.port if asked <= hop else inside.port)]

        wall = Wall(resolve, frozenset({("127.0.0.1", outside.port)}))
        with pytest.raises(FetchFault) as fault:
            await fetched(wall, "http://rebinding.example/")
        await wall.aclose()

    assert fault.value.code == "wall" and len(fault.value.redirects) == hop
    assert (outside.connects, inside.connects) == (hop, 0)


async def test_one_private_answer_among_public_ones_refuses_every_order() -> None:
    async with listening() as listener:
        inner = ("127.0.0.1", listener.port)
        for answers in ([inner, ("1.1.1.1", 80)], [("1.1.1.1", 80), inner], [("2606:4700::1111", 80), inner]):
            wall = Wall(answering(*answers))
            with pytest.raises(FetchFault) as fault:
                await fetched(wall, "http://mixed.example/")
            assert fault.value.code == "wall"
            await wall.aclose()

    assert listener.connects == 0


async def fetched(wall: Wall, url: str) -> Fetched:
    """The page at an address, with all redirects on the way."""

    @asynccontextmanager
    async def lane(url: httpx.URL) -> AsyncIterator[Turn]:
        yield Turn(Taken(url.host, None, None, None), 0.0)

    return await fetch(wall, Ask(url, "agent"), Limits(seconds=5.0), lane)
