"""The results of putting records on a stream: an answer for each, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Answer(NamedTuple):
    """The result of one record.

    Attributes:
        code: Why Kinesis does not have it, as dead letters say it; "" if it has.
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
    """Counts of a delivery, or of one request of it.

    Attributes:
        requests: Requests sent. One that carries records of several deliveries counts for one of them.
        sent_bytes: Bytes of data and partition keys.
        accepted: Records that Kinesis has.
        retries: Retries by cause, of whole requests and of single records that were refused.
        duplicates_possible: Records sent again that Kinesis may have stored already.
    """

    requests: int = 0
    sent_bytes: int = 0
    accepted: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    duplicates_possible: int = 0

    def add(self, other: Counts) -> None:
        """Add the counts of a request."""
        self.requests += other.requests
        self.sent_bytes += other.sent_bytes
        self.accepted += other.accepted
        self.retries.update(other.retries)
        self.duplicates_possible += other.duplicates_possible


@dataclass
class Delivery(Counts):
    """The results of some records, and their counts.

    Attributes:
        answers: One for each record, in order.
        seconds: From the start to the last answer.
        in_flight: The most requests in flight when one with these records was sent, including that one.
    """

    answers: Sequence[Answer] = ()
    seconds: float = 0.0
    in_flight: int = 0
