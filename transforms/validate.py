"""ValidateXdm: only records that fit their route's schema, and one request, go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from aep.message import unwrap
from aep.streaming import BATCH_OVERHEAD, MAX_REQUEST_BYTES, Destination, Envelope
from aep.upserts import check_operations, operations_of
from aep.xdm.schema import ResolvedSchema
from aep.xdm.validate import Rejection, XdmRules, XdmValidator, prune_nulls, validator_for
from transforms.chunks import Chunk, Record
from transforms.dead_letter import DeadLetter, dead_letter
from transforms.outputs import refused, with_dead_letters
from transforms.registered_schema import LiveSchema
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
        return with_dead_letters(beam.ParDo(ValidateXdmFn(self._routes, self._rules)), chunks, Chunk)


class ValidateXdmFn(beam.DoFn):
    """What ``ValidateXdm`` does to a chunk; needs no pipeline."""

    def __init__(self, routes: Routes, rules: XdmRules):
        self._routes = routes
        self._rules = rules
        self._largest: dict[str, int] = {}  # by route: bytes of the largest record that fits a request by itself
        self._live: dict[str, LiveSchema] = {}  # by route

    def process(self, element: Chunk) -> Iterator[Chunk | TaggedOutput]:
        """Checks the records of one chunk."""
        route = self._routes[element.route]
        live = self._live_schema(route)
        schema, rules = schema_and_rules(route, self._rules, live)
        validator = validator_for(schema, rules) if schema else None
        unknown_fields = 0
        largest = self._largest_record(route)
        valid = Chunk(element.topic, element.partition, [], element.route)
        for record, entity, body in zip(element.records, element.entities, element.bodies, strict=True):
            if self._rules.nulls == "prune" and b"null" in body:
                entity, changed = prune_nulls(entity)
                body = orjson.dumps(entity) if changed else body
            rejection = check_record(route.destination, validator, entity, body)
            if rejection is not None:
                unknown_fields += any(error.code == "additionalProperties" for error in rejection.errors)
                yield refused(_as_dead_letter(rejection, schema, valid, record))
            elif len(body) > largest:
                message = f"{len(body)} bytes, {largest} fit into a request"
                yield refused(dead_letter("validate", "too_large", message, valid, record))
            else:
                valid.records.append(record)
                valid.bodies.append(body)
        if live:
            live.refused(unknown_fields)
        if valid.records:
            yield valid

    def _live_schema(self, route: Route) -> LiveSchema | None:
        if route.registered is None:
            return None
        if route.name not in self._live:
            self._live[route.name] = route.registered.live()
        return self._live[route.name]

    def _largest_record(self, route: Route) -> int:
        if route.name not in self._largest:
            overhead = Envelope(route.destination).overhead + BATCH_OVERHEAD
            self._largest[route.name] = MAX_REQUEST_BYTES - overhead
        return self._largest[route.name]


def schema_and_rules(
    route: Route, rules: XdmRules, live: LiveSchema | None = None
) -> tuple[ResolvedSchema | None, XdmRules]:
    """What a route's records must fit now: its schema, and its own rules where it has some."""
    rules = route.rules or rules
    if route.registered is None:
        return route.schema, rules
    return live.current() if live else route.registered.first, rules


def check_record(
    destination: Destination, validator: XdmValidator | None, entity: dict[str, Any], body: bytes
) -> Rejection | None:
    """What is wrong with a record as it would be posted, or None.

    Args:
      destination: of its route.
      validator: for the entity; None where there is no schema.
      entity: the record; with payload ``message`` the whole message.
      body: the same as JSON.
    """
    if destination.payload == "message":
        unwrapped = unwrap(entity, destination)
        if isinstance(unwrapped, Rejection):
            return unwrapped
        entity, body = unwrapped, orjson.dumps(unwrapped)
    elif destination.payload == "raw" and operations_of(entity) is not None:
        # Its attributes are the mapping's: no schema here knows them.
        return check_operations(entity)
    return validator.check(entity, len(body)) if validator else None


def _as_dead_letter(rejection: Rejection, schema: ResolvedSchema | None, chunk: Chunk, record: Record) -> DeadLetter:
    return dead_letter(
        "validate",
        rejection.code,
        rejection.message,
        chunk,
        record,
        pointer=rejection.pointer,
        errors=[error._asdict() for error in rejection.errors],
        error_count=rejection.error_count,
        schema=schema_fields(schema),
    )


def schema_fields(schema: ResolvedSchema | None) -> dict[str, str]:
    """The schema as dead letters name it."""
    return {"id": schema.id, "version": schema.version, "sha256": schema.sha256} if schema else {}
