"""Read compressed files to their end mark: a truncated or damaged file is an error, never a shorter file."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, cast

import zstandard

from aep.errors import ConfigurationError

_READ_BYTES = 64 * 1024
_DAMAGE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zstandard.ZstdError)

# A decompressor of one stream: it checks the stream's own check sum, and knows its end. The endings are Beam's.
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
    ".deflate": zlib.decompressobj,
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lzma.LZMADecompressor,
    ".lzma": lzma.LZMADecompressor,
    # the window that `zstd --ultra --long=31` makes, as Beam allows
    ".zst": lambda: zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj(),
    ".zstd": lambda: zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj(),
}


class DamagedFileError(ConfigurationError):
    """A compressed file ends before its end mark, or its content does not match its check sum."""


def unpacked(file: BinaryIO, path: str) -> BinaryIO:
    """Decompress a file while it is read, if the ending of its name says so; other files are returned as they are.

    A file may be several streams one after another (`cat a.gz b.gz`), padded with zero bytes (tape blocks, `.xz`).
    Anything else after a stream is damage, since it may have been another stream. Closing leaves `file` open.

    Args:
        file: The compressed bytes.
        path: Path of the file, for its ending and for errors.

    Returns:
        A file whose reads raise `DamagedFileError` where the damage is; what they returned before it may be incomplete.
    """
    lowered = path.lower()
    make = next((make for ending, make in _DECOMPRESSORS.items() if lowered.endswith(ending)), None)
    if make is None:
        return file
    return cast("BinaryIO", io.BufferedReader(_Unpacked(file, path, make), _READ_BYTES))


class _Unpacked(io.RawIOBase):
    def __init__(self, file: BinaryIO, path: str, make: Callable[[], Any]):
        self._file = file
        self._path = path
        self._make = make
        self._stream = make()
        self._empty = True  # nothing of the file was read yet
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            packed = self._file.read(_READ_BYTES)
            if not packed:
                if not self._stream.eof:
                    raise DamagedFileError(
                        f"{self._path} is {'empty' if self._empty else 'cut off'}: its compressed data has no end "
                        "mark; get the whole file and run again"
                    )
                return 0
            self._empty = False
            self._ready = memoryview(self._decompress(packed))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _decompress(self, packed: bytes) -> bytes:
        parts = []
        try:
            while packed:
                if self._stream.eof:  # the next stream, or padding
                    packed = packed.lstrip(b"\0")
                    if not packed:
                        break
                    self._stream = self._make()
                parts.append(self._stream.decompress(packed))
                packed = self._stream.unused_data if self._stream.eof else b""
        except _DAMAGE as error:
            raise DamagedFileError(
                f"{self._path} is damaged: its compressed data cannot be read ({error}); get the file again"
            ) from None
        return b"".join(parts)
