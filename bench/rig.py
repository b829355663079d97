"""What is measured from Kafka to accepted has this around it: a real Apache Kafka, and a collector that only counts."""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

import orjson
import yaml
from confluent_kafka import Producer

from aep.ingestion.envelope import Destination, Envelope
from bench.measure import Usage, of_command
from bench.transforms_bench import SCHEMA
from samples.loyalty import MIN_EVENT_BYTES, Sample, generate
from testing.services.emulator import Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import POLL_SECONDS, ServiceError, ServiceProcess, wait_for

ORG = "ACME@AdobeOrg"

RUN_SECONDS = 900
"""How long a run may take."""

EMPTY = "nothing"
"""A topic without records: what a run over it takes is what starting and ending take."""

_DIFFERENT_EVENTS = 50_000
_TICK_SECONDS = 0.001


@dataclass(frozen=True)
class Load:
    """What a topic is filled with.

    Attributes:
        event_bytes: Size of the entities.
        whole: Whether records are whole messages, with the entities in them.
    """

    events: int
    event_bytes: int = MIN_EVENT_BYTES
    whole: bool = False


class Rig:
    """Topics, an inlet, and the pipeline between them."""

    def __init__(self, broker: KafkaBroker, emulator: Emulator, folder: Path) -> None:
        self.broker, self.emulator, self.folder = broker, emulator, folder
        schema = orjson.loads(SCHEMA.read_bytes())
        self._inlet = emulator.create_inlet(name="bench", schema=schema)
        self.inlet_url, self.dataset_id = str(self._inlet["inletUrl"]), str(self._inlet["datasetId"])
        self._envelope = Envelope(
            Destination(self.inlet_url, "entity", schema["$id"], org_id=ORG, dataset_id=self.dataset_id)
        )
        broker.create_topic(EMPTY)

    def fill(self, topic: str, partitions: int, load: Load) -> None:
        """Create a topic with a load."""
        self.broker.create_topic(topic, partitions)
        self.produce(topic, load)

    def produce(self, topic: str, load: Load) -> None:
        """Write a load to a topic; the events of a long one repeat themselves."""
        samples = _samples(min(load.events, _DIFFERENT_EVENTS), load.event_bytes)
        values = [self._envelope.message(one.value) if load.whole else one.value for one in samples]
        written = ((samples[at].key, values[at], None, None) for at in (n % len(samples) for n in range(load.events)))
        self.broker.produce(topic, written)

    def produce_evenly(self, topic: str, events: int, rate: float, over: Event | None = None) -> None:
        """Write so many events of 0.9 kB to a topic, so many a second; fewer if `over` is set meanwhile."""
        producer = Producer({"bootstrap.servers": self.broker.bootstrap_servers, "linger.ms": 0})
        started = time.monotonic()
        for number, one in enumerate(generate(events, kind="events", event_bytes=MIN_EVENT_BYTES)):
            while number > (time.monotonic() - started) * rate:
                time.sleep(_TICK_SECONDS)
            if over is not None and over.is_set():
                break
            producer.produce(topic, one.value, one.key)
            producer.poll(0)
        producer.flush()

    def accepted(self) -> int:
        """Return how many events the collector has accepted so far."""
        return int(self.emulator.inlet_stats(self._inlet["inletId"])["accepted"])

    def command(self, topic: str, *overlays: Path, **options: Any) -> list[str]:
        """Return the command that reads a topic in a group that has read nothing, unless `kafka_group_id` names one.

        Args:
            topic: Its name.
            overlays: Files of options, which win.
            options: Options.
        """
        name = new_name()
        declared = {
            "kafka_bootstrap_servers": self.broker.bootstrap_servers,
            "kafka_topics": [topic],
            "kafka_group_id": name,
            "aep_inlet_url": self.inlet_url,
            "aep_dataset_id": self.dataset_id,
            "aep_org_id": ORG,
            "xdm_schema_file": str(SCHEMA),
            "dead_letter_path": str(self.folder / "dead-letters"),
            **options,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(declared))
        files = [f"--options_file={each}" for each in (path, *overlays)]
        return [sys.executable, "-m", "pipelines.kafka_to_aep", *files]

    def run(self, topic: str, expected: int, **options: Any) -> Usage:
        """Read a topic to its end, and return what that took.

        Raises:
            ServiceError: The run failed, or did not deliver each event exactly once.
        """
        before = self.accepted()
        summary = self.folder / f"{new_name()}.json"
        command = self.command(topic, kafka_stop_at="end", summary_file=str(summary), **options)
        usage = of_command("the pipeline", command, self.folder / f"{new_name()}.log", RUN_SECONDS)
        account = orjson.loads(summary.read_bytes())
        for what, found in (
            ("read", account["read"]),
            ("accepted", account["accepted"]),
            ("accepted by the collector", self.accepted() - before),
        ):
            if found != expected:
                raise ServiceError(f"{found} events {what}, {expected} expected")
        return usage

    @contextmanager
    def running(self, commands: Sequence[Sequence[str]]) -> Iterator[list[ServiceProcess]]:
        """Run commands that do not end by themselves while the `with` block lasts."""
        with ExitStack() as stack:
            yield [
                stack.enter_context(ServiceProcess("the pipeline", command, self.folder / f"{new_name()}.log"))
                for command in commands
            ]

    def wait(self, processes: Sequence[ServiceProcess], condition: Callable[[], bool], what: str) -> None:
        """Wait for something that running processes do.

        Raises:
            ServiceError: One of them ended, or it took too long.
        """
        wait_for(lambda: condition() or not all(one.running for one in processes), RUN_SECONDS, what)
        for one in processes:
            if not one.running:
                raise ServiceError(f"the pipeline ended early\n{one.log_tail()}")

    def wait_until_accepted(self, processes: Sequence[ServiceProcess], accepted: int) -> None:
        """Wait until the collector has accepted so many events in all."""
        self.wait(processes, lambda: self.accepted() >= accepted, f"{accepted} events accepted")

    def wait_until_committed(self, processes: Sequence[ServiceProcess], topic: str, group: str, accepted: int) -> None:
        """Wait until the collector has accepted so many events, and the group has committed the topic's end."""
        self.wait_until_accepted(processes, accepted)
        # Not before: librdkafka crashes when asked for a group that has no coordinator yet (its issue 5040).
        ends = self.broker.end_offsets(topic)
        self.wait(processes, lambda: self.broker.committed(group, topic) == ends, "the end of the topic committed")

    def rate(self, processes: Sequence[ServiceProcess], first: int, last: int) -> float:
        """Return events a second, from the time that so many are accepted to the time that so many are."""
        times: list[tuple[float, int]] = []
        for enough in (first, last):
            while (accepted := self.accepted()) < enough:
                self.wait(processes, lambda: True, "the pipeline")
                time.sleep(POLL_SECONDS)
            times.append((time.monotonic(), accepted))
        (began, at_first), (ended, at_last) = times
        return (at_last - at_first) / max(ended - began, POLL_SECONDS)


@contextmanager
def set_up() -> Iterator[Rig]:
    """Start the services while the `with` block lasts.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka; the message says what it lacks.
    """
    with (
        KafkaBroker() as broker,
        Emulator(count_only=True) as emulator,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
    ):
        yield Rig(broker, emulator, Path(folder))


@cache
def _samples(events: int, event_bytes: int) -> list[Sample]:
    return list(generate(events, kind="events", event_bytes=event_bytes))


def new_name() -> str:
    """Return a name that nothing has yet: of a group, of a file."""
    return f"bench-{uuid.uuid4().hex[:8]}"
