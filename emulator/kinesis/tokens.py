"""Iterators and page tokens: opaque strings that carry what the emulator needs to continue. Pure functions."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import orjson

LIFE_MS = 300_000  # of iterators and of page tokens

_DIGEST_BYTES = 8


def seal(fields: list[Any]) -> str:
    """Make a token of JSON values; it has 512 characters at most, as AWS's, for the fields that are used here."""
    content = orjson.dumps(fields)
    return base64.b64encode(_digest(content) + content).decode()


def unseal(token: str) -> list[Any]:
    """Read a token.

    Raises:
        ValueError: Not a token of `seal`.
    """
    try:
        raw = base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    content = raw[_DIGEST_BYTES:]
    if raw[:_DIGEST_BYTES] != _digest(content):
        raise ValueError("not a token of this emulator")
    return list(orjson.loads(content))


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()
