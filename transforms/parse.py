"""ParseRecords: Kafka values to JSON objects, each to its route."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from aep.formats.json import ParsedObject
from transforms.outputs import refused, with_dead_letters
from transforms.records.chunk import Chunk
from transforms.records.outcome import Refusal
from transforms.records.prepare import ParseStep, Tombstones, route_of
from transforms.records.refusal_guard import NO_GUARD, RefusalGuard
from transforms.records.route import Route, Routes, Turns
from transforms.worker import metrics
from transforms.worker.setup import PLAIN_WORKER, WorkerSetup


class ParseRecords(beam.PTransform):
    """Parses the records of each chunk strictly, by the format of their route, and names the chunk's route.

    `main`: chunks with an entity and its canonical JSON for each record. Where a field of the record decides which
    route it takes, a chunk for each route, or for each run of records of one (`Turns`). `dead_letters`: what is not one
    object, stage `parse`, and what takes no route, stage `map`. Records without a value (tombstones) are counted and
    skipped, or dead-lettered, or parsed from their key into the attributes that tell AEP what to delete.
    """

    def __init__(
        self,
        routes: Routes,
        tombstones: Tombstones,
        guard: RefusalGuard = NO_GUARD,
        worker: WorkerSetup = PLAIN_WORKER,
        turns: Turns | None = None,
    ):
        super().__init__()
        self._routes = routes
        self._tombstones = tombstones
        self._guard = guard
        self._worker = worker
        self._turns = turns or {}

    def expand(self, chunks: beam.PCollection[Chunk]) -> DoOutputsTuple:
        """Add the step."""
        step = beam.ParDo(ParseRecordsFn(self._routes, self._tombstones, self._guard, self._worker, self._turns))
        return with_dead_letters(step, chunks, Chunk)


class ParseRecordsFn(beam.DoFn):
    """What `ParseRecords` does to a chunk; needs no pipeline."""

    def __init__(
        self,
        routes: Routes,
        tombstones: Tombstones,
        guard: RefusalGuard = NO_GUARD,
        worker: WorkerSetup = PLAIN_WORKER,
        turns: Turns | None = None,
    ):
        self._routes = routes
        self._tombstones = tombstones
        self._guard = guard
        self._worker = worker
        self._turns = turns or {}
        self._steps: dict[str, tuple[tuple[Route, ...], ParseStep]] = {}  # by topic

    def setup(self) -> None:
        """Prepare the worker's process for the parsed records that chunks carry from here on."""
        self._worker.apply()

    def process(self, element: Chunk) -> Iterator[Chunk | TaggedOutput]:
        """Parse the records of one chunk; give a chunk for each route."""
        # Fused steps are done with a chunk before the next one comes, so all of the last one has been counted.
        self._guard.check()
        routes, parse = self._step(element.topic)
        only = None if routes[0].when else routes[0]
        if only is not None and element.records and (found := parse.all(element.records)) is not None:
            yield Chunk(element.topic, element.partition, element.records, only.name, *found)
            return
        parsed = Chunk(element.topic, element.partition, [], only.name if only else "")
        by_route = {parsed.route: parsed}
        dropped = 0
        for record in element.records:
            result = parse(record)
            if not isinstance(result, ParsedObject):
                if isinstance(result, Refusal):
                    if record.value is not None:  # a tombstone is dead-lettered because the options say so
                        self._guard.refused(result, element.topic)
                    yield refused(result, element, record)
                else:
                    dropped += 1
                continue
            part = parsed
            if only is None:
                route = route_of(record, result.entity, routes)
                if isinstance(route, Refusal):
                    self._guard.refused(route, element.topic)
                    yield refused(route, element, record)
                    continue
                for other in self._turns.get(route.name, ()):
                    if other in by_route:
                        self._guard.passed_parse(element.topic, len(by_route[other].records))
                        yield by_route.pop(other)
                part = by_route.setdefault(route.name, Chunk(element.topic, element.partition, [], route.name))
            part.records.append(record)
            part.entities.append(result.entity)
            part.bodies.append(result.data)
        metrics.count(metrics.TOMBSTONES, dropped)
        if only is None:
            self._guard.passed_parse(element.topic, sum(len(part.records) for part in by_route.values()))
        for part in by_route.values():
            if part.records:
                yield part

    def finish_bundle(self) -> None:
        """Fail the bundle in which too many records were refused."""
        self._guard.check()

    def _step(self, topic: str) -> tuple[tuple[Route, ...], ParseStep]:
        found = self._steps.get(topic)
        if found is None:
            routes = self._routes.of_topic(topic)
            found = self._steps[topic] = routes, ParseStep(routes, self._tombstones)
        return found
