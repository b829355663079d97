"""What the steps ask of where records go: the protocol of destinations.

A pipeline's destination is two things. A `Destination`, here, belongs to a route: which inlet, stream or table its
records go to, what is made of them, and what a record and a request may weigh there. A `Connection`, in
`transforms.records.delivery`, belongs to the pipeline: credentials, time-outs, what is tried again, how many requests
are under way. Both are plain values made from options: they are compared by value and by their `repr`, travel to
workers in pickles, open nothing, and hold no secret but references to secrets. What opens sockets is the `Client`
that a connection makes for a destination, once in a process.

Batching, validation, posting, preflight and the account of a run use these protocols alone. What only one destination
has (AEP's tokens, Kinesis' shards) stays in a room of its own, as `transforms/aep`, with the transform that names its
post (`PostToAep`). Protocols, and not base classes: destinations share the questions and no code.

Sizes are constants of a destination, so that batching is adding numbers. One where each record also has something of
its own (a partition key) counts the most that can be, and its client answers for what is too large after all. For each
record only a `Form` is called, where a destination has one, and its `Answer` is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from aep.formats.json import ParsedObject, ParseFailure
from aep.mapping.ids import MissingField
from aep.mapping.repeated_ids import IdSample
from aep.xdm.rejection import Rejection
from aep.xdm.schema import ResolvedSchema


class Sizes(NamedTuple):
    """What fits into a request.

    Attributes:
        max_request_bytes: Largest size of the whole body.
        request_overhead: Bytes that a request costs beside its records.
        record_overhead: Bytes that each record costs in a request beside its own.
        max_record_bytes: Of a record by itself; a larger one is dead-lettered as `too_large` and never posted.
        max_records: In a request; None where nothing but bytes limits them.
    """

    max_request_bytes: int
    request_overhead: int
    record_overhead: int
    max_record_bytes: int
    max_records: int | None = None


FillId = Callable[[dict[str, Any], bytes], bytes | MissingField]
"""Gives an entity, of which it takes the object and the JSON, an `_id` in place, and returns its JSON after that."""


class Form(NamedTuple):
    """What a destination makes of records, where it takes more than the objects that routes map; None for nothing.

    Attributes:
        fill_id: Lets the entity inside a record be filled; given the record, its JSON, and what fills an entity.
        finish: Makes the record to post of a mapped one; given the record, its JSON, and whether it is to be deleted,
            so that it is what `Destination.deletion` gave.
        unwrap: The part of a finished record that its schema describes; a reason why the destination would refuse the
            record; or None where no schema describes it. Given the record and its JSON.
        partition_key: Makes the partition key that is sent with each record, while the record is parsed; given the
            finished record and the key of the Kafka record.
    """

    fill_id: Callable[[dict[str, Any], bytes, FillId], bytes | MissingField] | None = None
    finish: Callable[[dict[str, Any], bytes, bool], ParsedObject] | None = None
    unwrap: Callable[[dict[str, Any], bytes], dict[str, Any] | Rejection | None] | None = None
    partition_key: Callable[[dict[str, Any], bytes | None], Any] | None = None


class Destination(Protocol):
    """Where the records of a route go."""

    def sizes(self) -> Sizes:
        """Return what fits into a request; asked once for a route."""

    def form(self) -> Form:
        """Return what is made of records; asked once for a route."""

    def deletion(self, key: bytes | None) -> ParsedObject | ParseFailure:
        """Return the record that deletes what had this key, before `Form.finish`; or why there is none."""

    def id_sample(self, schema: ResolvedSchema | None) -> IdSample | None:
        """Return a look at the first records for an `_id` that several share; None where that loses nothing."""
