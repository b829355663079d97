from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from testing.services.kafka import KafkaBroker
from transforms.kafka.client import KafkaCluster
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
    process.start_run()
