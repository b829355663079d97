"""Where several processes start is committed, but never behind what the group has committed since it was looked up."""

from __future__ import annotations

import pytest

from testing.services.kafka import KafkaBroker
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.drive import commit, numbers, source, start_of
from transforms.kafka.client import KafkaCluster
from transforms.kafka.offsets import Committed, group_offsets
from transforms.kafka.shared_start import commit_start
from transforms.kafka.topic_ids import as_metadata

pytestmark = pytest.mark.kafka
OTHER_ID = "A" * 21 + "B"


@pytest.mark.parametrize("at_committed", [True, False])
def test_a_start_at_the_committed_offsets_is_never_committed_over_what_the_group_has_done_since(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, at_committed: bool
) -> None:
    of = source(cluster, new_topic(5), share_group=True)
    topic = of.topics[0]
    numbers(broker, topic, 500, 5)
    commit(cluster, of.group_id, {(topic, number): 10 for number in range(4)})
    start = start_of(of, "committed", stop_at_end=False)
    # Another process ends in between. Of the log that there is now are neither 700 nor an offset of another topic.
    commit(cluster, of.group_id, {(topic, 0): 60, (topic, 1): 5, (topic, 2): 700})
    commit(cluster, of.group_id, {(topic, 3): 60}, as_metadata(OTHER_ID))
    commit_start(cluster, of.group_id, start, at_committed)
    found = group_offsets(cluster, of.group_id, list(start.positions))
    assert [found[topic, number].offset for number in range(5)] == ([60, 5] if at_committed else [10, 10]) + [10, 10, 0]
    assert found[topic, 4] == Committed(0, start.ids[topic])
