"""The settings of a writer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WritePolicy:
    """The settings of a writer.

    Attributes:
        ordered: Send the records of a partition key one at a time, in the order in which they came.
        max_in_flight: Most concurrent requests.
        max_record_bytes: Of data and partition key, as the stream has it.
        max_waiting_bytes: Most memory for records without an answer; then `start` blocks.
        budget_seconds: How long one record is tried before everything ends; None for ever.
        base_seconds, max_seconds: First and last bound of the back-off of requests (exponential, full jitter).
        max_record_seconds: The last bound for single records that Kinesis refuses within a request.
    """

    ordered: bool
    max_in_flight: int
    max_record_bytes: int
    max_waiting_bytes: int
    budget_seconds: float | None
    base_seconds: float = 0.1
    max_seconds: float = 10.0
    max_record_seconds: float = 1.0
