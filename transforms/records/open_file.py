"""Files of any Beam filesystem, decompressed to their end mark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from aep.formats.unpack import unpacked


@contextmanager
def open_file(path: str) -> Iterator[BinaryIO]:
    """Open a file of any Beam filesystem for reading; it is decompressed if its ending says so.

    Beam's own decompression takes a file that was cut off for one that ends there.

    Raises:
        DamagedFileError: A read has come to where a compressed file is cut off or damaged.
    """
    file = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    with closing(file):
        yield unpacked(file, path)
