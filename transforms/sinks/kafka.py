"""A Kafka topic of dead letters, or of receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transforms.kafka.client import KafkaCluster
from transforms.kafka.send import check_writable, send_all
from transforms.sinks.base import Entry
from transforms.sinks.places import topic_place


@dataclass(frozen=True)
class KafkaSink:
    """A topic, to which each entry is a message.

    Attributes:
        topic: Its name.
        cluster: Where it is.
        option: That names it.
    """

    topic: str
    cluster: KafkaCluster
    option: str

    def check(self, local: bool) -> None:
        """Look whether the topic is there and can be written to. Brokers answer the same wherever they are asked.

        Raises:
            KafkaSetupError: It is not, or cannot.
        """
        check_writable(self.cluster, self.topic, self.option)

    def needs_network(self) -> bool:
        """Return True: brokers are asked."""
        return True

    def write(self, entries: Sequence[Entry]) -> None:
        """Produce the messages; return when the brokers have them all.

        Raises:
            KafkaSetupError, StoppedError: As for `send_all`.
        """
        send_all(self.cluster, self.topic, (entry.to_message() for entry in entries))

    def describe(self) -> str:
        """Return `topic NAME`."""
        return f"topic {self.topic}"

    def source(self) -> str:
        """Return `topic:NAME`."""
        return topic_place(self.topic)
