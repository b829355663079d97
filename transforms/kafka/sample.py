"""The newest records of a topic, to look at: no group is joined, and nothing is committed."""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, TopicPartition

from transforms.kafka.causes import Heard, advice
from transforms.kafka.client import KafkaCluster, KafkaReadError, Partition, make_consumer
from transforms.kafka.offsets import log_range
from transforms.kafka.record import record_of
from transforms.records.chunk import Chunk

_SECONDS = 30.0


def read_newest(cluster: KafkaCluster, group_id: str, topic: str, partitions: list[int], number: int) -> list[Chunk]:
    """Read the newest records of a topic, as evenly of its partitions as they have them; a chunk for each partition.

    Where a transaction was aborted, or records were compacted away, there are fewer.

    Args:
        cluster: Where the topic is.
        group_id: For the consumer's configuration only.
        topic: Its name.
        partitions: Those that it has.
        number: Of records at most.

    Raises:
        KafkaReadError: The topic cannot be read, by its access rights or for another reason.
        KafkaSetupError: `kafka_config` is not accepted.
    """
    heard = Heard()
    consumer = make_consumer(
        cluster, group_id, {"enable.partition.eof": True, "auto.offset.reset": "earliest", "error_cb": heard}
    )
    try:
        ranges = {(topic, partition): log_range(consumer, (topic, partition), heard=heard) for partition in partitions}
        return _read(consumer, ranges, spread({one: end - start for one, (start, end) in ranges.items()}, number))
    finally:
        consumer.close()


def spread(there: Mapping[Partition, int], number: int) -> dict[Partition, int]:
    """Return how many records to read of each partition: the same of all, and more of some where others have fewer.

    Args:
        there: How many each has.
        number: In all, at most.
    """
    share: dict[Partition, int] = {}
    for position, one in enumerate(sorted(there, key=lambda each: there[each])):
        share[one] = min(there[one], -(-number // (len(there) - position)))
        number -= share[one]
    return share


def _read(
    consumer: Consumer, ranges: Mapping[Partition, tuple[int, int]], wanted: Mapping[Partition, int]
) -> list[Chunk]:
    chunks = {one: Chunk(*one, []) for one, number in wanted.items() if number}
    consumer.assign([TopicPartition(*one, ranges[one][1] - wanted[one]) for one in chunks])
    left = set(chunks)
    deadline = time.monotonic() + _SECONDS
    while left:
        message = consumer.poll(0.2)
        if time.monotonic() > deadline:
            topic, partition = min(left)
            raise KafkaReadError(f"topic {topic} partition {partition} gave no more records within {_SECONDS:g} s")
        if message is None:
            continue
        one = (str(message.topic()), int(message.partition() or 0))
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                if message.topic() is None:
                    continue  # of the group: its rights are not needed here
                raise KafkaReadError(
                    f"topic {one[0]} partition {one[1]} cannot be read: {error.str()}"
                    f"{advice(error, 'READ', f'topic {one[0]}')}"
                )
            left.discard(one)
        elif one in left:
            offset, end = int(message.offset() or 0), ranges[one][1]
            if offset < end:
                chunks[one].records.append(record_of(message))
            if offset >= end - 1:
                left.discard(one)
    return [chunk for chunk in chunks.values() if chunk.records]
