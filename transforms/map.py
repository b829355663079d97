"""ApplyMapping: what a route adds to its records before they are checked."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from transforms.outputs import refused, with_dead_letters
from transforms.records.chunk import Chunk
from transforms.records.prepare import MapStep, Refusal
from transforms.records.refusal_guard import NO_GUARD, RefusalGuard
from transforms.records.route import Routes


class ApplyMapping(beam.PTransform):
    """Maps records, fills in a missing ``_id``, makes upserts of raw records and deletes of tombstones, by their route.

    ``main``: the chunks, changed or not. ``dead_letters``: records to which the mapping does not apply, or that lack
    what the ``_id`` is made of, stage ``map``.
    """

    def __init__(self, routes: Routes, guard: RefusalGuard = NO_GUARD):
        super().__init__()
        self._routes = routes
        self._guard = guard

    def expand(self, chunks: beam.PCollection[Chunk]) -> DoOutputsTuple:
        """Adds the step."""
        return with_dead_letters(beam.ParDo(ApplyMappingFn(self._routes, self._guard)), chunks, Chunk)


class ApplyMappingFn(beam.DoFn):
    """What ``ApplyMapping`` does to a chunk; needs no pipeline."""

    def __init__(self, routes: Routes, guard: RefusalGuard = NO_GUARD):
        self._routes = routes
        self._guard = guard
        self._steps: dict[str, MapStep] = {}  # by route

    def process(self, element: Chunk) -> Iterator[Chunk | TaggedOutput]:
        """Maps the records of one chunk."""
        step = self._steps.get(element.route)
        if step is None:
            step = self._steps[element.route] = MapStep(self._routes[element.route])
        if not step.is_needed:
            yield element
            return
        topic, partition = element.topic, element.partition
        mapped = Chunk(topic, partition, [], element.route)
        for record, entity, body in zip(element.records, element.entities, element.bodies, strict=True):
            result = step(topic, partition, record, entity, body)
            if isinstance(result, Refusal):
                self._guard.refused(result, element.topic)
                yield refused(result, element, record)
                continue
            mapped.records.append(record)
            mapped.entities.append(result.entity)
            mapped.bodies.append(result.data)
        if mapped.records:
            yield mapped
