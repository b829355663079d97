"""Compressed files are read to their end mark, or not taken for whole."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zlib
from collections.abc import Callable

import pytest
import zstandard
from apache_beam.io.filesystem import CompressionTypes

from aep.formats.unpack import DamagedFileError, unpacked

Pack = Callable[[bytes], bytes]

PACKERS: dict[str, Pack] = {
    ".gz": gzip.compress,
    ".deflate": zlib.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    ".zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
CONTENT = b"".join(b'{"n":%d,"noise":%d}\n' % (n, random.Random(n).getrandbits(64)) for n in range(5_000))

each_format = pytest.mark.parametrize(("ending", "pack"), list(PACKERS.items()))


def read(packed: bytes, name: str) -> bytes:
    return unpacked(io.BytesIO(packed), name).read()


@each_format
def test_a_whole_file_is_read_whatever_the_case_of_its_ending(ending: str, pack: Pack) -> None:
    assert read(pack(CONTENT), f"a.jsonl{ending}") == CONTENT
    assert read(pack(CONTENT), f"A.JSONL{ending.upper()}") == CONTENT
    lines = unpacked(io.BytesIO(pack(CONTENT)), f"a{ending}")
    assert [lines.readline() for _ in range(3)] == CONTENT.splitlines(keepends=True)[:3]


@each_format
def test_it_knows_the_endings_that_beam_knows(ending: str, pack: Pack) -> None:
    assert CompressionTypes.detect_compression_type(f"a{ending}") != CompressionTypes.UNCOMPRESSED


def test_other_files_are_read_as_they_are() -> None:
    assert read(b"1\n", "a.gz.jsonl") == b"1\n"


@each_format
def test_a_file_that_is_cut_off_anywhere_is_an_error_that_names_it(ending: str, pack: Pack) -> None:
    packed = pack(CONTENT)
    # in the header, in the middle, before the check sum at the end, and in it
    for left in (0, 1, 5, len(packed) // 2, len(packed) - 9, len(packed) - 1):
        with pytest.raises(DamagedFileError, match=rf"^/in/a\{ending} is (cut off|empty): ") as raised:
            read(packed[:left], f"/in/a{ending}")
        assert ("empty" in str(raised.value)) == (left == 0)


def flushed_gzip() -> bytes:
    compressor = zlib.compressobj(wbits=31)
    return compressor.compress(b"1\n2\n") + compressor.flush(zlib.Z_SYNC_FLUSH)


def flushed_zstd() -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj()
    return compressor.compress(b"1\n2\n") + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


@pytest.mark.parametrize(("name", "packed"), [("a.gz", flushed_gzip()), ("a.zst", flushed_zstd())])
def test_a_cut_at_the_end_of_a_line_is_an_error_after_the_lines_before_it(name: str, packed: bytes) -> None:
    lines = unpacked(io.BytesIO(packed), name)
    assert [lines.readline(), lines.readline()] == [b"1\n", b"2\n"]
    with pytest.raises(DamagedFileError, match="is cut off"):
        lines.readline()


@pytest.mark.parametrize("ending", [".gz", ".deflate", ".bz2", ".xz", ".zst"])
def test_a_wrong_check_sum_is_an_error_that_names_the_file(ending: str) -> None:
    packed = bytearray(PACKERS[ending](CONTENT))
    # xz has an index and a footer behind the check sum of its block
    place = {".gz": -8, ".xz": -40}.get(ending, -1)
    packed[place] ^= 0xFF
    with pytest.raises(DamagedFileError, match=rf"^/in/a\{ending} is damaged: "):
        read(bytes(packed), f"/in/a{ending}")


@each_format
def test_streams_one_after_another_are_one_file_wherever_reads_divide_them(ending: str, pack: Pack) -> None:
    first, second = pack(CONTENT), pack(b"last\n")
    for size in (len(first), len(first) + 1, 64 * 1024, 7):
        file = unpacked(_InPieces(first + second, size), f"a{ending}")
        assert file.read() == CONTENT + b"last\n"
    with pytest.raises(DamagedFileError, match="is cut off"):
        read(first + second[:-1], f"a{ending}")


@each_format
def test_padding_with_zeros_is_no_damage_and_anything_else_behind_a_stream_is(ending: str, pack: Pack) -> None:
    packed = pack(CONTENT)
    assert read(packed + bytes(512), f"a{ending}") == CONTENT
    assert read(packed + bytes(4) + pack(b"last\n"), f"a{ending}") == CONTENT + b"last\n"
    with pytest.raises(DamagedFileError, match=r"is damaged|is cut off"):
        read(packed + b"\xfflines that nobody compressed\n", f"a{ending}")


@pytest.mark.parametrize("ending", [".gz", ".deflate", ".bz2", ".xz", ".zst"])
def test_what_was_never_compressed_is_damage(ending: str) -> None:
    with pytest.raises(DamagedFileError, match="is damaged"):
        read(b'{"_id":"not compressed"}\n', f"a{ending}")


class _InPieces(io.BytesIO):
    """A file whose reads give so many bytes at most."""

    def __init__(self, content: bytes, size: int):
        super().__init__(content)
        self._most = size

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._most)
