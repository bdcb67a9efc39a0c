"""Connections kept for the next request: one per origin, since its lane lets one request through at a time.

httpcore's own pool looks at every connection for every request and waits for places; lanes and the number of visits
bound both here, so a request takes the kept connection of its origin, or makes one. Where a connection may go is the
business of `wall`.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable

import anyio
import httpcore

__all__ = ["Kept"]

_IDLE = 15.0  # seconds

_Origin = tuple[bytes, bytes, int]


class _Connection(httpcore.AsyncHTTPConnection):
    """A connection that knows from which of our addresses it was made."""

    egress: str | None = None

    def learn(self, answer: httpcore.Response) -> str | None:
        """Our address, where the system says it; asked once."""
        if self.egress is None:
            stream = answer.extensions.get("network_stream")
            address = stream.get_extra_info("client_addr") if stream is not None else None
            self.egress = str(address[0]) if isinstance(address, tuple) and address else ""
        return self.egress or None


class Kept:
    """Sends requests, and keeps at most `most` connections that wait for their next one.

    `tls` gives whom to trust, once it is needed. Answers carry the extension `egress`: our own address.
    """

    def __init__(
        self, backend: httpcore.AsyncNetworkBackend, tls: Callable[[], ssl.SSLContext], *, most: int
    ) -> None:
        self._backend, self._tls, self._most = backend, tls, most
        self._waiting: OrderedDict[_Origin, _Connection] = OrderedDict()

    async def handle(self, request: httpcore.Request) -> httpcore.Response:
        """The head of the answer. Closing it gives the connection back, if the answer was read to its end."""
        origin = request.url.origin
        key = (origin.scheme, origin.host, origin.port)
        connection = self._waiting.pop(key, None)
        if connection is not None and (connection.has_expired() or not connection.is_idle()):
            await connection.aclose()
            connection = None
        if connection is None:
            connection = _Connection(
                origin,
                ssl_context=self._tls() if origin.scheme == b"https" else None,
                keepalive_expiry=_IDLE,
                network_backend=self._backend,
            )
        try:
            answer = await connection.handle_async_request(request)
        except BaseException:
            await _closed(connection)
            raise
        return httpcore.Response(
            answer.status,
            headers=answer.headers,
            content=_Stream(self, key, connection, answer),
            extensions={**answer.extensions, "egress": connection.learn(answer)},
        )

    async def give_back(self, key: _Origin, connection: _Connection) -> None:
        """Keep a connection whose answer has been read; anything else is closed."""
        if key in self._waiting or not connection.is_idle():
            await _closed(connection)
            return
        self._waiting[key] = connection
        while self._waiting and (
            len(self._waiting) > self._most or next(iter(self._waiting.values())).has_expired()
        ):
            _, oldest = self._waiting.popitem(last=False)
            await _closed(oldest)

    async def aclose(self) -> None:
        """Close what waits; answers that are being read close their own."""
        while self._waiting:
            _, connection = self._waiting.popitem()
            await _closed(connection)


class _Stream:
    """The body of an answer; what it came by goes back to the kept ones."""

    def __init__(
        self,
        kept: Kept,
        key: _Origin,
        connection: _Connection,
        answer: httpcore.Response,
    ) -> None:
        self._kept, self._key, self._connection, self._answer = kept, key, connection, answer
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._answer.aiter_stream():
            yield part

    async def aclose(self) -> None:
        """End the answer. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._answer.aclose()
        finally:
            await self._kept.give_back(self._key, self._connection)


async def _closed(connection: _Connection) -> None:
    with anyio.CancelScope(shield=True):  # also while a deadline ends what used it
        await connection.aclose()
