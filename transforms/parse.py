"""ParseRecords: Kafka values to JSON objects, each to its route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from aep.strict_json import ParsedObject, ParseFailure
from aep.upserts import attributes_to_delete
from transforms import account, process
from transforms.chunks import Chunk, Record
from transforms.dead_letter import dead_letter
from transforms.outputs import refused, with_dead_letters
from transforms.routes import Route, Routes

Tombstones = Literal["skip", "dead_letter", "delete"]


class ParseRecords(beam.PTransform):
    """Parses the records of each chunk strictly, by the format of their route, and names the chunk's route.

    ``main``: chunks with an entity and its canonical JSON for each record. Where a field of the record decides which
    route it takes, a chunk for each route. ``dead_letters``: what is not one object, stage ``parse``, and what takes
    no route, stage ``map``. Records without a value (tombstones) are counted and skipped, or dead-lettered, or parsed
    from their key into the attributes that tell AEP what to delete.
    """

    def __init__(self, routes: Routes, tombstones: Tombstones = "skip"):
        super().__init__()
        self._routes = routes
        self._tombstones = tombstones

    def expand(self, chunks: beam.PCollection[Chunk]) -> DoOutputsTuple:
        """Adds the step."""
        return with_dead_letters(beam.ParDo(ParseRecordsFn(self._routes, self._tombstones)), chunks, Chunk)


class ParseRecordsFn(beam.DoFn):
    """What ``ParseRecords`` does to a chunk; needs no pipeline."""

    def __init__(self, routes: Routes, tombstones: Tombstones):
        self._routes = routes
        self._tombstones = tombstones

    def setup(self) -> None:
        """Prepares the worker's process for the parsed records that chunks carry from here on."""
        process.set_up_worker()

    def process(self, element: Chunk) -> Iterator[Chunk | TaggedOutput]:
        """Parses the records of one chunk; gives a chunk for each route."""
        routes = self._routes.of_topic(element.topic)
        parse = routes[0].parse
        only = None if routes[0].when else routes[0]
        parsed = Chunk(element.topic, element.partition, [], only.name if only else "")
        by_route = {parsed.route: parsed}
        skipped = 0
        for record in element.records:
            if record.value is None and self._tombstones == "skip":
                skipped += 1
                continue
            result = parse(record.value) if record.value is not None else self._tombstone(record, routes[-1])
            if isinstance(result, ParseFailure):
                yield refused(dead_letter("parse", result.code, result.message, parsed, record, pointer=result.pointer))
                continue
            part = parsed
            if only is None:
                route = _route_of(record, result.entity, routes)
                if route is None:
                    yield refused(dead_letter("map", "no_route", _NO_ROUTE, parsed, record))
                    continue
                part = by_route.setdefault(route.name, Chunk(element.topic, element.partition, [], route.name))
            part.records.append(record)
            part.entities.append(result.entity)
            part.bodies.append(result.data)
        account.count(account.TOMBSTONES, skipped)
        for part in by_route.values():
            if part.records:
                yield part

    def _tombstone(self, record: Record, route: Route) -> ParsedObject | ParseFailure:
        if self._tombstones == "delete":
            return attributes_to_delete(record.key, route.key_field)
        return ParseFailure("tombstone", "the record has no value")


_NO_ROUTE = "the record fits the conditions (when) of no route that takes its topic"


def _route_of(record: Record, entity: dict[str, Any], routes: tuple[Route, ...]) -> Route | None:
    """The first route that fits; a tombstone has no fields, so only a route without conditions does."""
    if record.value is None:
        return None if routes[-1].when else routes[-1]
    return next((route for route in routes if route.fits(entity)), None)
