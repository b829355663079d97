"""What becomes of records that are to be put on a stream: an answer for each, and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Answer(NamedTuple):
    """What became of a record.

    Attributes:
        code: The kind of reason why Kinesis does not have it; "" if it does.
        message: The reason in words.
        attempts: How often it was sent.
        shard, sequence_number: Where it is in the stream; "" for one that is not.
    """

    code: str
    message: str
    attempts: int
    shard: str = ""
    sequence_number: str = ""

    @property
    def accepted(self) -> bool:
        """Whether Kinesis has it."""
        return not self.code

    @property
    def receipt(self) -> Mapping[str, str]:
        """Where it is in the stream."""
        return {"shard": self.shard, "sequence_number": self.sequence_number}


@dataclass
class Counts:
    """Numbers of a delivery, or of a step of it.

    Attributes:
        requests: Requests sent. One that carries records of several deliveries counts for one of them.
        sent_bytes: Bytes of data and partition keys.
        accepted: Records that Kinesis has.
        retries: Sendings again by cause: of a whole request, or of a record that was refused out of one.
        duplicates_possible: Records sent again although Kinesis may have had them.
    """

    requests: int = 0
    sent_bytes: int = 0
    accepted: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    duplicates_possible: int = 0

    def add(self, other: Counts) -> None:
        """Add the numbers of a step."""
        self.requests += other.requests
        self.sent_bytes += other.sent_bytes
        self.accepted += other.accepted
        self.retries.update(other.retries)
        self.duplicates_possible += other.duplicates_possible


@dataclass
class Delivery(Counts):
    """What became of some records, and what it took.

    Attributes:
        answers: One for each record, in order.
        seconds: From the start to the last answer.
        in_flight: The most requests that were under way when one with these records was sent, itself included.
    """

    answers: Sequence[Answer] = ()
    seconds: float = 0.0
    in_flight: int = 0
