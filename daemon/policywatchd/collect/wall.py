"""The wall between the daemon and every network that is not the public internet.

Each connection is checked when it is made, by address and not by name: a name is resolved once, refused when
any of its addresses is not public, and the connection goes to the checked address itself (so a second answer
of the name server changes nothing). Redirects, proxies and environment variables open no way around it. What
is asked through the wall, and how much of the answer is read, is the business of `fetch`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpcore
import httpx

from policywatch.errors import PolicyWatchError
from policywatchd.collect.kept import Kept

__all__ = ["Gate", "Resolver", "Wall", "WallRefusal", "is_public", "system_resolver"]

#: Host and port of an address -> where to connect; OSError for a name that is not known.
Resolver = Callable[[str, int], Awaitable[list[tuple[str, int]]]]

_PORTS = frozenset({80, 443})
_RESOLVE_WITHIN = 10.0  # seconds
_ADDRESSES_TRIED = 3

# Beyond what `ipaddress` calls not global: translations and tunnels that end at any IPv4 address, and
# networks that are nobody's on the internet.
_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",
        "168.63.129.16/32",  # of a cloud: what it gives to the machines in it
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "fec0::/10",
    )
)
_IPV6_INTERNET = ipaddress.ip_network("2000::/3")


class WallRefusal(PolicyWatchError):
    """The address is not one that the daemon may connect to."""


def is_public(address: str) -> bool:
    """Whether an IP address in its usual form belongs to the public internet; anything unclear does not."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (
        ip.scope_id is not None or ip.ipv4_mapped is not None or ip not in _IPV6_INTERNET
    ):
        return False
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback:
        return False
    return not any(ip.version == network.version and ip in network for network in _REFUSED)


async def system_resolver(host: str, port: int) -> list[tuple[str, int]]:
    """The addresses that the operating system knows for a host, in its order of preference."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((str(entry[4][0]), int(entry[4][1])) for entry in found))


class Gate(httpcore.AsyncNetworkBackend):
    """Makes connections, and only to where the wall is open: for httpcore, and for the proxy of the browser."""

    def __init__(self, resolver: Resolver, allowed: frozenset[tuple[str, int]]) -> None:
        self._resolver, self._allowed = resolver, allowed
        self._sockets = httpcore.AnyIOBackend()

    def _check(self, host: str, address: str, port: int) -> None:
        if (address, port) in self._allowed or (port in _PORTS and is_public(address)):
            return
        reason = f"port {port} is not for the web" if is_public(address) else "its address is not public"
        raise WallRefusal(
            f"{host[:100]} is refused: {reason}.",
            remedy="Name a page on the public web, on port 80 or 443.",
            code="wall",
        )

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve once, check every answer, connect to a checked one, check who answered."""
        try:
            async with asyncio.timeout(min(_RESOLVE_WITHIN, timeout or _RESOLVE_WITHIN)):
                found = await self._resolver(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no name server answered for {host}") from None
        except (OSError, ValueError, OverflowError):  # beside errors of the network: what is no name, no port
            raise httpcore.ConnectError(f"the name {host} is not known") from None
        if not found:
            raise httpcore.ConnectError(f"the name {host} has no address")
        for address, at in found:
            self._check(host, address, at)
        last: Exception = httpcore.ConnectError(f"{host} does not answer")
        for address, at in found[:_ADDRESSES_TRIED]:
            try:
                stream = await self._sockets.connect_tcp(address, at, timeout, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
                continue
            peer = stream.get_extra_info("server_addr")
            try:
                self._check(host, str(peer[0]), int(peer[1]))
            except BaseException:
                await stream.aclose()
                raise
            return stream
        raise last

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never: a web address names no socket file."""
        raise WallRefusal("A socket file is no web address.", code="wall")

    async def sleep(self, seconds: float) -> None:
        """As the pool asks."""
        await asyncio.sleep(seconds)


@contextmanager
def _as_httpx() -> Iterator[None]:
    """httpcore's errors under httpx's names, which are the ones that callers know."""
    try:
        yield
    except httpcore.ConnectTimeout as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except httpcore.TimeoutException as error:
        raise httpx.ReadTimeout(str(error)) from error
    except httpcore.ConnectError as error:
        raise httpx.ConnectError(str(error)) from error
    except httpcore.NetworkError as error:
        raise httpx.ReadError(str(error)) from error
    except httpcore.ProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except httpcore.UnsupportedProtocol as error:
        raise httpx.UnsupportedProtocol(str(error)) from error


class _Body(httpx.AsyncByteStream):
    def __init__(self, parts: Any) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for part in self._parts:
                yield part

    async def aclose(self) -> None:
        await self._parts.aclose()


@cache
def _trusted() -> ssl.SSLContext:
    """Whom everybody trusts; reading that takes a while, so once for the whole program."""
    return httpx.create_ssl_context(trust_env=False)


class Wall(httpx.AsyncBaseTransport):
    """A transport for httpx whose connections all pass the check.

    `resolver` turns host and port into addresses; `allowed` are the only (address, port) pairs beyond the
    public web, and exist for a simulated web alone: no setting reaches them. `connections` are kept at most.
    """

    def __init__(
        self,
        resolver: Resolver = system_resolver,
        allowed: frozenset[tuple[str, int]] = frozenset(),
        *,
        connections: int = 64,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._kept = Kept(Gate(resolver, allowed), _trusted if tls is None else lambda: tls, most=connections)

    async def send(
        self, url: httpx.URL, headers: Sequence[tuple[bytes, bytes]], connect_within: float
    ) -> httpcore.Response:
        """Ask for an address with these headers alone; `connect_within` seconds for each address of its host.

        Redirects are answered, never followed. Nothing else is limited: the caller counts time and bytes, and
        closes the answer. Raises WallRefusal and httpcore's errors.
        """
        return await self._kept.handle(
            httpcore.Request(
                b"GET",
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=headers,
                extensions={"timeout": {"connect": connect_within}},
            )
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; redirects are answered, never followed. Raises WallRefusal and httpx errors."""
        with _as_httpx():
            answer = await self._kept.handle(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream),
            extensions=answer.extensions,
            request=request,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._kept.aclose()
