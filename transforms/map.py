"""ApplyMapping: what a route makes of its records before they are checked, and which it leaves out."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from transforms.outputs import refused, with_dead_letters
from transforms.records.chunk import Chunk
from transforms.records.outcome import Dropped, Refusal
from transforms.records.prepare import MapStep
from transforms.records.refusal_guard import NO_GUARD, RefusalGuard
from transforms.records.route import Routes
from transforms.worker import metrics, process


class ApplyMapping(beam.PTransform):
    """Does with records what their route says: drop, map, transform, fill in `_id`, make upserts and deletes.

    `main`: the chunks, changed or not. `dead_letters`: records to which the mapping does not apply, or that lack
    what the `_id` is made of, stage `map`; those that the route's function refuses, stage `transform`. Dropped
    records are only counted.
    """

    def __init__(self, routes: Routes, guard: RefusalGuard = NO_GUARD):
        super().__init__()
        self._routes = routes
        self._guard = guard

    def expand(self, chunks: beam.PCollection[Chunk]) -> DoOutputsTuple:
        """Add the step."""
        return with_dead_letters(beam.ParDo(ApplyMappingFn(self._routes, self._guard)), chunks, Chunk)


class ApplyMappingFn(beam.DoFn):
    """What `ApplyMapping` does to a chunk; needs no pipeline."""

    def __init__(self, routes: Routes, guard: RefusalGuard = NO_GUARD):
        self._routes = routes
        self._guard = guard
        self._steps: dict[str, MapStep] = {}  # by route

    def process(self, element: Chunk) -> Iterator[Chunk | TaggedOutput]:
        step = self._steps.get(element.route)
        if step is None:
            with process.remember_failure():
                step = self._steps[element.route] = MapStep(self._routes[element.route])
        if not step.is_needed:
            yield element
            return
        topic, partition = element.topic, element.partition
        dropped = 0
        mapped = Chunk(topic, partition, [], element.route)
        for record, entity, body in zip(element.records, element.entities, element.bodies, strict=True):
            result = step(topic, partition, record, entity, body)
            if isinstance(result, Refusal):
                self._guard.refused(result, element.topic)
                yield refused(result, element, record)
                continue
            if isinstance(result, Dropped):
                dropped += 1
                continue
            mapped.records.append(record)
            mapped.entities.append(result.entity)
            mapped.bodies.append(result.data)
        metrics.count(metrics.DROPPED, dropped)
        metrics.count(metrics.dropped_by(element.route), dropped)
        if mapped.records:
            yield mapped
