"""ValidateXdm: only records that fit their route's schema, and one request, go on."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import orjson
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from aep.message import unwrap
from aep.streaming import BATCH_OVERHEAD, MAX_REQUEST_BYTES, Destination, Envelope
from aep.xdm.validate import Rejection, XdmRules, XdmValidator, prune_nulls, validator_for
from transforms.chunks import Chunk, Record
from transforms.dead_letters import DeadLetter, dead_letter
from transforms.outputs import refused, with_dead_letters
from transforms.routes import Route, Routes


class ValidateXdm(beam.PTransform):
    """Checks each entity against the schema of its route and the rules beyond it.

    ``main``: chunks with the bytes to post, serialised from what was checked. ``dead_letters``: what AEP would refuse
    or drop, stage ``validate``, with all the violations.
    """

    def __init__(self, routes: Routes, rules: XdmRules | None = None):
        super().__init__()
        self._routes = routes
        self._rules = rules or XdmRules()

    def expand(self, chunks: beam.PCollection[Chunk]) -> DoOutputsTuple:
        """Adds the step."""
        return with_dead_letters(beam.ParDo(_ValidateXdm(self._routes, self._rules)), chunks, Chunk)


class _ValidateXdm(beam.DoFn):
    def __init__(self, routes: Routes, rules: XdmRules):
        self._routes = routes
        self._rules = rules
        self._largest: dict[str, int] = {}  # by route: bytes of the largest record that fits a request by itself

    def process(self, element: Chunk) -> Iterator[Chunk | TaggedOutput]:
        route = self._routes[element.route]
        validator = validator_for(route.schema, self._rules) if route.schema else None
        largest = self._largest_record(route)
        valid = Chunk(element.topic, element.partition, [], element.route)
        for record, entity, body in zip(element.records, element.entities, element.bodies, strict=True):
            if self._rules.nulls == "prune" and b"null" in body:
                entity, changed = prune_nulls(entity)
                body = orjson.dumps(entity) if changed else body
            rejection = _check(route.destination, validator, entity, body)
            if rejection is not None:
                yield refused(_as_dead_letter(rejection, route, valid, record))
            elif len(body) > largest:
                message = f"{len(body)} bytes, {largest} fit into a request"
                yield refused(dead_letter("validate", "too_large", message, valid, record))
            else:
                valid.records.append(record)
                valid.bodies.append(body)
        if valid.records:
            yield valid

    def _largest_record(self, route: Route) -> int:
        if route.name not in self._largest:
            overhead = Envelope(route.destination).overhead + BATCH_OVERHEAD
            self._largest[route.name] = MAX_REQUEST_BYTES - overhead
        return self._largest[route.name]


def _check(
    destination: Destination, validator: XdmValidator | None, entity: dict[str, object], body: bytes
) -> Rejection | None:
    if destination.payload == "message":
        unwrapped = unwrap(entity, destination)
        if isinstance(unwrapped, Rejection):
            return unwrapped
        entity, body = unwrapped, orjson.dumps(unwrapped)
    return validator.check(entity, len(body)) if validator else None


def _as_dead_letter(rejection: Rejection, route: Route, chunk: Chunk, record: Record) -> DeadLetter:
    schema = route.schema
    return dead_letter(
        "validate",
        rejection.code,
        rejection.message,
        chunk,
        record,
        pointer=rejection.pointer,
        errors=[error._asdict() for error in rejection.errors],
        error_count=rejection.error_count,
        schema={"id": schema.id or "", "version": schema.version, "sha256": schema.sha256} if schema else {},
    )
