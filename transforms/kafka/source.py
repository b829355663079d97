"""What is read from Kafka, and how: the settings of a source."""

from __future__ import annotations

from dataclasses import dataclass

from transforms.kafka.client import KafkaCluster, Reset


@dataclass(frozen=True)
class BundleLimits:
    """When a bundle ends, whichever comes first. It bounds duplicates, memory and the delay of checkpoints.

    Attributes:
      max_records, max_bytes, max_seconds: since the bundle's first record.
      linger_seconds: once the log is read to its end, how long to wait for more to fill the last batch.
      idle_seconds: how long an empty poll may block; readers that share a thread with others must not block long.
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
      id: tells the sources of one process apart.
      cluster, topics, group_id: from where; topics that start with ``^`` are regular expressions.
      reset: where to go on when records at a position are gone.
      share_group: be a member of the consumer group, which deals the partitions to its members; for local runs. Off:
        the shards read fixed partitions, for runners that keep positions themselves.
      discovery_seconds: how often to look for new topics and partitions.
      deadline: seconds since 1970 after which nothing more is read.
      limits: of a bundle.
      left_out: topics that a pattern takes in and that may not be read.
    """

    id: str
    cluster: KafkaCluster
    topics: tuple[str, ...]
    group_id: str
    reset: Reset
    discovery_seconds: float
    limits: BundleLimits
    share_group: bool = False
    deadline: float | None = None
    left_out: frozenset[str] = frozenset()
