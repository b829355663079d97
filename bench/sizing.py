"""What a rate of events takes, and which of AEP's limits it passes, from what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

RATES = (1_000, 5_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)
"""Events a second."""

LOAD = 0.7
"""How much of what a process can do is planned for: the rest is for catching up after an outage, and for peaks."""

AEP_MESSAGES, AEP_REQUESTS, PROFILE_RECORDS = 10_000, 1_000, 1_500
"""What Adobe's guidance has for streaming ingestion, messages and requests a second, and what an organisation's licence
has for streaming into Profile unless more is bought, records a second.
"""

MESSAGE_BYTES = 1_250
"""An event of 0.9 kB in its envelope."""


@dataclass(frozen=True)
class Measured:
    """What one process does.

    Attributes:
        events_per_second: Its throughput, with cores to spare.
        cpu_seconds_per_million: Of all its threads.
        peak_megabytes: Its memory.
    """

    events_per_second: float
    cpu_seconds_per_million: float
    peak_megabytes: float


@dataclass(frozen=True)
class Size:
    """What a rate takes; `passes` names the limits of AEP that it passes."""

    rate: int
    processes: int
    partitions: int
    cores: float
    megabytes: int
    requests_per_second: int
    passes: Sequence[str]


def size(rate: int, measured: Measured, batch_records: int, batch_bytes: int) -> Size:
    """Return what a rate of events of 0.9 kB takes.

    Args:
        rate: Events a second.
        measured: What one process does.
        batch_records: Records of a request at most.
        batch_bytes: Bytes of a request at most.
    """
    processes = math.ceil(rate / (LOAD * measured.events_per_second))
    requests = math.ceil(rate / min(batch_records, batch_bytes // MESSAGE_BYTES))
    return Size(
        rate,
        processes,
        _partitions(processes),
        rate * measured.cpu_seconds_per_million / 1e6,
        round(processes * measured.peak_megabytes),
        requests,
        [
            name
            for name, value, limit in (
                ("Profile's records", rate, PROFILE_RECORDS),
                ("messages", rate, AEP_MESSAGES),
                ("requests", requests, AEP_REQUESTS),
            )
            if value > limit
        ],
    )


def _partitions(processes: int) -> int:
    """Return twice as many as there are processes, so that these share them evenly and can become more."""
    return max(4, 2 * processes)
