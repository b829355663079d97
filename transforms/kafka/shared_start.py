"""Where several processes of one group start: decided once, and committed, so that all of them agree."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from transforms.kafka.causes import advice
from transforms.kafka.client import KafkaCluster, KafkaSetupError, make_consumer
from transforms.kafka.offsets import Committed, group_offsets
from transforms.kafka.start import Start
from transforms.kafka.topic_ids import as_metadata

_LOG = logging.getLogger(__name__)

# A group with members takes commits of theirs alone.
_HAS_MEMBERS = frozenset(
    {KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS}
    | {getattr(KafkaError, "STALE_MEMBER_EPOCH", KafkaError.UNKNOWN_MEMBER_ID)}
)


def commit_start(cluster: KafkaCluster, group_id: str, start: Start) -> None:
    """Commit where reading starts, for a group without members; one with members goes on where it is.

    Raises:
        KafkaSetupError: It cannot be committed.
    """
    committed = group_offsets(cluster, group_id, list(start.positions))
    wanted = {one: Committed(at, start.ids.get(one[0], "")) for one, at in start.positions.items()}
    new = {one: at for one, at in wanted.items() if committed.get(one) != at}
    if not new:
        return
    consumer = make_consumer(cluster, group_id, {})
    try:
        answers = consumer.commit(
            offsets=[
                TopicPartition(topic, number, at.offset, metadata=as_metadata(at.topic_id))
                for (topic, number), at in new.items()
            ],
            asynchronous=False,
        )
        error = next((one.error for one in answers or () if one.error is not None), None)
    except KafkaException as raised:
        error = raised.args[0]
    finally:
        consumer.close()
    if error is None:
        return
    if error.code() in _HAS_MEMBERS:
        _LOG.warning("group %s has members already: this run joins them, wherever kafka_start is", group_id)
        return
    raise KafkaSetupError(
        f"the start of group {group_id} cannot be committed: {error.str()}"
        f"{advice(error, 'READ', f'group {group_id}') or '; check kafka_group_id'}"
    )
