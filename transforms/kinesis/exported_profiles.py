"""ParseExportedProfiles: values of a stream that AEP exports profiles to, checked against their shape."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from aep.formats.exported_profile import check_shape, membership_of
from aep.formats.json import ParsedObject, ParseFailure, parse_object
from kinesis.aggregation import ADVICE, is_aggregated
from transforms.outputs import refused, with_dead_letters
from transforms.records.chunk import Chunk
from transforms.records.dead_letter import REPLAYS_HEADER
from transforms.records.outcome import Refusal
from transforms.records.record import Record
from transforms.worker.setup import PLAIN_WORKER, WorkerSetup

MEMBERSHIP = "aep.membership"
"""The header with `entered`, `left` or `changed`, see `aep.formats.exported_profile.membership_of`."""


class ParseExportedProfiles(beam.PTransform):
    """Parse the records of each chunk, and add a header that says whether the profile entered or left an audience.

    `main`: chunks with an entity for each record. `dead_letters`: what is not one JSON object, stage `parse`, and what
    is not an exported profile, stage `shape`.
    """

    def __init__(self, worker: WorkerSetup = PLAIN_WORKER):
        super().__init__()
        self._worker = worker

    def expand(self, chunks: beam.PCollection[Chunk]) -> DoOutputsTuple:
        """Add the step."""
        return with_dead_letters(beam.ParDo(_Parse(self._worker)), chunks, Chunk)


class _Parse(beam.DoFn):
    def __init__(self, worker: WorkerSetup):
        self._worker = worker

    def setup(self) -> None:
        self._worker.apply()

    def process(self, element: Chunk) -> Iterator[Chunk | TaggedOutput]:
        parsed = Chunk(element.topic, element.partition, [])
        for record in element.records:
            result = parse_profile(record)
            if isinstance(result, Refusal):
                yield refused(result, element, record)
                continue
            # A replayed record is no different from here on: the count of its replays is for dead letters.
            headers = [header for header in record.headers if header[0] != REPLAYS_HEADER]
            membership = (MEMBERSHIP, membership_of(result.entity).encode())
            parsed.records.append(record._replace(headers=(*headers, membership)))
            parsed.entities.append(result.entity)
            parsed.bodies.append(result.data)
        if parsed.records:
            yield parsed


def parse_profile(record: Record) -> ParsedObject | Refusal:
    """Return the exported profile in a record's value, or why there is none."""
    parsed = parse_object(record.value)
    if isinstance(parsed, ParseFailure):
        if is_aggregated(record.value or b""):
            return Refusal("parse", "", "kpl_aggregated", ADVICE)
        return Refusal("parse", "", *parsed)
    if (wrong := check_shape(parsed.entity)) is not None:
        return Refusal("shape", "", *wrong)
    return parsed
