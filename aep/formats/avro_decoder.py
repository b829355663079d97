"""Decode Avro's binary encoding (Avro specification 1.12, Binary encoding), refusing whatever it does not allow.

fastavro checks no bounds: it takes index -1 of a union as the last branch, 33 bits as an int, wraps what is longer
than 64 bits, and calls every byte but 0 true. The functions here are built once per schema and refuse all of these
with the place; they are no slower than its compiled reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aep.formats.avro_primitives import (
    DAMAGE,
    PRIMITIVES,
    TOO_EARLY,
    Decode,
    DecodeError,
    decode_error,
    read_int,
    read_long,
    read_null,
    read_string,
)
from aep.formats.xdm_types import Unfit

Convert = Callable[[Any, Mapping[str, Any]], Any]
"""Takes a decoded value and its schema; returns what the record is to have for it.

Raises:
    Unfit: JSON cannot carry the value; says why.
    ValueError, ArithmeticError: It is beyond the dates or numbers that Python has.
"""

CONVERT = "beam-aep-convert"
"""The attribute of a type in a schema that holds its `Convert`."""

MAX_ITEMS = 1_000_000
"""Of an array: AEP takes no message of more than 1 MB. Items of no bytes would let a damaged count fill the memory."""


def decoder(schema: Any, named: Mapping[str, Any]) -> Decode:
    """Make the decoder of a schema.

    Args:
        schema: As `fastavro.parse_schema` returns it, so that names are full.
        named: The named types that it refers to.
    """
    return _Decoders(named).of(schema)


class _Decoders:
    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._made: dict[str, Decode | None] = {}  # None while it is being made

    def of(self, schema: Any) -> Decode:
        if isinstance(schema, list):
            return _union([self.of(branch) for branch in schema])
        if isinstance(schema, str):
            return PRIMITIVES.get(schema) or self._of_name(schema)
        name = schema.get("name")
        if name is None:
            return self._of_type(schema)
        self._made[name] = None
        made = self._made[name] = self._of_type(schema)
        return made

    def _of_name(self, name: str) -> Decode:
        if name not in self._made:
            return self.of(self._named[name])
        made = self._made[name]
        if made is not None:
            return made

        def decode_within_itself(data: bytes, at: int) -> tuple[Any, int]:
            decode = self._made[name]
            assert decode is not None  # made by now: records are decoded after that
            return decode(data, at)

        return decode_within_itself

    def _of_type(self, schema: Mapping[str, Any]) -> Decode:
        kind = schema["type"]
        if kind in ("record", "error"):
            made = _record([(field["name"], self.of(field["type"])) for field in schema["fields"]])
        elif kind == "array":
            made = _array(self.of(schema["items"]))
        elif kind == "map":
            made = _map(self.of(schema["values"]))
        elif kind == "enum":
            made = _enum(schema["symbols"])
        elif kind == "fixed":
            made = _fixed(schema["size"])
        else:
            made = PRIMITIVES[kind]
        convert: Convert | None = schema.get(CONVERT)
        return made if convert is None else _converted(made, convert, schema)


def _fixed(size: int) -> Decode:
    def decode_fixed(data: bytes, at: int) -> tuple[bytes, int]:
        end = at + size
        if end > len(data):
            raise DecodeError(TOO_EARLY, len(data))
        return data[at:end], end

    return decode_fixed


def _enum(symbols: list[str]) -> Decode:
    def decode_enum(data: bytes, at: int) -> tuple[str, int]:
        index, end = read_int(data, at)
        if not 0 <= index < len(symbols):
            raise DecodeError(f"symbol {index} of an enum with {len(symbols)}", at)
        return symbols[index], end

    return decode_enum


def _union(branches: list[Decode]) -> Decode:
    by_byte = {index << 1: branch for index, branch in enumerate(branches[:64])}
    null = next((byte for byte, branch in by_byte.items() if branch is read_null), None)

    def decode_union(data: bytes, at: int) -> tuple[Any, int]:
        byte = data[at]
        if byte == null:
            return None, at + 1
        branch = by_byte.get(byte)
        if branch is not None:
            return branch(data, at + 1)
        index, end = read_int(data, at)
        if not 0 <= index < len(branches):
            raise DecodeError(f"branch {index} of a union with {len(branches)}", at)
        return branches[index](data, end)

    return decode_union


def _record(fields: list[tuple[str, Decode]]) -> Decode:
    def decode_record(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        made: dict[str, Any] = {}
        name = ""
        try:
            for name, decode in fields:
                made[name], at = decode(data, at)
        except DAMAGE as error:
            raise _within(error, name, data) from None
        return made, at

    return decode_record


def _array(decode: Decode) -> Decode:
    def decode_array(data: bytes, at: int) -> tuple[list[Any], int]:
        made: list[Any] = []
        while True:
            count, at = _block(data, at)
            if not count:
                return made, at
            if len(made) + count > MAX_ITEMS:
                raise DecodeError(f"an array of more than {MAX_ITEMS} items", at)
            try:
                for _ in range(count):
                    item, at = decode(data, at)
                    made.append(item)
            except DAMAGE as error:
                raise _within(error, len(made), data) from None

    return decode_array


def _map(decode: Decode) -> Decode:
    def decode_map(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        made: dict[str, Any] = {}
        while True:
            count, at = _block(data, at)
            if not count:
                return made, at
            for _ in range(count):
                key, at = read_string(data, at)
                if key in made:
                    raise DecodeError("duplicate key in a map", at)
                try:
                    made[key], at = decode(data, at)
                except DAMAGE as error:
                    raise _within(error, key, data) from None

    return decode_map


def _block(data: bytes, at: int) -> tuple[int, int]:
    """Return the number of items in a block. A negative one is followed by the block's size, which
    nobody here needs.
    """
    byte = data[at]
    if byte < 0x80 and not byte & 1:
        return byte >> 1, at + 1
    count, end = read_long(data, at)
    if count >= 0:
        return count, end
    size, end = read_long(data, end)
    if size < 0:
        raise DecodeError(f"a block of {size} bytes", at)
    return -count, end


def _converted(decode: Decode, convert: Convert, schema: Mapping[str, Any]) -> Decode:
    def decode_converted(data: bytes, at: int) -> tuple[Any, int]:
        value, end = decode(data, at)
        try:
            return convert(value, schema), end
        except Unfit as unfit:
            raise DecodeError(str(unfit), None) from None
        except (ValueError, ArithmeticError):  # datetime has the years 1 to 9999 only, and a decimal's scale has limits
            raise DecodeError("not a valid date or number", None) from None

    return decode_converted


def _within(error: Exception, name: str | int, data: bytes) -> DecodeError:
    """Return the error with one more step of the path to its value."""
    found = decode_error(error, data)
    found.path.append(name)
    return found
