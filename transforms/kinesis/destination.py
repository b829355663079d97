"""A stream of Kinesis, as the destination of a route."""

from __future__ import annotations

from dataclasses import dataclass

from aep.formats.json import ParsedObject, ParseFailure
from aep.mapping.repeated_ids import IdSample
from aep.xdm.schema import ResolvedSchema
from kinesis.keys import KeyMaker, PartitionKeys
from kinesis.limits import MAX_RECORD_BYTES, MAX_RECORDS, REQUEST_BYTES
from transforms.records.destination import Destination, Form, Sizes


@dataclass(frozen=True)
class KinesisStream:
    """A stream, and what is put on it.

    Attributes:
        stream: Name or ARN.
        keys: What partition keys are made of.
        max_record_bytes: Of data and partition key; None for what the stream has.
    """

    stream: str
    keys: PartitionKeys
    max_record_bytes: int | None

    def sizes(self) -> Sizes:
        """Return what fits into a request of PutRecords.

        The writer makes its own requests of all that waits for the stream, and refuses what is too large only with its
        partition key.
        """
        return Sizes(REQUEST_BYTES, 0, 0, self.max_record_bytes or MAX_RECORD_BYTES, MAX_RECORDS)

    def form(self) -> Form:
        """Return what is made of records: they are put on the stream as their route has mapped them."""
        return Form(partition_key=KeyMaker(self.keys))

    def deletion(self, key: bytes | None) -> ParsedObject | ParseFailure:
        """Return why a tombstone cannot delete anything."""
        return ParseFailure("tombstone", "the record has no value, and nothing can be deleted from a stream")

    def id_sample(self, schema: ResolvedSchema | None) -> IdSample | None:
        """Return None: a stream keeps records that share an `_id`."""
        return None


def as_stream(destination: Destination) -> KinesisStream:
    """Return the destination of a route to Kinesis.

    Raises:
        TypeError: The route has another destination, so it is in the wrong pipeline.
    """
    if not isinstance(destination, KinesisStream):
        raise TypeError(f"expected a stream of Kinesis, not {type(destination).__name__}")
    return destination
