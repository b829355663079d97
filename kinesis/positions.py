"""How far each shard of a stream is read: the content of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

import orjson

Kind = Literal["TRIM_HORIZON", "AT_TIMESTAMP", "AFTER_SEQUENCE_NUMBER", "SHARD_END"]
"""The types of a shard iterator (GetShardIterator), and the end of a closed shard.

There is no LATEST: it would be another position each time it is asked for, so records that arrive between a crash and
the next start would never be read. The time of the first look-up is kept instead.
"""


class Position(NamedTuple):
    """Where reading goes on in a shard.

    Attributes:
        kind: How the place is given.
        value: The sequence number of the last record read, or a time in milliseconds since 1970; "" for other kinds.
    """

    kind: Kind = "TRIM_HORIZON"
    value: str = ""

    @property
    def is_end(self) -> bool:
        """Whether the shard is closed and read to its end."""
        return self.kind == "SHARD_END"


BEGINNING = Position()
END = Position("SHARD_END")


def at_time(milliseconds: int) -> Position:
    """Return the position of the first record that arrived at a time or later."""
    return Position("AT_TIMESTAMP", str(milliseconds))


def after(sequence_number: str) -> Position:
    """Return the position behind a record."""
    return Position("AFTER_SEQUENCE_NUMBER", sequence_number)


class ShardState(NamedTuple):
    """What is known of a shard.

    Attributes:
        position: Where reading goes on.
        parents: The shards that it was made of by a split or a merge, whether they still exist or not.
        root: Its oldest ancestor when it was first seen, itself where it had none. Decides which reader has the shard.
        read_to: What arrived before this time is read, in milliseconds since 1970; 0 when that is not known.
    """

    position: Position = BEGINNING
    parents: tuple[str, ...] = ()
    root: str = ""
    read_to: int = 0


class Change(NamedTuple):
    """A step forward of a checkpoint.

    Attributes:
        shards: New states, by shard.
        gone: Shards to forget, none of those above.
        created: The creation time of the stream that is read from here on; None leaves it.
    """

    shards: Mapping[str, ShardState]
    gone: frozenset[str] = frozenset()
    created: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """How far a stream is read.

    Attributes:
        stream: Its name or ARN, as it was asked for.
        created: When it was created, in milliseconds since 1970; 0 when that is not known. A stream that was deleted
            and created again has the same name and the same names of shards.
        shards: All shards that exist, by id, also those of other readers.
    """

    stream: str
    created: int = 0
    shards: Mapping[str, ShardState] = field(default_factory=dict)

    def apply(self, change: Change) -> Checkpoint:
        """Return the checkpoint after a step."""
        created = self.created if change.created is None else change.created
        shards = {**self.shards, **change.shards}
        for shard in change.gone:
            shards.pop(shard, None)
        return replace(self, created=created, shards=shards)

    def to_fields(self) -> dict[str, Any]:
        """Return the checkpoint as JSON has it."""
        return {
            "stream": self.stream,
            "created": self.created,
            "shards": {
                shard: {
                    "position": state.position.kind,
                    "value": state.position.value,
                    "parents": list(state.parents),
                    "root": state.root,
                    "read_to": state.read_to,
                }
                for shard, state in self.shards.items()
            },
        }

    def to_json(self) -> bytes:
        """Return the checkpoint as JSON; equal checkpoints have equal bytes."""
        return orjson.dumps(self.to_fields(), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def from_fields(fields: Any) -> Checkpoint:
    """Return the checkpoint of `to_fields`.

    Raises:
        ValueError: Not a checkpoint; says why.
    """
    try:
        shards = {shard: _state(state) for shard, state in fields["shards"].items()}
        return Checkpoint(_typed(fields, "stream", str), _typed(fields, "created", int), shards)
    except LookupError as error:
        raise ValueError(f"{error} is missing") from None
    except (TypeError, AttributeError):
        raise ValueError("not an object with the fields of a checkpoint") from None


def from_json(data: bytes) -> Checkpoint:
    """Return the checkpoint of `to_json`.

    Raises:
        ValueError: Not a checkpoint; says why.
    """
    return from_fields(orjson.loads(data))


def _state(fields: Any) -> ShardState:
    kind = _typed(fields, "position", str)
    if kind not in get_args(Kind):
        raise ValueError(f"position: {kind!r} is not one of {', '.join(get_args(Kind))}")
    value, parents = _typed(fields, "value", str), _typed(fields, "parents", list)
    if kind == "AT_TIMESTAMP" and not (value.isascii() and value.isdecimal()):
        raise ValueError("value: expected milliseconds since 1970")
    if not all(isinstance(parent, str) for parent in parents):
        raise ValueError("parents: expected a list of strings")
    position = Position(kind, value)
    return ShardState(position, tuple(parents), _typed(fields, "root", str), _typed(fields, "read_to", int))


def _typed(fields: Any, name: str, kind: type) -> Any:
    value = fields[name]
    if not isinstance(value, kind):
        raise ValueError(f"{name}: expected {kind.__name__}")
    return value
