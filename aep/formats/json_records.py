"""Split a file into JSON records: one per line, pretty-printed one after another, or the items of an array.

Exports of topics have one record per line; the other two forms come from tools or people. The first lines decide which
one a file has. Records are returned as the bytes of the file: whoever parses them finds out whether they are JSON.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, Literal, NamedTuple

import orjson

Shape = Literal["lines", "documents", "array"]

_BLOCK_BYTES = 256 * 1024

# A text, to its end if that is known, or what opens, closes or separates.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*("?)|[\[\]{},]', re.DOTALL)
_OPEN, _CLOSE = (b"{", b"["), (b"}", b"]")


class Entry(NamedTuple):
    """A record: its number from 1, of its line or else among the records. `value` is None for one that is too long.

    After a record that is too long and not a line, nothing else is read: nobody knows where the next one begins.
    """

    number: int
    value: bytes | None


class JsonRecords(NamedTuple):
    """The form of the records in the file, and the records, to be read once."""

    shape: Shape
    entries: Iterator[Entry]


def read_records(file: BinaryIO, max_bytes: int | None = None) -> JsonRecords:
    """Read a file record by record, in memory that does not grow with the file.

    Args:
        file: At its beginning.
        max_bytes: A longer record is not kept; None keeps all.
    """
    limit = -1 if max_bytes is None else max_bytes
    head: list[bytes] = []
    texts: list[bytes] = []  # the first lines that are not empty: two, or one that is a record
    while (not texts or (len(texts) == 1 and not _is_object(texts[0]))) and (line := file.readline(limit)):
        if not head and line.startswith(codecs.BOM_UTF8):  # the file's, as Windows writes it, and not the record's
            line = line.removeprefix(codecs.BOM_UTF8)
            line += b"" if line.endswith(b"\n") else file.readline(len(codecs.BOM_UTF8))
        head += [line] if line else []
        texts += [line.strip()] if line.strip() else []
    lines = chain(head, iter(lambda: file.readline(limit), b""))
    shape = _shape(texts)
    if shape == "lines":
        return JsonRecords(shape, _lines(lines, limit))
    return JsonRecords(shape, _others(lines, shape, limit))


def _shape(texts: list[bytes]) -> Shape:
    first = texts[0] if texts else b""
    more = len(texts) > 1
    if first.startswith(b"[") and not (more and _is_json(first)):
        return "array"
    if first.startswith(b"{") and more and _is_open(first) and not _is_object(texts[1]):
        return "documents"
    return "lines"


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _is_object(text: bytes) -> bool:
    return text.startswith(b"{") and _is_json(text)


def _is_open(text: bytes) -> bool:
    """Return whether a line ends inside an object, as in pretty-printed JSON, and not inside a string, where none
    ends.
    """
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0].startswith(b'"') and not token[1]:
            return False
        depth += (token[0] in _OPEN) - (token[0] in _CLOSE)
    return depth > 0


def _lines(lines: Iterator[bytes], limit: int) -> Iterator[Entry]:
    for number, line in enumerate(lines, start=1):
        if len(line) == limit and not line.endswith(b"\n"):
            while (more := next(lines, b"")) and not more.endswith(b"\n"):
                pass
            yield Entry(number, None)
        else:
            yield Entry(number, line.rstrip(b"\r\n"))


def _others(lines: Iterator[bytes], shape: Shape, limit: int) -> Iterator[Entry]:
    splitter = _Splitter(shape)
    number = 0
    for block in _blocks(lines):
        for value in splitter.feed(block):
            number += 1
            yield Entry(number, value)
        if 0 <= limit < splitter.waiting:
            yield Entry(number + 1, None)
            return
    rest = splitter.rest()
    if rest:
        yield Entry(number + 1, rest)


def _blocks(lines: Iterator[bytes]) -> Iterator[bytes]:
    block: list[bytes] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line)
        if size >= _BLOCK_BYTES:
            yield b"".join(block)
            block, size = [], 0
    yield b"".join(block)


class _Splitter:
    """Cuts a stream of bytes where a record ends: a document at its closing bracket, an item at its comma."""

    def __init__(self, shape: Shape):
        self._array = shape == "array"
        self._ended = False  # the array
        self._depth = -1 if self._array else 0  # 0 around a record
        self._data = b""
        self._scanned = 0

    @property
    def waiting(self) -> int:
        """Bytes of the incomplete record."""
        return len(self._data)

    def rest(self) -> bytes:
        """Return the rest at the end of the file: nothing, or a record that is cut off or not JSON."""
        return self._data.strip()

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Give the records that end in the next block."""
        data = self._data + block
        start = 0
        at = self._scanned
        for token in _TOKEN.finditer(data, self._scanned):
            text = token[0]
            if text.startswith(b'"'):
                if not token[1]:  # its end has not come: look at it again
                    at = token.start()
                    break
            elif not self._ended:
                found = self._record(data, start, token)
                if found is not None:
                    start, value = found
                    if value is not None:
                        yield value
            at = token.end()
        self._data, self._scanned = data[start:], at - start

    def _record(self, data: bytes, start: int, token: re.Match[bytes]) -> tuple[int, bytes | None] | None:
        """Return where the next record begins and the one that ends with the token, None for none; None
        if none ends.
        """
        text = token[0]
        if text in _OPEN:
            self._depth += 1
            return (token.end(), None) if self._array and self._depth == 0 else None
        if text == b",":
            return (token.end(), data[start : token.start()].strip()) if self._array and self._depth == 0 else None
        self._depth -= 1
        if self._array:
            if self._depth >= 0:
                return None
            self._ended = True
            return token.end(), data[start : token.start()].strip() or None
        if self._depth > 0:
            return None
        self._depth = 0
        return token.end(), data[start : token.end()].strip()
