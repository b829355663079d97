"""ParseJson: Kafka values to JSON objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from aep.strict_json import ParseFailure, parse_object
from transforms import account
from transforms.chunks import Chunk
from transforms.dead_letters import dead_letter
from transforms.outputs import refused, with_dead_letters
from transforms.routes import Routes

Tombstones = Literal["skip", "dead_letter"]


class ParseJson(beam.PTransform):
    """Parses the records of each chunk strictly and names the chunk's route.

    ``main``: chunks with an entity and its canonical JSON for each record. ``dead_letters``: what is not one JSON
    object, stage ``parse``. Records without a value (tombstones) are counted and skipped, or dead-lettered.
    """

    def __init__(self, routes: Routes, tombstones: Tombstones = "skip"):
        super().__init__()
        self._routes = routes
        self._tombstones = tombstones

    def expand(self, chunks: beam.PCollection[Chunk]) -> DoOutputsTuple:
        """Adds the step."""
        return with_dead_letters(beam.ParDo(_ParseJson(self._routes, self._tombstones)), chunks, Chunk)


class _ParseJson(beam.DoFn):
    def __init__(self, routes: Routes, tombstones: Tombstones):
        self._routes = routes
        self._tombstones = tombstones

    def process(self, element: Chunk) -> Iterator[Chunk | TaggedOutput]:
        route = self._routes.for_topic(element.topic).name
        parsed = Chunk(element.topic, element.partition, [], route)
        tombstones = 0
        for record in element.records:
            if record.value is None:
                tombstones += 1
                if self._tombstones == "dead_letter":
                    yield refused(dead_letter("parse", "tombstone", "the record has no value", parsed, record))
                continue
            result = parse_object(record.value)
            if isinstance(result, ParseFailure):
                yield refused(dead_letter("parse", result.code, result.message, parsed, record, pointer=result.pointer))
                continue
            parsed.records.append(record)
            parsed.entities.append(result.entity)
            parsed.bodies.append(result.data)
        account.count(account.TOMBSTONES, tombstones)
        if parsed.records:
            yield parsed
