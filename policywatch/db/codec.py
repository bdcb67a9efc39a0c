"""How stored bytes are packed: plain, or one zstd frame that may lean on the version before it.

Pure: bytes in, bytes out. Where they are kept and how a chain of bases is followed is the business of
`policywatch.db.contents`. A policy that changes a word is a few hundred bytes against its previous version,
which is why five years of history fit into a few megabytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import zstandard

__all__ = ["MAX_DEPTH", "Base", "Damaged", "Packed", "pack", "unpack"]

MAX_DEPTH = 31  # every 32nd text of a chain stands alone: rebuilding one costs 1 to 2 ms
LEVEL = 6  # against 3: the corpus 8 % smaller for a tenth of a second
_TINY = 64  # bytes; a frame costs more than it saves
_WORTH = 0.95  # a frame that is hardly smaller is not worth a decoder
_UNLIKE = 0.75  # a base that saves less than a quarter is no base


class Damaged(ValueError):
    """The payload is no frame of the length that stands beside it."""


@dataclass(frozen=True, slots=True)
class Base:
    """A stored text that the next one may lean on: its hash, its own depth and its bytes."""

    sha256: bytes
    depth: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Packed:
    """What is stored for a body. `depth` counts the bases below it; 0 stands alone."""

    codec: str
    base_sha256: bytes | None
    depth: int
    raw_len: int
    payload: bytes


def pack(body: bytes, base: Base | None = None) -> Packed:
    """The smallest of plain, a frame of its own and a frame over `base`."""
    if len(body) < _TINY:
        return Packed("plain", None, 0, len(body), body)
    alone: bytes | None = None
    if base is not None and base.depth < MAX_DEPTH and len(base.body) >= _TINY:
        leaning = _compressor(len(body), base.body).compress(body)
        if len(leaning) * 8 > len(body):  # much is new: see whether the base helps at all
            alone = _compressor(len(body), b"").compress(body)
        if alone is None or len(leaning) < len(alone) * _UNLIKE:
            return Packed("zstd", base.sha256, base.depth + 1, len(body), leaning)
    if alone is None:
        alone = _compressor(len(body), b"").compress(body)
    if len(alone) >= len(body) * _WORTH:
        return Packed("plain", None, 0, len(body), body)
    return Packed("zstd", None, 0, len(body), alone)


def unpack(codec: str, payload: bytes, raw_len: int, base: bytes | None = None) -> bytes:
    """The body again; `base` are the bytes it leans on. Raises `Damaged`; the caller checks the hash."""
    if codec == "plain":
        body = payload
    elif codec == "zstd":
        body = _decompressed(payload, raw_len, base)
    else:
        raise Damaged(f"codec {codec!r} is not known")
    if len(body) != raw_len:
        raise Damaged(f"{len(body)} bytes where {raw_len} are recorded")
    return body


def _decompressed(payload: bytes, raw_len: int, base: bytes | None) -> bytes:
    try:
        if zstandard.frame_content_size(payload) != raw_len:  # before anything is allocated
            raise Damaged("the frame is not of the recorded length")
        if raw_len == 0:
            return b""
        dictionary = None
        if base is not None:
            dictionary = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        return zstandard.ZstdDecompressor(dict_data=dictionary).decompress(payload, max_output_size=raw_len)
    except zstandard.ZstdError as fault:
        raise Damaged(str(fault)) from fault


def _compressor(size: int, base: bytes) -> zstandard.ZstdCompressor:
    if not base:
        return zstandard.ZstdCompressor(level=LEVEL)
    # The window must reach from the end of the text back over the whole base, and the table of places must be
    # large enough to find them: both stop at 2 MiB where the level alone decides.
    reach = max(10, (size + len(base)).bit_length())
    larger = {"window_log": reach, "hash_log": reach - 2} if reach > 21 else {}
    params = zstandard.ZstdCompressionParameters.from_level(
        LEVEL,
        source_size=size + len(base),
        dict_size=len(base),
        write_content_size=True,
        write_checksum=False,  # SHA-256 is checked after every decode
        write_dict_id=False,
        **larger,
    )
    dictionary = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(compression_params=params, dict_data=dictionary)
