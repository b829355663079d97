"""What is read from Kafka, and how: the settings of a source."""

from __future__ import annotations

from dataclasses import dataclass

from transforms.kafka.client import KafkaCluster, Reset


@dataclass(frozen=True)
class BundleLimits:
    """When a bundle ends, whichever comes first. It bounds duplicates, memory and the delay of checkpoints.

    Attributes:
        max_records, max_bytes, max_seconds: Since the bundle's first record.
        linger_seconds: Once the log is read to its end, how long to wait for more to fill the last batch.
        idle_seconds: How long an empty poll may block; readers that share a thread with others must not block long.
    """

    max_records: int
    max_bytes: int
    max_seconds: float
    linger_seconds: float
    idle_seconds: float = 1.0


@dataclass(frozen=True)
class KafkaSource:
    """What is read, and how.

    Attributes:
        id: Tells the sources of one process apart.
        cluster, topics, group_id: From where; topics that start with `^` are regular expressions.
        reset: Where to go on when records at a position are gone.
        share_group: Be a member of the consumer group, which deals the partitions to its members; for local runs. Off:
            the shards read fixed partitions, for runners that keep positions themselves.
        discovery_seconds: How often to look for new topics and partitions.
        deadline: Seconds since 1970 after which nothing more is read.
        limits: Of a bundle.
        left_out: Topics that a pattern takes in and that may not be read.
    """

    id: str
    cluster: KafkaCluster
    topics: tuple[str, ...]
    group_id: str
    reset: Reset
    discovery_seconds: float
    limits: BundleLimits
    deadline: float | None
    share_group: bool = False
    left_out: frozenset[str] = frozenset()
