from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.drive import Member, source
from transforms.kafka.client import KafkaCluster
from transforms.kafka.source import KafkaSource
from transforms.kafka.start import Start

Join = Callable[..., Member]


@pytest.fixture
def join() -> Iterator[Join]:
    """Make members, and close them at the end of the test."""
    members: list[Member] = []

    def make(of: KafkaSource, start: Start, shard: int = 0, shards: int = 1) -> Member:
        members.append(Member(of, start, shard, shards))
        return members[-1]

    yield make
    for member in members:
        member.reader.close()


@pytest.fixture(params=["classic", "consumer"])
def members(request: pytest.FixtureRequest, cluster: KafkaCluster) -> KafkaCluster:
    """The broker for members of a group, by Kafka's first protocol for groups and by KIP-848's."""
    soon = {"heartbeat.interval.ms": "300"} if request.param == "classic" else {}  # the brokers set it otherwise
    return replace(cluster, config={"group.protocol": request.param, **soon})


@pytest.fixture(params=["group", "shard"])
def of(request: pytest.FixtureRequest, cluster: KafkaCluster, new_topic: NewTopic) -> KafkaSource:
    """A source of one topic with three partitions, in both ways of sharing them."""
    return source(cluster, new_topic(3), share_group=request.param == "group")
