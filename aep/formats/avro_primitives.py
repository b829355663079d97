"""Decode values of Avro's primitive types (Avro specification 1.12, Binary encoding), and what is wrong with bytes."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

Decode = Callable[[bytes, int], tuple[Any, int]]
"""Takes the bytes and where a value begins in them; returns the value and where it ends."""


TOO_EARLY = "the data ends too early"


class DecodeError(ValueError):
    """The bytes cannot be decoded.

    Attributes:
        reason: Why.
        at: The byte at which they stop matching the schema; None if they match, but JSON cannot represent a value.
        path: Path of the value within the record, innermost first.
    """

    def __init__(self, reason: str, at: int | None):
        super().__init__(reason)
        self.reason = reason
        self.at = at
        self.path: list[str | int] = []


DAMAGE = (DecodeError, IndexError, struct.error, UnicodeDecodeError)
"""What a `Decode` raises; `decode_error` makes a `DecodeError` of it."""


def decode_error(error: Exception, data: bytes) -> DecodeError:
    """Return the exception of a `Decode` as a `DecodeError`."""
    if isinstance(error, DecodeError):
        return error
    if isinstance(error, UnicodeDecodeError):
        return DecodeError("a string that is not UTF-8", None)
    return DecodeError(TOO_EARLY, len(data))


def read_null(_: bytes, at: int) -> tuple[None, int]:
    return None, at


def read_boolean(data: bytes, at: int) -> tuple[bool, int]:
    byte = data[at]
    if byte > 1:
        raise DecodeError(f"a boolean is the byte {byte:#04x}, expected 0 or 1", at)
    return byte == 1, at + 1


def read_varint(data: bytes, at: int, bits: int) -> tuple[int, int]:
    number = shift = 0
    for byte in data[at : at + (bits + 6) // 7]:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if number >> bits:
                break
            return (number >> 1) ^ -(number & 1), at + shift // 7
    else:
        if shift < bits:
            raise DecodeError(TOO_EARLY, len(data))
    raise DecodeError(f"an integer of more than {bits} bits", at)


def read_int(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 0x80:  # most are: a function call less
        return (byte >> 1) ^ -(byte & 1), at + 1
    return read_varint(data, at, 32)


def read_long(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    return read_varint(data, at, 64)


_NOT_FINITE = "JSON has no NaN and no infinity"


_FLOAT, _DOUBLE = struct.Struct("<f"), struct.Struct("<d")


_SMALLEST_NORMAL = 2.0**-126


def read_float(data: bytes, at: int) -> tuple[float, int]:
    (number,) = _FLOAT.unpack_from(data, at)
    size = abs(number)
    if size >= _SMALLEST_NORMAL:
        # Up to 6 digits always come back, and most numbers that people write have no more. Half of the last of 24 bits
        # is more than 2**-25 of the number, so what is nearer is rounded to it.
        short = float(f"{number:.6g}")
        if abs(short - number) < size * 2.0**-25:
            return short, at + 4
    if not math.isfinite(number):
        raise DecodeError(_NOT_FINITE, None)
    return shortest(number), at + 4


def shortest(number: float) -> float:
    """Return the number with the fewest digits that rounds to this one in 32 bits: 19.99 for 19.989999771118164.

    Connect's JSON converter writes floats so (Java, `Float.toString`). For 2**-96, 2**87 and 2**90, where the nearest
    text of 8 digits does not round-trip, it is one digit longer.
    """
    # Below the normal numbers even 6 digits may be too many; 9 always suffice.
    for digits in range(6 if abs(number) >= _SMALLEST_NORMAL else 1, 9):
        short = float(f"{number:.{digits}g}")
        if _FLOAT.unpack(_FLOAT.pack(short))[0] == number:
            return short
    return float(f"{number:.9g}")


def read_double(data: bytes, at: int) -> tuple[float, int]:
    (number,) = _DOUBLE.unpack_from(data, at)
    if not math.isfinite(number):
        raise DecodeError(_NOT_FINITE, None)
    return number, at + 8


def read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, start = read_long(data, at)
    end = start + size
    if not start <= end <= len(data):
        raise DecodeError(f"a length of {size} bytes, but only {len(data) - start} are left", at)
    return data[start:end], end


def read_string(data: bytes, at: int) -> tuple[str, int]:
    byte = data[at]  # the commonest type: as read_long, without a function call
    size, start = ((byte >> 1) ^ -(byte & 1), at + 1) if byte < 0x80 else read_varint(data, at, 64)
    end = start + size
    if not start <= end <= len(data):
        raise DecodeError(f"a length of {size} bytes, but only {len(data) - start} are left", at)
    return str(data[start:end], "utf-8"), end


PRIMITIVES: dict[str, Decode] = {
    "null": read_null,
    "boolean": read_boolean,
    "int": read_int,
    "long": read_long,
    "float": read_float,
    "double": read_double,
    "bytes": read_bytes,
    "string": read_string,
}
