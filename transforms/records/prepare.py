"""Prepare a record for the post: parse, route, drop, map, transform, `_id` or upsert, prune, validate, size.

Pure, and without Beam. Each step is made once for a topic or a route and called for each of its records. The
pipeline's DoFns call the steps, one after another, over chunks; commands call all of them at once, by `Preparation`.
So what a command says of a record is what the pipeline does with it, to the byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import orjson

from aep.formats.json import ParsedObject, ParseFailure, write_exactly
from aep.mapping.field_map import FieldMap, MapFault, Origin
from aep.mapping.ids import MissingField, Place, fill_id
from aep.mapping.json_patch import Patch, PatchFault
from aep.mapping.transform import LoadedTransform, Metadata, TransformFault
from aep.xdm.schema import ResolvedSchema
from aep.xdm.validate import Rejection, XdmRules, prune_nulls, validator_for
from transforms.records.outcome import Dropped, Followed, Prepared, Refusal
from transforms.records.record import UNREADABLE_HEADERS, Record
from transforms.records.route import Route, keep_json, together

Tombstones = Literal["skip", "dead_letter", "delete"]


_TOO_DEEP = "objects and arrays are nested too deeply, more than 254 levels"
_HEADER_NAME = "the name of a header is not UTF-8, so none of its headers could be read; the dead letter has none"


class ParseStep:
    """Parses the records of a topic.

    Args:
        routes: Those that take the topic, as `Routes.of_topic` gives them: they read it in one format.
        tombstones: What happens to records without a value.
    """

    def __init__(self, routes: tuple[Route, ...], tombstones: Tombstones):
        self._parse = routes[0].parse
        self._together = together(routes[0].parse)
        self._route = "" if routes[0].when else routes[0].name
        self._tombstones = tombstones
        self._destination = routes[-1].destination  # of the only one that takes tombstones

    def __call__(self, record: Record) -> ParsedObject | Refusal | Dropped:
        """Return the record as a JSON object; for a tombstone that deletes, the attributes that say what."""
        value = record.value
        if record.headers == UNREADABLE_HEADERS and value is not None:
            return Refusal("parse", self._route, "header_name", _HEADER_NAME)
        parsed = self._parse(value, record.headers) if value is not None else self._tombstone(record)
        return Refusal("parse", self._route, *parsed) if isinstance(parsed, ParseFailure) else parsed

    def all(self, records: Sequence[Record]) -> tuple[list[dict[str, Any]], list[bytes]] | None:
        """Return the entity and the JSON of each record, which calls for each would return one by one.

        Returns:
            None where the format knows no faster way, or one of the records is not to be posted.
        """
        if self._together is None or UNREADABLE_HEADERS in [record.headers for record in records]:
            return None
        return self._together([record.value for record in records])

    def _tombstone(self, record: Record) -> ParsedObject | ParseFailure | Dropped:
        if self._tombstones == "skip":
            return Dropped("tombstone")
        if self._tombstones == "delete":
            return self._destination.deletion(record.key)
        return ParseFailure("tombstone", "the record has no value")


def route_of(record: Record, entity: dict[str, Any], routes: tuple[Route, ...]) -> Route | Refusal:
    """Return the first route whose conditions the record fits.

    A tombstone has no fields, so only a route without conditions takes it.
    """
    if record.value is None:
        found = None if routes[-1].when else routes[-1]
    else:
        found = next((route for route in routes if route.fits(entity)), None)
    if found is None:
        return Refusal("map", "", "no_route", "the record fits the conditions (when) of no route that takes its topic")
    return found


class MapStep:
    """Drops, maps and transforms the records of a route, fills in `_id`s, and makes what the destination takes.

    Attributes:
        is_needed: False where the route leaves its records as they are.

    Raises:
        TransformError: The route's transform cannot be imported here.
    """

    def __init__(self, route: Route):
        self._route = route
        self._drops = bool(route.drop)
        self._mapping = route.mapping
        self._transform = route.transform.load() if route.transform is not None else None
        # What is made of a record has to be made of all that it says.
        self._exactly = route.parse == keep_json and (route.mapping is not None or route.transform is not None)
        self._fault_code = "patch" if isinstance(route.mapping, Patch) else "map"
        form = route.destination.form()
        self._finish = form.finish
        self._fill_inside = form.fill_id
        changes = route.mapping is not None or route.transform is not None or form.finish is not None
        self.is_needed = changes or bool(route.drop) or bool(route.id_from)

    def __call__(
        self, topic: str, partition: int, record: Record, entity: dict[str, Any], body: bytes
    ) -> ParsedObject | Refusal | Dropped:
        """Return the record as the route makes it. The entity that was given may be changed: use what is returned.

        Args:
            topic, partition: Where the record was read.
            record: As it was read.
            entity: As it was parsed.
            body: The entity as JSON.
        """
        # What a tombstone deletes is made from its key, and is neither dropped nor mapped nor transformed.
        if record.value is not None:
            if self._drops and self._route.drops(entity):
                return Dropped("drop", self._route.name)
            if self._exactly:
                exact = write_exactly(entity, record.value)
                if isinstance(exact, ParseFailure):
                    return Refusal("parse", self._route.name, *exact)
            if self._mapping is not None:
                mapped = self._map(self._mapping, topic, partition, record, entity)
                if isinstance(mapped, Refusal):
                    return mapped
                entity, body = mapped
            if self._transform is not None:
                made = self._call(self._transform, _origin(topic, partition, record), entity)
                if not isinstance(made, ParsedObject):
                    return made
                entity, body = made
        if self._route.id_from:
            filled = self._fill_id(entity, body, Place(topic, partition, record.offset))
            if isinstance(filled, Refusal):
                return filled
            body = filled
        if self._finish is not None:
            return self._finish(entity, body, record.value is None)
        return ParsedObject(entity, body)

    def _map(
        self, mapping: Patch | FieldMap, topic: str, partition: int, record: Record, entity: dict[str, Any]
    ) -> ParsedObject | Refusal:
        made: dict[str, Any] | PatchFault | MapFault
        if isinstance(mapping, Patch):
            made = mapping.apply(entity)
        else:
            made = mapping.apply(entity, _origin(topic, partition, record))
        if not isinstance(made, dict):
            return Refusal("map", self._route.name, self._fault_code, made.message, made.pointer)
        try:
            return ParsedObject(made, orjson.dumps(made))
        except TypeError:  # the record was JSON, so it is the depth that a mapping can add
            return Refusal("map", self._route.name, self._fault_code, _TOO_DEEP)

    def _call(
        self, transform: LoadedTransform, metadata: Metadata, entity: dict[str, Any]
    ) -> ParsedObject | Refusal | Dropped:
        made = transform(entity, metadata)
        if isinstance(made, TransformFault):
            return Refusal("transform", self._route.name, *made)
        return Dropped("transform", self._route.name) if made is None else made

    def _fill_id(self, entity: dict[str, Any], body: bytes, place: Place) -> bytes | Refusal:
        if self._fill_inside is None:
            filled = fill_id(entity, body, self._route.id_from, place)
        else:
            filled = self._fill_inside(entity, body, partial(fill_id, rule=self._route.id_from, place=place))
        if isinstance(filled, MissingField):
            message = "the record has no _id, and no such field to make one of (xdm_id_from)"
            return Refusal("map", self._route.name, "id_field_missing", message, filled.pointer)
        return filled


def _origin(topic: str, partition: int, record: Record) -> Origin:
    return Origin(topic, partition, record.offset, record.key, record.timestamp, record.headers)


class ValidateStep:
    """Takes nulls out where that is wanted, and checks the records of a route: schema, rules, envelope, size.

    Attributes:
        schema: What records must fit now; None validates nothing but the envelope and the size.
        partition_key: See `Form`.
    """

    def __init__(self, route: Route, rules: XdmRules):
        self._route = route
        self._rules = route.rules or rules
        self._prunes = self._rules.nulls == "prune"
        form = route.destination.form()
        self._unwrap = form.unwrap
        self.partition_key = form.partition_key
        self._largest = route.destination.sizes().max_record_bytes
        self.schema = route.registered.first if route.registered is not None else route.schema
        self._validator = validator_for(self.schema, self._rules) if self.schema else None

    def use(self, schema: ResolvedSchema) -> None:
        """Check against the schema as the registry has it now; it costs nothing while that is the same."""
        if schema is not self.schema:
            self.schema, self._validator = schema, validator_for(schema, self._rules)

    def surely(self, entities: Sequence[dict[str, Any]], bodies: Sequence[bytes]) -> Sequence[bool | None]:
        """Return of which records it is certain, after a quick look, that a call would return the bytes as they are.

        Args:
            entities, bodies: As for calls.

        Returns:
            None for records that were not looked at.
        """
        validator, unwrap = self._validator, self._unwrap
        if self._prunes or (unwrap is not None and self._route.parse == keep_json):
            return [None] * len(bodies)
        parts = entities if unwrap is None else list(map(unwrap, entities, bodies))
        if validator is None:
            fit, largest = [True] * len(bodies), self._largest
        else:
            fit = validator.surely_fit([part if isinstance(part, dict) else {} for part in parts])
            largest = min(validator.max_bytes, self._largest)
        # As canonical JSON a part of a record is shorter than the whole.
        return [
            is_fit and len(body) <= largest and isinstance(part, dict)
            for is_fit, body, part in zip(fit, bodies, parts, strict=True)
        ]

    def __call__(self, entity: dict[str, Any], body: bytes, *, looked: bool = False) -> bytes | Refusal:
        """Return the bytes to post, or what the destination would refuse or drop the record for.

        Args:
            entity: The record, as its destination takes it.
            body: The same as JSON.
            looked: Whether `surely` has looked at it and is not certain.
        """
        if self._prunes and b"null" in body:
            entity, changed = prune_nulls(entity)
            try:
                body = orjson.dumps(entity) if changed else body
            except TypeError:  # of an upsert: its envelope adds a level to what was deep enough
                return Refusal("validate", self._route.name, "too_deep", _TOO_DEEP)
        found = self._check(entity, body, looked)
        if found is not None:
            return Refusal("validate", self._route.name, *found, self.schema)
        if len(body) > self._largest:
            message = f"{len(body)} bytes, {self._largest} fit into a request"
            return Refusal("validate", self._route.name, "too_large", message)
        return body

    def _check(self, record: dict[str, Any], body: bytes, looked: bool) -> Rejection | None:
        """Check the part of a record that the schema describes, if there is one."""
        inside = record if self._unwrap is None else self._unwrap(record, body)
        if not isinstance(inside, dict):
            return inside
        if self._validator is None:
            return None
        size = len(body if inside is record else orjson.dumps(inside))
        return self._validator.check_by_rules(inside, size) if looked else self._validator.check(inside, size)


class Preparation:
    """All the steps, for the records of one topic.

    Args:
        routes: Those that take the topic, as `Routes.of_topic` gives them.
        rules: What records are asked beyond their schemas, where their route has no rules of its own.
        tombstones: What happens to records without a value.

    Raises:
        TransformError: A route's transform cannot be imported here.
    """

    def __init__(self, routes: tuple[Route, ...], rules: XdmRules, tombstones: Tombstones):
        self._routes = routes
        self._parse = ParseStep(routes, tombstones)
        self._steps = {route.name: (MapStep(route), ValidateStep(route, rules)) for route in routes}

    def __call__(self, topic: str, partition: int, record: Record) -> Prepared | Refusal | Dropped:
        """Return the record as it would be posted, or why it would not.

        Raises:
            ConfigurationError, StoppedError: The registry of Avro schemas; see `SchemaRegistry.reader`.
        """
        return self.follow(topic, partition, record).outcome

    def follow(self, topic: str, partition: int, record: Record) -> Followed:
        """Return what becomes of the record, and what it was on the way.

        Raises:
            ConfigurationError, StoppedError: As for a call.
        """
        parsed = self._parse(record)
        if not isinstance(parsed, ParsedObject):
            return Followed(None, None, parsed, parsed.route)
        route = route_of(record, parsed.entity, self._routes)
        if isinstance(route, Refusal):
            return Followed(parsed.data, None, route, "")
        apply_map, validate = self._steps[route.name]
        mapped = apply_map(topic, partition, record, *parsed)
        if not isinstance(mapped, ParsedObject):
            return Followed(parsed.data, None, mapped, route.name)
        body = validate(*mapped)
        outcome = body if isinstance(body, Refusal) else Prepared(route, body)
        return Followed(parsed.data, mapped.data, outcome, route.name)
