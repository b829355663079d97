"""Read a record's Avro (Avro specification 1.12) as the JSON that XDM wants.

Records, maps and arrays become objects and arrays, enums strings, a union its branch; null stays null. Bytes
and fixed become text in base64. Logical types: `date` becomes `YYYY-MM-DD`; `timestamp-millis`, `-micros` and
`-nanos` a date-time in UTC with `Z`, `local-timestamp-*` the same without it; `time-*` a time; `decimal` a
number, `uuid` text. Types that only `connect.name` marks become the same (connect_types.py). A value that JSON
cannot carry unchanged (NaN, a decimal of too many digits) is a failure.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from typing import Any

import fastavro
import orjson
from fastavro.schema import SchemaParseException, UnknownType

from aep.counted import counted
from aep.formats.avro_decoder import CONVERT, Convert, decoder
from aep.formats.avro_primitives import DAMAGE, DecodeError, decode_error
from aep.formats.connect_types import logical_type, scale_of, time_text
from aep.formats.json import ParsedObject, ParseFailure
from aep.formats.xdm_types import EPOCH, Unfit, decimal_of, to_number
from aep.xdm.pointers import pointer
from aep.xdm.rejection import MAX_POINTER, shorten

CODE = "avro"
"""The code of a record that is not Avro of its schema, or whose schema is not known."""

VALUE_SCHEMA_ID = "__value_schema_id"
"""The header in which Confluent's serializers name the schema of a value, if they do not name it in front of it."""

_EPOCH_DAY = EPOCH.toordinal()
_ID_END, _GUID_END = 5, 17


class AvroSchemaError(ValueError):
    """Not a usable Avro schema; the message says why."""


SchemaKey = int | bytes
"""What names a schema in Confluent's registry: its id, or the 16 bytes of its GUID."""


def schema_key(value: bytes, header: bytes | None) -> tuple[SchemaKey, int] | ParseFailure:
    """Return the key of the schema of a value written by Confluent's serializer, and the offset of its Avro data.

    A zero byte and the schema's id in four bytes, or the byte 1 and its GUID in 16, are in a header or in front of the
    Avro; where both are, the header counts, and the value is Avro from its first byte on. (Confluent Platform 8.1,
    Schema Registry, Formats, serializers and deserializers: Wire format; `dual_schema_id_deserializer` of
    confluent-kafka 2.16.)

    Args:
        value: The record's value.
        header: The first header `VALUE_SCHEMA_ID` of the record; None for none.
    """
    if header is not None:
        found = _schema_key(header, f"the header {VALUE_SCHEMA_ID}")
        return found if isinstance(found, ParseFailure) else (found[0], 0)
    return _schema_key(value, "the value")


def _schema_key(data: bytes, what: str) -> tuple[SchemaKey, int] | ParseFailure:
    first = data[0] if data else 0
    if first > 1:
        hint = ", and looks like JSON" if data[:1] == b"{" else ""
        return ParseFailure(
            CODE, f"not Confluent's wire format: {what} begins with the byte {first:#04x}, not 0x00 or 0x01{hint}"
        )
    end = _GUID_END if first else _ID_END
    if len(data) < end:
        return ParseFailure(CODE, f"{what} has {len(data)} bytes, fewer than the {end} that name the schema")
    return (data[1:end] if first else int.from_bytes(data[1:end], "big")), end


class AvroReader:
    """Reads records that were written with one schema."""

    def __init__(self, schema: str, references: Iterable[str] = ()):
        """Take the schema and those it refers to by name, dependencies first.

        Raises:
            AvroSchemaError: One of them is not an Avro schema, or names a type that none has.
        """
        named: dict[str, Any] = {}
        with _errors_in_words():
            for text in (*references, schema):
                parsed = fastavro.parse_schema(_prepared(json.loads(text)), named_schemas=named)
            self._decode = decoder(parsed, named)

    def read(self, data: bytes, start: int = 0) -> ParsedObject | ParseFailure:
        """Return the record as an object and its JSON. Never raises.

        Args:
            data: Bytes that hold the record and nothing after it.
            start: The byte at which it begins.
        """
        try:
            entity, end = self._decode(data, start)
        except DAMAGE as error:
            return _failure(decode_error(error, data), len(data))
        except RecursionError:
            return _TOO_DEEP
        if end != len(data):
            return ParseFailure(CODE, f"does not match its Avro schema: {counted(len(data) - end, 'byte')} left over")
        if not isinstance(entity, dict):
            return ParseFailure("type", "the Avro schema is not of type record")
        try:
            return ParsedObject(entity, orjson.dumps(entity))
        except TypeError:
            return _TOO_DEEP


_TOO_DEEP = ParseFailure("too_deep", "records and arrays are nested too deeply, more than 254 levels")


def _failure(error: DecodeError, size: int) -> ParseFailure:
    where = "" if error.at is None else f"does not match its Avro schema, at byte {error.at} of {size}: "
    return ParseFailure(CODE, where + error.reason, shorten(pointer(error.path[::-1]), MAX_POINTER))


def _date(days: int, _: Mapping[str, Any] | None = None) -> str:
    return date.fromordinal(_EPOCH_DAY + days).isoformat()


@lru_cache(4096)  # the records of a chunk are of a few minutes, and this is most of the work
def _minute(minutes: int) -> str:
    days, minutes = divmod(minutes, 24 * 60)
    return f"{_date(days)}T{minutes // 60:02}:{minutes % 60:02}"


def _timestamp(units: int, digits: int) -> str:
    """Return a converter to text without a zone; a `datetime` would be slower and lack nanoseconds."""
    seconds, part = divmod(units, 10**digits)
    minutes, seconds = divmod(seconds, 60)
    return f"{_minute(minutes)}:{seconds:02}.{part:0{digits}}"


def _time(units: int, digits: int) -> str:
    minutes = units // (60 * 10**digits)
    if not 0 <= minutes < 24 * 60:
        raise Unfit("a time of day outside 24 hours")
    return _timestamp(units, digits).partition("T")[2]


def _decimal(data: bytes, schema: Mapping[str, Any]) -> int | float:
    return decimal_of(data, schema.get("scale", 0))


def _base64(data: bytes, _: Mapping[str, Any]) -> str:
    return base64.b64encode(data).decode()


def _uuid(data: bytes, _: Mapping[str, Any]) -> str:
    return str(uuid.UUID(bytes=data))


_CONVERTERS: dict[tuple[str, str], Convert] = {
    ("int", "date"): _date,
    ("int", "time-millis"): lambda units, _: _time(units, 3),
    ("long", "time-micros"): lambda units, _: _time(units, 6),
    ("long", "timestamp-millis"): lambda units, _: _timestamp(units, 3) + "Z",
    ("long", "timestamp-micros"): lambda units, _: _timestamp(units, 6) + "Z",
    ("long", "timestamp-nanos"): lambda units, _: _timestamp(units, 9) + "Z",
    ("long", "local-timestamp-millis"): lambda units, _: _timestamp(units, 3),
    ("long", "local-timestamp-micros"): lambda units, _: _timestamp(units, 6),
    ("long", "local-timestamp-nanos"): lambda units, _: _timestamp(units, 9),
    ("int", "debezium-time-millis"): lambda units, _: time_text(units, 1_000),
    ("long", "debezium-time-micros"): lambda units, _: time_text(units, 1_000_000),
    ("long", "debezium-time-nanos"): lambda units, _: time_text(units, 1_000_000_000),
    ("record", "debezium-decimal"): lambda read, _: to_number(read),
    ("bytes", "decimal"): _decimal,
    ("fixed", "decimal"): _decimal,
    ("fixed", "uuid"): _uuid,
    ("bytes", ""): _base64,
    ("fixed", ""): _base64,
}
"""By type and logical type, "" for those that have none."""


@contextmanager
def _errors_in_words() -> Iterator[None]:
    try:
        yield
    except UnknownType as error:
        raise AvroSchemaError(
            f"not a valid Avro schema: the type {error.name} is not defined in it or before it"
        ) from None
    except SchemaParseException as error:
        raise AvroSchemaError(f"not a valid Avro schema: {error}") from None
    except json.JSONDecodeError as error:
        raise AvroSchemaError(f"not a valid Avro schema: not JSON: {error}") from None
    except KeyError as error:
        raise AvroSchemaError(f"not a valid Avro schema: a type or field has no {error}") from None
    except AvroSchemaError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise AvroSchemaError(f"not a valid Avro schema: malformed type ({error})") from None
    except RecursionError:
        raise AvroSchemaError("not a valid Avro schema: its types are nested too deeply") from None


def _prepared(schema: Any) -> Any:
    """Return the schema with our converters for logical types, and for those types that JSON lacks."""
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
        return {**prepared, CONVERT: _CONVERTERS[kind, logical]} if (kind, logical) in _CONVERTERS else prepared
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
        prepared["size"] = size = schema["size"]
        if not isinstance(size, int) or size < 0:
            raise AvroSchemaError("the size of a fixed must be a non-negative integer")
    if logical == "decimal" and kind in ("bytes", "fixed"):
        prepared["scale"] = scale = scale_of(schema)
        if not isinstance(scale, int) or scale < 0:
            raise AvroSchemaError("the scale of a decimal must be a non-negative integer")
    # A logical type that is not known, or not on this type, is ignored (Avro specification, Logical types).
    for name in (logical, ""):
        if (kind, name) in _CONVERTERS and not (name == "uuid" and schema["size"] != 16):
            return {**prepared, CONVERT: _CONVERTERS[kind, name]}
    return prepared if kind == "fixed" else kind
