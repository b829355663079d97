"""Which subtask of a Flink job gets a shard: Flink deals keys by their hashes, and so a few shards unevenly.

Twelve shards at parallelism 4 fall 5/3/3/1 or so, and the job is as slow as its fullest subtask. The element that names
a shard is its key, so spaces behind the shard's JSON, which mean nothing, are added until the hash is the one wanted. A
runner that hashes keys differently deals them as unevenly as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from apache_beam import coders
from apache_beam.coders.coders import LengthPrefixCoder

from transforms.kafka.restriction import Shard

_CODER = LengthPrefixCoder(coders.TupleCoder([coders.VarIntCoder(), coders.VarIntCoder(), coders.BytesCoder()]))
"""How Beam's runner for Flink encodes a shard before it hashes it: a tuple is Python's own, so with its length."""

_32, _64 = 2**32 - 1, 2**64 - 1


@dataclass(frozen=True)
class Subtasks:
    """The subtasks of a Flink job among which shards are dealt.

    Attributes:
        parallelism: How many they are.
        max_parallelism: The number of key groups, if the job sets it; None for Flink's own choice.
    """

    parallelism: int
    max_parallelism: int | None = None

    @property
    def key_groups(self) -> int:
        """Return the number of key groups, see `KeyGroupRangeAssignment.computeDefaultMaxParallelism` of Flink."""
        if self.max_parallelism:
            return self.max_parallelism
        wanted = self.parallelism + self.parallelism // 2
        return min(max(128, 1 << (wanted - 1).bit_length()), 2**15)

    def of(self, shard: Shard) -> int:
        """Return the number of the subtask that reads a shard."""
        key = _CODER.encode(tuple(shard))
        group = _mix_of_flink(_murmur3_128(key) & _32) % self.key_groups
        return group * self.parallelism // self.key_groups

    def deal(self, shards: Iterable[Shard]) -> list[Shard]:
        """Return the shards with spaces behind their JSON, by which they go to the subtasks in turn."""
        return [self._padded(shard) for shard in shards]

    def _padded(self, shard: Shard) -> Shard:
        wanted = shard.number % self.parallelism
        tries = (shard._replace(start=shard.start + b" " * spaces) for spaces in count())
        return next(one for one in tries if self.of(one) == wanted)


def _mix_of_flink(code: int) -> int:
    """Return the hash of a key's hash, see `MathUtils.murmurHash` of Flink."""
    code = _rotated(code * 0xCC9E2D51 & _32, 15, 32) * 0x1B873593 & _32
    code = (_rotated(code, 13, 32) * 5 + 0xE6546B64 & _32) ^ 4
    code = (code ^ code >> 16) * 0x85EBCA6B & _32
    code = (code ^ code >> 13) * 0xC2B2AE35 & _32
    code ^= code >> 16
    return code if code < 2**31 else (2**32 - code) % 2**31  # as Java's int, without its sign


def _murmur3_128(key: bytes) -> int:
    """Return the first half of MurmurHash3 (x64, 128 bits, seed 0), by which Beam hashes keys for Flink."""
    first = second = 0
    for at in range(0, len(key), 16):
        block = key[at : at + 16]
        low, high = int.from_bytes(block[:8], "little"), int.from_bytes(block[8:], "little")
        whole = len(block) == 16
        first ^= _rotated(low * 0x87C37B91114253D5 & _64, 31, 64) * 0x4CF5AD432745937F & _64
        if whole:
            first = (_rotated(first, 27, 64) + second) * 5 + 0x52DCE729 & _64
        second ^= _rotated(high * 0x4CF5AD432745937F & _64, 33, 64) * 0x87C37B91114253D5 & _64
        if whole:
            second = (_rotated(second, 31, 64) + first) * 5 + 0x38495AB5 & _64
    first, second = first ^ len(key), second ^ len(key)
    first = first + second & _64
    second = second + first & _64
    return _final(first) + _final(second) & _64


def _final(value: int) -> int:
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & _64
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & _64
    return value ^ value >> 33


def _rotated(value: int, by: int, bits: int) -> int:
    return (value << by | value >> (bits - by)) & (1 << bits) - 1
