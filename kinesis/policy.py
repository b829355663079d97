"""How a writer goes about its work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WritePolicy:
    """How a writer goes about its work.

    Attributes:
        ordered: Whether of each partition key one record is under way at a time, in the order in which they came.
        max_in_flight: Requests under way at a time.
        max_record_bytes: Of data and partition key, as the stream has it.
        max_waiting_bytes: Of memory for records without an answer; then no more are taken in.
        budget_seconds: Trying one record for longer than this ends everything; None tries for ever.
        base_seconds, max_seconds: Bounds of the exponential back-off of requests, drawn evenly below the bound.
        max_record_seconds: The same bound for records that Kinesis refuses out of a request that it takes.
    """

    ordered: bool
    max_in_flight: int
    max_record_bytes: int
    max_waiting_bytes: int
    budget_seconds: float | None
    base_seconds: float = 0.1
    max_seconds: float = 10.0
    max_record_seconds: float = 1.0
