"""Read a record's Avro (Avro specification 1.12) as the JSON that XDM wants.

Records, maps and arrays become objects and arrays, enums strings, a union what its branch is; null stays null. Bytes
and fixed become text in base64. Logical types: ``date`` becomes ``YYYY-MM-DD``; ``timestamp-millis``, ``-micros`` and
``-nanos`` a date-time in UTC with ``Z``, ``local-timestamp-*`` the same without it; ``time-*`` a time; ``decimal`` a
number, ``uuid`` text. Types that only ``connect.name`` marks become the same (connect_types.py). A value that JSON
cannot carry unchanged (NaN, a decimal of too many digits) is a failure.
"""

from __future__ import annotations

import base64
import io
import json
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

import fastavro
import orjson
from fastavro import _read_py
from fastavro.schema import SchemaParseException

from aep.connect_types import logical_type, scale_of, time_text
from aep.field_types import EPOCH, Unfit, date_time_of, decimal_of, to_number
from aep.strict_json import ParsedObject, ParseFailure
from aep.xdm.pointers import pointer

CODE = "avro"
"""The code of a record that is not Avro of its schema, or whose schema is not known."""

_HEAD_BYTES = 5
_CANNOT_BE_READ = (EOFError, LookupError, ValueError, ArithmeticError, TypeError)


class AvroSchemaError(ValueError):
    """What should be an Avro schema is none, or cannot be used; says why."""


def split_wire_format(value: bytes) -> tuple[int, bytes] | ParseFailure:
    """The schema's id and the Avro of a value in Confluent's wire format: a zero byte, the id in four bytes, the Avro.

    (Confluent Platform, Schema Registry, Formats, serializers and deserializers: Wire format.)
    """
    if len(value) < _HEAD_BYTES:
        return ParseFailure(CODE, f"the value has {len(value)} bytes, fewer than Confluent's wire format begins with")
    if value[0] != 0:
        hint = ", and looks like JSON" if value[:1] == b"{" else ""
        return ParseFailure(
            CODE, f"not Confluent's wire format: it begins with the byte {value[0]:#04x} and not with 0x00{hint}"
        )
    return int.from_bytes(value[1:_HEAD_BYTES], "big"), value[_HEAD_BYTES:]


class AvroReader:
    """Reads records that were written with one schema."""

    def __init__(self, schema: str, references: Iterable[str] = ()):
        """Takes the schema and those that it refers to by name, each after those that it refers to itself.

        Raises:
          AvroSchemaError: one of them is no Avro schema, or names a type that none has.
        """
        named: dict[str, Any] = {}
        for text in (*references, schema):
            parsed = _parse(text, named)
        self._schema = parsed
        # The compiled reader has no limit of depth, and a damaged record of a type within itself would end the process.
        recursive = _is_recursive(parsed, named, frozenset())
        self._read = _read_py.schemaless_reader if recursive else fastavro.schemaless_reader

    def read(self, data: bytes) -> ParsedObject | ParseFailure:
        """The record as an object and its JSON. Never raises."""
        source = io.BytesIO(data)
        try:
            entity = self._read(source, self._schema, None)
        except _CANNOT_BE_READ:
            return ParseFailure(CODE, f"not Avro of its schema, from about byte {source.tell()} of {len(data)} on")
        except RecursionError:
            return _TOO_DEEP
        if source.tell() != len(data):
            return ParseFailure(CODE, f"not Avro of its schema: {len(data) - source.tell()} bytes are left over")
        if not isinstance(entity, dict):
            return ParseFailure("type", "the schema is not that of a record")
        try:
            return ParsedObject(entity, orjson.dumps(entity))
        except TypeError:
            return _why_not_json(entity)


_TOO_DEEP = ParseFailure("too_deep", "records and arrays are nested too deeply, more than 254 levels")


class _NotJson:
    """Stands in a record that was read for a value that JSON cannot carry, until the record is written."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


def _why_not_json(entity: dict[str, Any]) -> ParseFailure:
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), entity)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, _NotJson):
            return ParseFailure(CODE, value.reason, pointer(path))
        if isinstance(value, dict):
            waiting += [((*path, name), below) for name, below in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), below) for index, below in enumerate(value)]
    return _TOO_DEEP


# How a value is converted, by its type in Avro and the name under which fastavro finds the converter.
_Convert = Callable[[Any, Mapping[str, Any]], Any]
_OURS = "beam-aep-"


def _date(days: int, _: Mapping[str, Any]) -> str:
    return date.fromordinal(EPOCH.toordinal() + days).isoformat()


def _time(units: int, per_second: int) -> str:
    if not 0 <= units < 86_400 * per_second:
        raise Unfit("a time outside of a day")
    seconds, part = divmod(units, per_second)
    digits = len(str(per_second)) - 1
    return f"{timedelta(seconds=seconds)!s:0>8}.{part:0{digits}}"


def _timestamp(units: int, per_second: int) -> str:
    seconds, part = divmod(units, per_second)
    digits = len(str(per_second)) - 1
    return f"{date_time_of(seconds * 1_000_000)[:19]}.{part:0{digits}}Z"


def _decimal(data: bytes, schema: Mapping[str, Any]) -> int | float:
    return decimal_of(data, schema.get("scale", 0))


def _finite(number: float, _: Mapping[str, Any]) -> float:
    if not math.isfinite(number):
        raise Unfit("JSON has no NaN and no infinity")
    return number


def _base64(data: bytes, _: Mapping[str, Any]) -> str:
    return base64.b64encode(data).decode()


def _uuid(data: bytes, _: Mapping[str, Any]) -> str:
    return str(uuid.UUID(bytes=data))


_CONVERTERS: dict[tuple[str, str], _Convert] = {
    ("int", "date"): _date,
    ("int", "time-millis"): lambda units, _: _time(units, 1_000),
    ("long", "time-micros"): lambda units, _: _time(units, 1_000_000),
    ("long", "timestamp-millis"): lambda units, _: _timestamp(units, 1_000),
    ("long", "timestamp-micros"): lambda units, _: _timestamp(units, 1_000_000),
    ("long", "timestamp-nanos"): lambda units, _: _timestamp(units, 1_000_000_000),
    ("long", "local-timestamp-millis"): lambda units, _: _timestamp(units, 1_000)[:-1],
    ("long", "local-timestamp-micros"): lambda units, _: _timestamp(units, 1_000_000)[:-1],
    ("long", "local-timestamp-nanos"): lambda units, _: _timestamp(units, 1_000_000_000)[:-1],
    ("int", "debezium-time-millis"): lambda units, _: time_text(units, 1_000),
    ("long", "debezium-time-micros"): lambda units, _: time_text(units, 1_000_000),
    ("long", "debezium-time-nanos"): lambda units, _: time_text(units, 1_000_000_000),
    ("record", "debezium-decimal"): lambda read, _: to_number(read),
    ("bytes", "decimal"): _decimal,
    ("fixed", "decimal"): _decimal,
    ("fixed", "uuid"): _uuid,
    ("bytes", ""): _base64,
    ("fixed", ""): _base64,
    ("float", ""): _finite,
    ("double", ""): _finite,
}


def _reader(convert: _Convert) -> Callable[..., Any]:
    def read(data: Any, writer_schema: Any = None, reader_schema: Any = None) -> Any:
        try:
            return convert(data, writer_schema)
        except Unfit as unfit:
            return _NotJson(str(unfit))
        except (ValueError, OverflowError):  # of datetime: it has the years 1 to 9999 only
            return _NotJson("there is no such date")

    return read


# fastavro's own converters make objects of Python's, and round decimals. Ours have names that no schema has.
for (_type, _logical), _convert in _CONVERTERS.items():
    fastavro.read.LOGICAL_READERS[f"{_type}-{_OURS}{_logical}"] = _reader(_convert)


def _parse(text: str, named: dict[str, Any]) -> Any:
    try:
        return fastavro.parse_schema(_prepared(json.loads(text)), named_schemas=named)
    except AvroSchemaError:
        raise
    except SchemaParseException as error:
        raise AvroSchemaError(f"no Avro schema: {error}") from None
    except json.JSONDecodeError as error:
        raise AvroSchemaError(f"no Avro schema: not JSON: {error}") from None
    except KeyError as error:
        raise AvroSchemaError(f"no Avro schema: a type or field in it has no {error}") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise AvroSchemaError(f"no Avro schema: a type in it is not written as one ({error})") from None
    except RecursionError:
        raise AvroSchemaError("no Avro schema: its types are nested too deeply") from None


def _prepared(schema: Any) -> Any:
    """The schema with our converters for logical types, and for those types that JSON lacks."""
    if isinstance(schema, list):
        return [_prepared(branch) for branch in schema]
    if isinstance(schema, str):
        return _converted(schema, {})
    kind = schema["type"]
    if not isinstance(kind, str):
        return _prepared(kind)
    if kind in ("record", "error"):
        fields = [{"name": field["name"], "type": _prepared(field["type"])} for field in schema["fields"]]
        prepared = {**_named(schema), "fields": fields}
        logical = logical_type(kind, schema)
        return {**prepared, "logicalType": _OURS + logical} if (kind, logical) in _CONVERTERS else prepared
    if kind == "array":
        return {"type": kind, "items": _prepared(schema["items"])}
    if kind == "map":
        return {"type": kind, "values": _prepared(schema["values"])}
    if kind == "enum":
        return {**_named(schema), "symbols": schema["symbols"]}
    return _converted(kind, schema)


def _named(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in ("type", "name", "namespace") if key in schema}


def _converted(kind: str, schema: Mapping[str, Any]) -> Any:
    logical = logical_type(kind, schema)
    prepared = {**_named(schema), "type": kind}
    if kind == "fixed":
        prepared["size"] = schema["size"]
    if logical == "decimal" and kind in ("bytes", "fixed"):
        prepared["scale"] = scale = scale_of(schema)
        if not isinstance(scale, int) or scale < 0:
            raise AvroSchemaError("the scale of a decimal must be a whole number from 0 on")
    # A logical type that is not known, or not on this type, is ignored (Avro specification, Logical types).
    for name in (logical, ""):
        if (kind, name) in _CONVERTERS and not (name == "uuid" and schema["size"] != 16):
            return {**prepared, "logicalType": _OURS + name}
    return prepared if kind == "fixed" else kind


def _is_recursive(schema: Any, named: Mapping[str, Any], within: frozenset[str]) -> bool:
    """Whether a type of the parsed schema can be within itself, so that records can be nested without a bound."""
    if isinstance(schema, list):
        return any(_is_recursive(branch, named, within) for branch in schema)
    if isinstance(schema, str):
        return schema in within or (schema in named and _is_recursive(named[schema], named, within))
    kind = schema["type"]
    if kind in ("record", "error"):
        inside = within | {schema["name"]}
        return any(_is_recursive(field["type"], named, inside) for field in schema["fields"])
    return kind in ("array", "map") and _is_recursive(schema.get("items", schema.get("values")), named, within)
