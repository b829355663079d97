"""What `beam-aep generate` does: the loyalty sample as lines of JSON, or as records of Kafka topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

from pipelines.cli.common import reached
from samples.loyalty import Sample
from transforms.kafka.client import KafkaCluster
from transforms.kafka.send import send_all

_RUN = 10_000  # samples that are in memory at a time


@dataclass
class Tally:
    """How many samples were made: the good ones, and the broken ones by kind."""

    good: int = 0
    broken: Counter[str] = field(default_factory=Counter)

    def count(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            if sample.broken is None:
                self.good += 1
            else:
                self.broken[sample.broken] += 1
            yield sample

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in sorted(self.broken.items()))
        broken = f"{self.broken.total():,} broken"
        return f"{self.good:,} good, {broken} ({kinds})" if kinds else f"{self.good:,} good, {broken}"


def write_lines(samples: Iterable[Sample], file: BinaryIO) -> None:
    """Write each sample's value as a line.

    Raises:
        ValueError: A value holds a line break, so that it would be read as two records.
    """
    for sample in samples:
        if b"\n" in sample.value:
            raise ValueError(
                f"sample {sample.sequence} ({sample.broken}) contains a line break, which a line of a file cannot"
            )
        file.write(sample.value + b"\n")
    file.flush()


def send(samples: Iterable[Sample], cluster: KafkaCluster, topics: Mapping[str, str]) -> None:
    """Send samples to Kafka and return when the brokers have them all.

    Each record has its sequence number in the header `sequence`, by which it can be found again.

    Args:
        samples: What to send.
        cluster: Where to.
        topics: The topic to send to, by the sample's own.

    Raises:
        KafkaSetupError: No broker answers, a topic is not there, or a record was refused.
        SecretError: A property refers to a secret that is not there.
    """
    cluster = reached(cluster)
    left = iter(samples)
    while run := list(islice(left, _RUN)):
        for own, topic in topics.items():
            records = [(one.key, one.value, (("sequence", b"%d" % one.sequence),)) for one in run if one.topic == own]
            send_all(cluster, topic, records)
