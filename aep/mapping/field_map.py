"""A declarative map: an XDM record made from fields of a record, constants and Kafka metadata.

    /_id: {from: /orderId}
    /timestamp: {from: /createdSeconds, type: date-time, unit: s}
    /eventType: {value: commerce.purchases}
    /_acme/channel: {kafka: "header:channel", default: web}
    /identityMap/Email/0/id: {from: /customer/email, optional: true}

The new record has these fields and no others. On the left is the target: a JSON pointer, or names separated by dots
them (`_acme.channel`); steps that are all numbers make an array. On the right is one source, and what
happens to records that lack it: a fault, unless it is `optional` (the field is left out) or has a `default`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import orjson

from aep.formats.conversions import CONVERSION_KEYS, conversion_problem, converter_of
from aep.formats.xdm_types import Unfit
from aep.mapping.entries import EntriesError
from aep.xdm.pointers import is_pointer, pointer, resolve, steps_of

HEADER = "header:"
KAFKA_SOURCES = ("topic", "partition", "offset", "key", "timestamp", f"{HEADER}NAME")
_SOURCES = ("from", "value", "kafka")
_KEYS = (*_SOURCES, *CONVERSION_KEYS, "optional", "default")


class Origin(NamedTuple):
    """Kafka metadata of a record. `timestamp` in milliseconds since 1970, negative for none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    timestamp: int
    headers: tuple[tuple[str, bytes | None], ...]


class MapFault(NamedTuple):
    """Why a map does not apply to a record: the source's pointer ("" for Kafka metadata), and a message."""

    pointer: str
    message: str


@dataclass(frozen=True)
class _Field:
    """Where a value comes from. `constant` and `default` are JSON, None for none."""

    target: str
    place: str | None = None
    kafka: str | None = None
    constant: bytes | None = None
    convert: Callable[[Any], Any] | None = None
    optional: bool = False
    default: bytes | None = None


# What is made: a value, or an object or array of what is made by name or in order.
_Tree = _Field | dict[str, "_Tree"] | list["_Tree"]


@dataclass(frozen=True)
class FieldMap:
    """Fields validated by `compile_map`, as JSON: equal, hashable and small to send to workers."""

    fields: bytes

    def apply(self, record: dict[str, Any], origin: Origin) -> dict[str, Any] | MapFault:
        """Return the new record; the old one stays as it is, and parts of it may be parts of both, each once."""
        try:
            made = _make(_compiled(self.fields), record, origin)
        except _FaultError as error:
            return error.fault
        return {} if made is _ABSENT else made


def compile_map(fields: Mapping[str, Any]) -> FieldMap:
    """Return the map of these fields: target to source.

    Raises:
        EntriesError: All problems found.
    """
    _, problems = _plan(fields)
    if problems:
        raise EntriesError(problems)
    return FieldMap(orjson.dumps(fields))


@cache
def _compiled(fields: bytes) -> _Tree:
    tree, _ = _plan(orjson.loads(fields))
    return tree


def _plan(fields: Mapping[str, Any]) -> tuple[_Tree, dict[str, str]]:
    """Return the tree to build, and the problems by target."""
    problems: dict[str, str] = {}
    root: dict[str, Any] = {}
    shared = _shared_places(fields)
    for target, source in fields.items():
        problem = _target_problem(target) or _source_problem(source)
        if problem is None:
            problem = _put(root, steps_of(_as_pointer(target)), _field(target, source, shared))
        if problem:
            problems[target] = f"{target}: {problem}"
    return _with_arrays(root, (), problems), problems


def _as_pointer(target: str) -> str:
    return target if target.startswith("/") else pointer(target.split("."))


def _target_problem(target: str) -> str | None:
    if not is_pointer(_as_pointer(target)) or not all(steps_of(_as_pointer(target))):
        return "is not a field path: write /_acme/memberId or _acme.memberId"
    return None


def _source_problem(source: Any) -> str | None:
    if not isinstance(source, dict):
        return "needs a source, such as {from: /orderId}, {value: web} or {kafka: offset}"
    unknown = [key for key in source if key not in _KEYS]
    if unknown:
        return f"has an unknown key {', '.join(map(str, unknown))}: expected {', '.join(_KEYS)}"
    if sum(name in source for name in _SOURCES) != 1:
        return f"needs one of {', '.join(_SOURCES)}"
    if "value" in source and len(source) > 1:
        return "a value is a constant: it takes no type, optional or default"
    if "from" in source and not (isinstance(source["from"], str) and is_pointer(source["from"])):
        return "from must be a JSON pointer such as /orderId"
    kafka = source.get("kafka", "topic")
    if not (isinstance(kafka, str) and (kafka in KAFKA_SOURCES[:-1] or (kafka.startswith(HEADER) and kafka != HEADER))):
        return f"kafka must be one of {', '.join(KAFKA_SOURCES)}"
    if problem := conversion_problem(source):
        return problem
    if not isinstance(source.get("optional", False), bool):
        return "optional must be true or false"
    if source.get("optional") and "default" in source:
        return "a field with a default is never missing: remove optional or default"
    return _constants_problem(source)


def _constants_problem(source: Mapping[str, Any]) -> str | None:
    for name in ("value", "default"):
        if name not in source:
            continue
        if source[name] is None:
            return f"{name} must not be null: leave the field out, or make it optional"
        try:
            orjson.dumps(source[name])
        except TypeError as error:
            return f"{name} can't be written as JSON: {error}"
    return None


def _shared_places(fields: Mapping[str, Any]) -> set[str]:
    """Return the places that several fields are made from, in whole or in part."""
    sources = [source.get("from") for source in fields.values() if isinstance(source, dict)]
    times = Counter(place for place in sources if isinstance(place, str))
    around = {place: [place[:end] for end, mark in enumerate(place) if mark == "/"] for place in times}
    outer = {each for places in around.values() for each in places}
    return {one for one in times if times[one] > 1 or one in outer or not times.keys().isdisjoint(around[one])}


def _copy(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value)) if isinstance(value, dict | list) else value


def _field(target: str, source: Mapping[str, Any], shared: Container[str]) -> _Field:
    place = source.get("from")
    return _Field(
        target,
        place=place,
        kafka=source.get("kafka"),
        constant=orjson.dumps(source["value"]) if "value" in source else None,
        convert=converter_of(source) or (_copy if place in shared else None),
        optional=source.get("optional", False),
        default=orjson.dumps(source["default"]) if "default" in source else None,
    )


def _put(root: dict[str, Any], steps: list[str], field: _Field) -> str | None:
    node = root
    for step in steps[:-1]:
        below = node.setdefault(step, {})
        if isinstance(below, _Field):
            return f"is inside {below.target}, which already has a value"
        node = below
    if steps[-1] in node:
        return "is already the target of another field, or contains targets"
    node[steps[-1]] = field
    return None


def _with_arrays(node: Any, path: tuple[str, ...], problems: dict[str, str]) -> _Tree:
    """Return the tree with arrays where all names are numbers; their indices must have no gap."""
    if isinstance(node, _Field):
        return node
    below = {name: _with_arrays(child, (*path, name), problems) for name, child in node.items()}
    numbers = [name for name in below if name.isascii() and name.isdigit()]
    if not path or not numbers:
        return below
    indices = [str(index) for index in range(len(below))]
    if set(below) != set(indices):
        place = pointer(path)
        problems[place] = f"{place}: an array needs the places {place}/0, {place}/1 and so on, and no names beside them"
    return [below[index] for index in indices if index in below]


class _FaultError(Exception):
    def __init__(self, fault: MapFault) -> None:
        self.fault = fault


_ABSENT = object()


def _make(tree: _Tree, record: dict[str, Any], origin: Origin) -> Any:
    """Return the value; absent if it is optional and its source is missing, or if all that it would hold is absent."""
    if isinstance(tree, _Field):
        return _value(tree, record, origin)
    if isinstance(tree, dict):
        members = {name: _make(below, record, origin) for name, below in tree.items()}
        return {name: value for name, value in members.items() if value is not _ABSENT} or _ABSENT
    items = [_make(below, record, origin) for below in tree]
    return [value for value in items if value is not _ABSENT] or _ABSENT


def _value(field: _Field, record: dict[str, Any], origin: Origin) -> Any:
    if field.constant is not None:
        return orjson.loads(field.constant)
    try:
        value = resolve(record, field.place) if field.place is not None else _of_kafka(str(field.kafka), origin)
        if value is not None:
            return field.convert(value) if field.convert else value
    except Unfit as unfit:
        raise _fault(field, str(unfit)) from None
    if field.default is not None:
        return orjson.loads(field.default)
    if field.optional:
        return _ABSENT
    raise _fault(field, "the field is absent or null" if field.place is not None else "the record has none")


def _of_kafka(name: str, origin: Origin) -> Any:
    if name == "key":
        return _text(origin.key)
    if name == "timestamp":
        return origin.timestamp if origin.timestamp >= 0 else None
    if name.startswith(HEADER):
        # The last one counts, as it does in Kafka's own clients.
        return _text(dict(origin.headers).get(name.removeprefix(HEADER)))
    return {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset}[name]


def _text(content: bytes | None) -> str | None:
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        raise Unfit("it is not UTF-8 text") from None


def _fault(field: _Field, reason: str) -> _FaultError:
    source = (field.place or "the record") if field.place is not None else f"Kafka's {field.kafka}"
    return _FaultError(MapFault(field.place or "", f"{field.target} cannot be made from {source}: {reason}"))
