"""Files of any Beam filesystem, decompressed to their end mark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from aep.errors import ConfigurationError
from aep.formats.unpack import unpacked


def reason_of(error: Exception) -> str:
    """Return what a person reads of an error of a file system, of whichever kind that is."""
    return getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__


@contextmanager
def open_file(path: str) -> Iterator[BinaryIO]:
    """Open a file of any Beam filesystem for reading; it is decompressed if its ending says so.

    Beam's own decompression takes a file that was cut off for one that ends there.

    Raises:
        ConfigurationError: The file cannot be opened.
        DamagedFileError: A read has come to where a compressed file is cut off or damaged.
    """
    try:
        file = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    except Exception as error:  # noqa: BLE001 (each file system of Beam's has errors of its own)
        raise ConfigurationError(f"{path} cannot be read: {reason_of(error)}") from None
    with closing(file):
        yield unpacked(file, path)
