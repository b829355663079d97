from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from testing.services.kafka import KafkaBroker
from transforms.kafka.client import KafkaCluster
from transforms.post import ThreadedPoster
from transforms.worker import metrics, process

NewTopic = Callable[..., str]


@pytest.fixture
def cluster(broker: KafkaBroker) -> KafkaCluster:
    return KafkaCluster(broker.bootstrap_servers, {})


@pytest.fixture
def new_topic(broker: KafkaBroker) -> NewTopic:
    """Create a topic of its own and return its name."""

    def create(partitions: int = 1, **config: Any) -> str:
        name = f"t{uuid.uuid4().hex[:10]}"
        broker.create_topic(name, partitions, **config)
        return name

    return create


@pytest.fixture(autouse=True)
def _own_run() -> Iterator[None]:
    """Each test counts from nothing, and leaves no failure and no wish to end behind."""
    metrics.reset()
    process.start_run()
    yield
    _end_deliveries()
    process.start_run()


def _end_deliveries() -> None:
    """Wait for the deliveries that a failed bundle has left: they would count in the next test."""
    process.request_stop(grace_seconds=0)
    for key in list(process._shared):
        if isinstance(key, tuple) and key[0] == "poster":
            poster = process.take(key)
            for pool in poster._pools if isinstance(poster, ThreadedPoster) else []:
                pool.shutdown(cancel_futures=True)
