"""What is read from Kinesis, and how: the settings of a source."""

from __future__ import annotations

from dataclasses import dataclass

from kinesis.discovery import Reset
from transforms.kinesis.access import KinesisAccess
from transforms.records.bundle_limits import BundleLimits


@dataclass(frozen=True)
class KinesisSource:
    """What is read, and how.

    Attributes:
        id: Tells the sources of one process apart.
        stream: Its name or ARN.
        access: The way there.
        reset: Where to go on when a position no longer exists.
        poll_seconds: From one call for a shard to the next at least; Kinesis takes five a second and shard of all
            readers together.
        limits: Limits of a bundle.
        checkpoint_file: Where this machine keeps the positions; None where the runner does.
        deadline: Seconds since 1970 after which nothing more is read.
    """

    id: str
    stream: str
    access: KinesisAccess
    reset: Reset
    poll_seconds: float
    limits: BundleLimits
    checkpoint_file: str | None
    deadline: float | None
