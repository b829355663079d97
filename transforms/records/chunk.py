"""The element that flows: a chunk, a small run of records of one topic partition.

A chunk as the element makes Beam's cost per element vanish. Its records keep what was read from Kafka, so that a dead
letter can hold the original bytes; beside them grow, step by step, the parsed entities and the bytes to post.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from apache_beam import coders

from transforms.records.record import Headers, Record

__all__ = ["CHUNK_RECORDS", "Batch", "BatchCoder", "Chunk", "ChunkCoder", "Headers", "Record"]

# Records in a chunk as the sources make them. Few enough that their parsed objects stay in the processor's cache from
# step to step: at 100 the steps take a quarter longer.
CHUNK_RECORDS = 50


@dataclass(slots=True)
class Chunk:
    """A run of records of one topic partition, in the order of their offsets.

    Attributes:
        topic, partition: Where the records were read.
        records: What was read.
        route: Name of the route they take, set by `ParseRecords`.
        entities: The parsed record of each, from `ParseRecords` to `ValidateXdm`. Never encoded: parsed again.
        bodies: The bytes to post of each, from `ParseRecords` on.
        partition_keys: What `Form.partition_key` gave of each, from `ValidateXdm` on, where the destination has one.
            Never encoded: made again from the bodies.
    """

    topic: str
    partition: int
    records: list[Record]
    route: str = ""
    entities: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    partition_keys: list[Any] = field(default_factory=list)

    def slice(self, start: int, stop: int) -> Chunk:
        """Return the records from `start` to before `stop` with their bodies and partition keys."""
        return Chunk(
            self.topic,
            self.partition,
            self.records[start:stop],
            self.route,
            bodies=self.bodies[start:stop],
            partition_keys=self.partition_keys[start:stop],
        )

    def by_shard(self, shards: int) -> dict[int, Chunk]:
        """Return the records with their bodies by shard of keys: all of one key are in one, in their order.

        Records without a key are in the shard of their partition.
        """
        if shards == 1:
            return {0: self}
        parts: dict[int, Chunk] = {}
        for record, body in zip(self.records, self.bodies, strict=True):
            shard = (self.partition if record.key is None else zlib.crc32(record.key)) % shards
            part = parts.get(shard)
            if part is None:
                part = parts[shard] = Chunk(self.topic, self.partition, [], self.route)
            part.records.append(record)
            part.bodies.append(body)
        return parts


@dataclass(slots=True)
class Batch:
    """The records of one request: slices of chunks that take the same route and have keys of the same shard."""

    route: str
    chunks: list[Chunk]
    shard: int = 0

    @property
    def bodies(self) -> list[bytes]:
        """The bytes to post of each record, in order."""
        return [body for chunk in self.chunks for body in chunk.bodies]

    @property
    def keys(self) -> list[bytes | None]:
        """The key of each record, in the order of `bodies`."""
        return [record.key for chunk in self.chunks for record in chunk.records]

    def origins(self) -> list[tuple[Chunk, Record]]:
        """Return each record with the chunk it came in, in the order of `bodies`."""
        return [(chunk, record) for chunk in self.chunks for record in chunk.records]


class ChunkCoder(coders.Coder):
    """Chunks as bytes, wherever a runner materialises an edge or keeps state. Deterministic."""

    def encode(self, value: Chunk) -> bytes:
        """Topic, partition, route and flags, then each record with its body."""
        has_bodies, has_entities = bool(value.bodies), bool(value.entities)
        head = orjson.dumps([value.topic, value.partition, value.route, has_bodies, has_entities])
        parts = [_LENGTH.pack(len(head)), head]
        for index, record in enumerate(value.records):
            headers = [part for name, content in record.headers for part in (name.encode(), content)]
            fields = [record.key, record.value, value.bodies[index] if has_bodies else None, *headers]
            parts.append(_RECORD.pack(record.offset, record.timestamp, len(fields)))
            for content in fields:
                parts.append(_LENGTH.pack(-1 if content is None else len(content)))
                if content:
                    parts.append(content)
        return b"".join(parts)

    def decode(self, encoded: bytes) -> Chunk:
        """Return the chunk again; entities are parsed from the bodies."""
        (length,) = _LENGTH.unpack_from(encoded)
        at = _LENGTH.size + length
        topic, partition, route, has_bodies, has_entities = orjson.loads(encoded[_LENGTH.size : at])
        chunk = Chunk(topic, partition, [], route)
        while at < len(encoded):
            offset, timestamp, count = _RECORD.unpack_from(encoded, at)
            at += _RECORD.size
            fields: list[bytes | None] = []
            for _ in range(count):
                (length,) = _LENGTH.unpack_from(encoded, at)
                at += _LENGTH.size
                fields.append(None if length < 0 else encoded[at : at + length])
                at += max(length, 0)
            key, value, body, *headers = fields
            chunk.records.append(Record(offset, timestamp, key, _pairs(headers), value))
            if has_bodies:
                chunk.bodies.append(body or b"")
        if has_entities:
            chunk.entities = [orjson.loads(body) for body in chunk.bodies]
        return chunk

    def estimate_size(self, value: Chunk) -> int:
        """Return about how many bytes it takes, without headers: Beam asks it of the first elements of each bundle."""
        fields = sum(len(record.key or b"") + len(record.value or b"") for record in value.records)
        return fields + sum(map(len, value.bodies)) + _RECORD_OVERHEAD * len(value.records)

    def is_deterministic(self) -> bool:
        """Equal chunks have equal bytes."""
        return True

    def to_type_hint(self) -> type[Chunk]:
        return Chunk


class BatchCoder(coders.Coder):
    """Batches as bytes: route and shard, then each chunk with its length. Deterministic."""

    _chunks = coders.IterableCoder(ChunkCoder())

    def encode(self, value: Batch) -> bytes:
        """Return the route's name, the shard and the chunks."""
        route = value.route.encode()
        return _BATCH.pack(len(route), value.shard) + route + self._chunks.encode(value.chunks)

    def decode(self, encoded: bytes) -> Batch:
        """Return the batch again."""
        length, shard = _BATCH.unpack_from(encoded)
        at = _BATCH.size + length
        return Batch(encoded[_BATCH.size : at].decode(), list(self._chunks.decode(encoded[at:])), shard)

    def estimate_size(self, value: Batch) -> int:
        """Return about how many bytes it takes, see `ChunkCoder`."""
        return sum(map(ChunkCoder().estimate_size, value.chunks))

    def is_deterministic(self) -> bool:
        """Equal batches have equal bytes."""
        return True

    def to_type_hint(self) -> type[Batch]:
        return Batch


_LENGTH = struct.Struct("<i")
_BATCH = struct.Struct("<ii")
_RECORD = struct.Struct("<qqi")
_RECORD_OVERHEAD = _RECORD.size + 3 * _LENGTH.size


def _pairs(flat: Sequence[bytes | None]) -> Headers:
    return tuple(
        (str(name, "utf-8"), content) for name, content in zip(flat[::2], flat[1::2], strict=True) if name is not None
    )


coders.registry.register_coder(Chunk, ChunkCoder)
coders.registry.register_coder(Batch, BatchCoder)
