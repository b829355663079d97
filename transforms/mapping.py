"""ApplyMapping: what a route adds to its records before they are checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from aep.field_map import FieldMap, MapFault, Origin
from aep.ids import MissingField, Place, fill_id
from aep.json_patch import Patch, PatchFault
from aep.upserts import DELETE, UpsertEnvelope, operations_of
from transforms.chunks import Chunk, Record
from transforms.dead_letter import dead_letter
from transforms.outputs import refused, with_dead_letters
from transforms.routes import Route, Routes


class ApplyMapping(beam.PTransform):
    """Maps records, fills in a missing ``_id``, makes upserts of raw records and deletes of tombstones, by their route.

    ``main``: the chunks, changed or not. ``dead_letters``: records to which the mapping does not apply, or that lack
    what the ``_id`` is made of, stage ``map``.
    """

    def __init__(self, routes: Routes):
        super().__init__()
        self._routes = routes

    def expand(self, chunks: beam.PCollection[Chunk]) -> DoOutputsTuple:
        """Adds the step."""
        return with_dead_letters(beam.ParDo(ApplyMappingFn(self._routes)), chunks, Chunk)


class ApplyMappingFn(beam.DoFn):
    """What ``ApplyMapping`` does to a chunk; needs no pipeline."""

    def __init__(self, routes: Routes):
        self._routes = routes

    def process(self, element: Chunk) -> Iterator[Chunk | TaggedOutput]:
        """Maps the records of one chunk."""
        route = self._routes[element.route]
        chunk = element
        if route.mapping is not None:
            chunk = Chunk(element.topic, element.partition, [], element.route)
            yield from _map(element, route.mapping, chunk)
        if not chunk.records:
            return
        if route.id_from:
            yield from _fill_ids(chunk, route)
        elif route.destination.payload == "raw":
            yield _upserts(chunk, route)
        else:
            yield chunk


def _map(chunk: Chunk, mapping: Patch | FieldMap, mapped: Chunk) -> Iterator[TaggedOutput]:
    """Puts the chunk's records, as the mapping makes them, into another, and gives dead letters for the rest.

    Tombstones go as they are: what they delete is made from their keys.
    """
    code = "patch" if isinstance(mapping, Patch) else "map"
    for record, entity, body in zip(chunk.records, chunk.entities, chunk.bodies, strict=True):
        if record.value is not None:
            made = _apply(mapping, entity, chunk, record)
            if not isinstance(made, dict):
                yield refused(dead_letter("map", code, made.message, mapped, record, pointer=made.pointer))
                continue
            try:
                entity, body = made, orjson.dumps(made)
            except TypeError:  # the record was JSON, so it is the depth that a mapping can add
                message = "objects and arrays are nested too deeply, more than 254 levels"
                yield refused(dead_letter("map", code, message, mapped, record))
                continue
        mapped.records.append(record)
        mapped.entities.append(entity)
        mapped.bodies.append(body)


def _apply(
    mapping: Patch | FieldMap, entity: dict[str, Any], chunk: Chunk, record: Record
) -> dict[str, Any] | PatchFault | MapFault:
    if isinstance(mapping, Patch):
        return mapping.apply(entity)
    place = (chunk.topic, chunk.partition, record.offset)
    return mapping.apply(entity, Origin(*place, record.key, record.timestamp, record.headers))


def _fill_ids(chunk: Chunk, route: Route) -> Iterator[Chunk | TaggedOutput]:
    mapped = Chunk(chunk.topic, chunk.partition, [], chunk.route)
    for record, entity, body in zip(chunk.records, chunk.entities, chunk.bodies, strict=True):
        place = Place(chunk.topic, chunk.partition, record.offset)
        if route.destination.payload == "message":
            filled = _fill_in_message(entity, body, route, place)
        else:
            filled = fill_id(entity, body, route.id_from, place)
        if isinstance(filled, MissingField):
            message = "the record has no _id, and no such field to make one of (xdm_id_from)"
            yield refused(dead_letter("map", "id_field_missing", message, chunk, record, pointer=filled.pointer))
        else:
            mapped.records.append(record)
            mapped.entities.append(entity)
            mapped.bodies.append(filled)
    if mapped.records:
        yield mapped


def _fill_in_message(message: dict[str, Any], body: bytes, route: Route, place: Place) -> bytes | MissingField:
    """Fills the entity in a ready-made envelope; one that has none is refused when it is checked."""
    holder = message.get("body")
    entity = holder.get("xdmEntity") if isinstance(holder, dict) else None
    if not isinstance(entity, dict) or entity.get("_id") is not None:
        return body
    filled = fill_id(entity, orjson.dumps(entity), route.id_from, place)
    return filled if isinstance(filled, MissingField) else orjson.dumps(message)


def _upserts(chunk: Chunk, route: Route) -> Chunk:
    """The chunk, with a header around each record that is to have one and does not bring its own."""
    envelope = UpsertEnvelope(route.destination, route.operations) if route.operations else None
    deletes = UpsertEnvelope(route.destination, DELETE)

    mapped = Chunk(chunk.topic, chunk.partition, chunk.records, chunk.route)
    for record, entity, body in zip(chunk.records, chunk.entities, chunk.bodies, strict=True):
        around = deletes if record.value is None else None if operations_of(entity) is not None else envelope
        if around is not None:
            entity, body = around.wrap(entity, body)
        mapped.entities.append(entity)
        mapped.bodies.append(body)
    return mapped
