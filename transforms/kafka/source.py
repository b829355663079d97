"""What is read from Kafka, and how: the settings of a source."""

from __future__ import annotations

from dataclasses import dataclass

from transforms.kafka.client import KafkaCluster, Reset
from transforms.records.bundle_limits import BundleLimits

__all__ = ["BundleLimits", "KafkaSource"]


@dataclass(frozen=True)
class KafkaSource:
    """What is read, and how.

    Attributes:
        id: Tells the sources of one process apart.
        cluster, topics, group_id: From where; topics that start with `^` are regular expressions.
        reset: Where to go on when records at a position are gone.
        commits: Whether the offsets of what is delivered are committed.
        share_group: Be a member of the consumer group, which deals the partitions to its members; for local runs. Off:
            the shards read fixed partitions, for runners that keep positions themselves.
        discovery_seconds: How often to look for new topics and partitions.
        hand_over_seconds: How long a group waits for deliveries of partitions that go to another member.
        deadline: Seconds since 1970 after which nothing more is read.
        limits: Limits of a bundle.
        starts_at_committed: Whether the start is what the group had committed: what it has committed since then counts.
        left_out: Topics that a pattern takes in and that may not be read.
        late_answers: Whether a bundle may end before its last answers, see `transforms.worker.late_answers`; the step
            that delivers must be told, too.
    """

    id: str
    cluster: KafkaCluster
    topics: tuple[str, ...]
    group_id: str
    reset: Reset
    discovery_seconds: float
    limits: BundleLimits
    deadline: float | None
    hand_over_seconds: float
    starts_at_committed: bool
    commits: bool = True
    share_group: bool = False
    left_out: frozenset[str] = frozenset()
    late_answers: bool = False
