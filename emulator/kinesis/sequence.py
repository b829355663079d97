"""Sequence numbers. Pure functions.

Like AWS's they have 56 digits, rise in a shard, and tell which shard of which stream they belong to. AWS does not
publish how they are made. Here, from the highest bit: 1, the time when the shard was opened, the shard's number among
all shards of this emulator, the position in the shard, and the time of arrival. A child is opened later and has a
higher number, so its sequence numbers lie above those of its parents.
"""

from __future__ import annotations

from typing import NamedTuple

_MARK = 1 << 185  # makes any number 56 digits long
_TIME_BITS = 48
_UID_BITS = 40
_POSITION_BITS = 49
_UID_SHIFT = _TIME_BITS + _POSITION_BITS
_OPENED_SHIFT = _UID_SHIFT + _UID_BITS


class Sequence(NamedTuple):
    """The parts of a sequence number.

    Attributes:
        opened_ms: When its shard was opened, in milliseconds since the epoch.
        uid: Number of its shard among all shards.
        position: Position in the shard; 0 is the shard's beginning, records count from 1.
    """

    opened_ms: int
    uid: int
    position: int


def prefix(opened_ms: int, uid: int) -> int:
    """Return what all sequence numbers of a shard have in common."""
    return _MARK | opened_ms << _OPENED_SHIFT | uid << _UID_SHIFT


def sequence_number(prefix: int, position: int, time_ms: int) -> str:
    """Return the sequence number of a position in the shard with this prefix."""
    return str(prefix | position << _TIME_BITS | time_ms)


def parse(text: str) -> Sequence:
    """Read a sequence number.

    Raises:
        ValueError: Not a sequence number of this emulator.
    """
    number = int(text) if len(text) == 56 and text.isdecimal() else 0
    if number >> 185 != 1:
        raise ValueError("not a sequence number")
    return Sequence(
        number >> _OPENED_SHIFT & (1 << _TIME_BITS) - 1,
        number >> _UID_SHIFT & (1 << _UID_BITS) - 1,
        number >> _TIME_BITS & (1 << _POSITION_BITS) - 1,
    )
