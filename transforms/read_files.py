"""ReadJsonLines: chunks of records from files of JSON lines, for trials and for replays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from aep.errors import ConfigurationError
from aep.formats.json_records import read_records
from transforms.records.chunk import CHUNK_RECORDS, Chunk, Record
from transforms.records.open_file import open_file, reason_of
from transforms.worker import metrics, process


class ReadJsonLines(beam.PTransform):
    """Reads files, plain or compressed (by their ending), from any Beam filesystem.

    A record's `offset` is the number of its line, from 1, or of the record in a file of pretty-printed JSON or of an
    array; its `partition` stands for the file, see `partition_of`; its header `file` is the path; its topic is given.
    The bundle fails with a `ConfigurationError` when no file matches or one cannot be opened, or a compressed one is
    cut off or damaged.
    """

    def __init__(self, file_pattern: str, topic: str):
        super().__init__()
        self._file_pattern = file_pattern
        self._topic = topic

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[Chunk]:
        chunks = (
            pipeline
            | "Pattern" >> beam.Create([self._file_pattern], reshuffle=False)
            | "Files" >> beam.FlatMap(_matching).with_output_types(str)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_ReadFile(self._topic))
        )
        chunks.element_type = Chunk
        return chunks


def partition_of(path: str) -> int:
    """Return a number of 48 bits that stands for a file.

    So the records of two files have no place, nor an `_id` made of it, in common, and those of a file always the same.
    """
    return int.from_bytes(blake2b(path.encode(), digest_size=6).digest(), "big")


def matching(pattern: str) -> list[str]:
    """Return the files that match a pattern.

    Raises:
        ConfigurationError: There are none, or its file system cannot be asked.
    """
    try:
        (found,) = FileSystems.match([pattern])
    except Exception as error:  # noqa: BLE001 (each file system of Beam's has errors of its own)
        raise ConfigurationError(
            f"{pattern} cannot be looked for: {reason_of(error)}; check kafka_file_pattern"
        ) from None
    if not found.metadata_list:
        raise ConfigurationError(f"no file matches {pattern}; check kafka_file_pattern")
    return [metadata.path for metadata in found.metadata_list]


def _matching(pattern: str) -> list[str]:
    with process.remember_failure():
        return matching(pattern)


class _ReadFile(beam.DoFn):
    def __init__(self, topic: str):
        self._topic = topic

    def process(self, element: str) -> Iterator[Chunk]:
        headers, partition = (("file", element.encode()),), partition_of(element)
        with process.remember_failure(), open_file(element) as file:
            entries = read_records(file).entries
            while run := list(islice(entries, CHUNK_RECORDS)):
                now = int(time.time() * 1000)
                records = [Record(number, now, None, headers, value) for number, value in run]
                metrics.count(metrics.READ, len(records))
                yield Chunk(self._topic, partition, records)
