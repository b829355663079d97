"""ValidateXdm: only records that fit their route's schema, and one request, go on."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import apache_beam as beam
import orjson
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from aep.xdm.rules import XdmRules
from transforms.outputs import refused, with_dead_letters
from transforms.records.chunk import Chunk
from transforms.records.live_schema import LiveSchema
from transforms.records.outcome import Refusal
from transforms.records.prepare import ValidateStep
from transforms.records.refusal_guard import NO_GUARD, RefusalGuard
from transforms.records.repeated_ids import IdWatch
from transforms.records.route import Routes


class ValidateXdm(beam.PTransform):
    """Checks each entity against the schema of its route and the rules beyond it.

    `main`: chunks with the bytes to post, serialised from what was checked. `dead_letters`: what AEP would refuse
    or drop, stage `validate`, with all the violations.
    """

    def __init__(self, routes: Routes, rules: XdmRules, guard: RefusalGuard = NO_GUARD):
        super().__init__()
        self._routes = routes
        self._guard = guard
        self._rules = rules

    def expand(self, chunks: beam.PCollection[Chunk]) -> DoOutputsTuple:
        """Add the step."""
        return with_dead_letters(beam.ParDo(ValidateXdmFn(self._routes, self._rules, self._guard)), chunks, Chunk)


class ValidateXdmFn(beam.DoFn):
    """What `ValidateXdm` does to a chunk; needs no pipeline."""

    def __init__(self, routes: Routes, rules: XdmRules, guard: RefusalGuard = NO_GUARD):
        self._routes = routes
        self._guard = guard
        self._rules = rules
        self._run = uuid4().hex  # the same in all copies of this, on all workers
        self._steps: dict[str, tuple[ValidateStep, LiveSchema | None, IdWatch | None]] = {}  # by route

    def process(self, element: Chunk) -> Iterator[Chunk | TaggedOutput]:
        """Check the records of one chunk."""
        step, live, ids = self._step(element.route)
        if live is not None:
            step.use(live.current())
        records, entities, bodies = element.records, element.entities, element.bodies
        sure = step.surely(entities, bodies)
        if not all(sure):
            valid, unknown_fields = Chunk(element.topic, element.partition, [], element.route), 0
            for record, entity, body, is_sure in zip(records, entities, bodies, sure, strict=True):
                result = body if is_sure else step(entity, body, looked=is_sure is not None)
                if isinstance(result, Refusal):
                    unknown_fields += any(error.code == "additionalProperties" for error in result.errors)
                    self._guard.refused(result, element.topic)
                    yield refused(result, element, record)
                else:
                    valid.records.append(record)
                    valid.bodies.append(result)
                    if step.partition_key is not None:
                        finished = entity if result is body else orjson.loads(result)
                        valid.partition_keys.append(step.partition_key(finished, record.key))
        else:
            valid, unknown_fields = Chunk(element.topic, element.partition, records, element.route, bodies=bodies), 0
            if (key_of := step.partition_key) is not None:
                keys = [key_of(entity, record.key) for entity, record in zip(entities, records, strict=True)]
                valid.partition_keys = keys
        valid.bodies = [
            body if body is record.value else _trimmed(body)
            for record, body in zip(valid.records, valid.bodies, strict=True)
        ]
        self._guard.passed(element.route, len(valid.records))
        if live is not None:
            live.refused(unknown_fields)
        if valid.records:
            if ids is not None:
                ids.look_at(valid.bodies)
            yield valid

    def _step(self, name: str) -> tuple[ValidateStep, LiveSchema | None, IdWatch | None]:
        found = self._steps.get(name)
        if found is None:
            route = self._routes[name]
            live = None if route.registered is None else route.registered.live()
            found = self._steps[name] = ValidateStep(route, self._rules), live, IdWatch.of(self._run, route)
        return found


def _trimmed(body: bytes) -> bytes:
    """Return a copy: what orjson 3.13 writes keeps 4 to 8 kB of memory however short it is, and bodies wait here."""
    return bytes(memoryview(body))
