"""Replaying dead letters: reading them again, choosing among them, and making them the records that they were.

Nothing is wrapped around a dead letter's original bytes, so a record that is refused a second time is dead-lettered as
it was the first time, with the reason of the second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from transforms.read_dead_letter_topic import Run
from transforms.records.chunk import CHUNK_RECORDS, Chunk
from transforms.records.dead_letter import REPLAYS_HEADER, DeadLetter
from transforms.sinks.files import read_file, write_file
from transforms.worker import metrics, process

_LOG = logging.getLogger(__name__)

REPLAYED = "replayed"
"""Name of the folder for dead letters that were replayed."""


@dataclass(frozen=True)
class Selection:
    """Which dead letters are meant: all those that fit whatever is given.

    Attributes:
        codes, stages, routes: One of these; empty for any.
        since, until: Dead-lettered at this time or later, and before that time, in seconds since 1970.
        max_attempts: Replayed fewer times than this.
    """

    codes: tuple[str, ...]
    stages: tuple[str, ...]
    routes: tuple[str, ...]
    since: float | None
    until: float | None
    max_attempts: int | None

    def takes(self, one: DeadLetter) -> bool:
        return (
            (not self.codes or one.code in self.codes)
            and (not self.stages or one.stage in self.stages)
            and (not self.routes or one.route in self.routes)
            and (self.since is None or one.at >= self.since)
            and (self.until is None or one.at < self.until)
            and (self.max_attempts is None or one.replays < self.max_attempts)
        )


Reads = Callable[[str], bool]
"""Tells whether a pipeline reads a topic or stream, so that dead letters of it are its own. Sent to workers."""


def is_chosen(one: DeadLetter, selection: Selection, reads: Reads) -> bool:
    """Return whether a replay takes the dead letter: it is selected, and the pipeline reads its topic."""
    return selection.takes(one) and reads(one.topic)


class ReadDeadLetterFiles(beam.PTransform):
    """Reads files of dead letters, as they were listed before the run: what a replay writes, it does not read."""

    def __init__(self, files: Sequence[str]):
        super().__init__()
        self._files = list(files)

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[Run]:
        return (
            pipeline
            | "Files" >> beam.Create(self._files, reshuffle=False).with_output_types(str)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.FlatMap(_read).with_output_types(Run)
        )


def _read(path: str) -> Iterator[Run]:
    letters = read_file(path)
    with process.remember_failure():
        while not process.stop_requested.is_set() and (run := list(islice(letters, CHUNK_RECORDS))):
            metrics.count(metrics.READ, len(run))
            yield run


class ChooseDeadLetters(beam.PTransform):
    """Passes on the dead letters that `is_chosen` takes, and counts the others."""

    def __init__(self, selection: Selection, reads: Reads):
        super().__init__()
        self._selection = selection
        self._reads = reads

    def expand(self, runs: beam.PCollection[Run]) -> beam.PCollection[Run]:
        """Add the step."""
        return runs | beam.ParDo(_Choose(self._selection, self._reads)).with_output_types(Run)


class _Choose(beam.DoFn):
    def __init__(self, selection: Selection, reads: Reads):
        self._selection = selection
        self._reads = reads
        self._unknown: set[str] = set()

    def process(self, element: Run) -> Iterator[Run]:
        chosen = [one for one in element if is_chosen(one, self._selection, self._reads)]
        metrics.count(metrics.PASSED_OVER, len(element) - len(chosen))
        for topic in {one.topic for one in element if self._selection.takes(one)} - self._unknown:
            if not self._reads(topic):
                self._unknown.add(topic)
                _LOG.warning("dead letters of topic %s are passed over: the pipeline does not read it", topic)
        if chosen:
            yield chosen


class OriginalRecords(beam.PTransform):
    """Restores the original records from dead letters, in chunks, each with its count of replays in a header."""

    def expand(self, runs: beam.PCollection[Run]) -> beam.PCollection[Chunk]:
        """Add the step."""
        return runs | beam.FlatMap(originals).with_output_types(Chunk)


def originals(run: Run) -> list[Chunk]:
    """Return a chunk for each topic partition."""
    chunks: dict[tuple[str, int], Chunk] = {}
    for one in run:
        count = (REPLAYS_HEADER, str(one.replays + 1).encode())
        record = one.record._replace(headers=(*one.record.headers, count))
        chunks.setdefault((one.topic, one.partition), Chunk(one.topic, one.partition, [])).records.append(record)
    return list(chunks.values())


def set_aside(path: str, selection: Selection, reads: Reads) -> int:
    """Move the dead letters of a file that were replayed into the folder `replayed` beside it.

    The others go into a new file where it was, and the file is deleted last: a crash in between leaves some dead
    letters in two places, and none in no place.

    Returns:
        How many were moved.
    """
    letters = list(read_file(path))
    moved = [one for one in letters if is_chosen(one, selection, reads)]
    if moved:
        folder, _ = FileSystems.split(path)
        write_file(FileSystems.join(folder, REPLAYED), moved)
        left = [one for one in letters if not is_chosen(one, selection, reads)]
        if left:
            write_file(folder, left)
        FileSystems.delete([path])
    return len(moved)
