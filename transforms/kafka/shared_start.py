"""Where several processes of one group start: decided once, and committed, so that all of them agree."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from transforms.kafka.causes import advice
from transforms.kafka.client import KafkaCluster, KafkaSetupError, Partition, admin_client, make_consumer
from transforms.kafka.offsets import MEMBERS_ALONE, Committed, group_offsets, log_bounds
from transforms.kafka.start import Start, goes_on
from transforms.kafka.topic_ids import as_metadata

_LOG = logging.getLogger(__name__)


def commit_start(cluster: KafkaCluster, group_id: str, start: Start, at_committed: bool) -> None:
    """Commit where reading starts, for a group without members; one with members goes on where it is.

    Args:
        cluster: Where the group is.
        group_id: The group.
        start: Where reading starts.
        at_committed: Whether that is what the group had committed: what it has committed since then counts, as a
            process does that ends while this run begins.

    Raises:
        KafkaSetupError: It cannot be committed.
    """
    committed = group_offsets(cluster, group_id, list(start.positions))
    wanted = {one: Committed(at, start.ids.get(one[0], "")) for one, at in start.positions.items()}
    new = {one: at for one, at in wanted.items() if one not in committed or committed[one][:2] != at[:2]}
    if new and at_committed:
        valid = _valid(cluster, committed, new)
        new = {one: at for one, at in new.items() if one not in valid}
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
    if error.code() in MEMBERS_ALONE:
        _LOG.warning("group %s has members already: this run joins them, wherever kafka_start is", group_id)
        return
    raise KafkaSetupError(
        f"the start of group {group_id} cannot be committed: {error.str()}"
        f"{advice(error, 'READ', f'group {group_id}') or '; check kafka_group_id'}"
    )


def _valid(
    cluster: KafkaCluster, committed: dict[Partition, Committed], wanted: dict[Partition, Committed]
) -> set[Partition]:
    """Return in which of the wanted partitions the group can go on where it is: in the log of the same topic."""
    known = [one for one in wanted if one in committed]
    admin = admin_client(cluster)
    earliest = log_bounds(admin, known, OffsetSpec.earliest())
    # Beyond the last stable offset there may be records of open transactions.
    ends = log_bounds(admin, known, OffsetSpec.latest(), read_committed=False)
    return {one for one in known if goes_on(committed[one], wanted[one].topic_id, earliest[one], ends[one])}
