"""The whole pipeline against a careless script that does the same work without its promises, see `plain_script`.

Both read the same topic of a real Apache Kafka and post to the same collector, which only counts. CPU time is compared,
what each takes for an empty topic subtracted.
"""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import yaml

from aep.ingestion.envelope import Destination, Envelope, Payload
from bench.figure import Figure
from bench.measure import Usage, of_command
from bench.transforms_bench import SCHEMA
from samples.loyalty import generate
from testing.services.emulator import Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import ServiceError

ORG = "ACME@AdobeOrg"

KINDS: tuple[tuple[int, Payload], ...] = (
    (900, "entity"),
    (900, "message"),
    (1_900, "entity"),
    (1_900, "message"),
)
"""Sizes of the events in bytes, and what the records are."""

_PARTITIONS = 4
_EMPTY = "nothing"  # a topic
_RUN_SECONDS = 900
_PAYLOADS: dict[Payload, str] = {"entity": "entities", "message": "whole messages"}


@dataclass(frozen=True)
class Pair:
    """The same records by the pipeline and by the script; what a run over an empty topic takes is subtracted.

    Attributes:
        event_bytes: Size of the entities.
        payload: What the records are.
    """

    event_bytes: int
    payload: Payload
    events: int
    pipeline: Usage
    script: Usage


def measure(events: int, rounds: int) -> list[Pair]:
    """Start the services, fill a topic for each size and payload, and read each by both, in turns.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka; the message says what it lacks.
        ServiceError: A run failed, or did not deliver each event exactly once.
    """
    with (
        KafkaBroker() as broker,
        Emulator(count_only=True) as emulator,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
    ):
        bench = _Bench(broker, emulator, Path(folder), events)
        return [bench.pair(number, *kind) for number in range(rounds) for kind in KINDS]


def figures(pairs: Sequence[Pair]) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    made = []
    for event_bytes, payload in KINDS:
        of_kind = [one for one in pairs if (one.event_bytes, one.payload) == (event_bytes, payload)]
        what = f"Kafka to accepted ({event_bytes / 1000:g} kB, {_PAYLOADS[payload]})"
        ratios = [one.pipeline.cpu_seconds / one.script.cpu_seconds for one in of_kind]
        made.append(Figure(f"{payload}-{event_bytes}", f"{what}: CPU / a plain script's", ratios))
    return made


class _Bench:
    def __init__(self, broker: KafkaBroker, emulator: Emulator, folder: Path, events: int):
        self._broker, self._emulator, self._folder, self._events = broker, emulator, folder, events
        self._schema = orjson.loads(SCHEMA.read_bytes())
        self._inlet = emulator.create_inlet(name="bench", schema=self._schema)
        broker.create_topic(_EMPTY, _PARTITIONS)
        for event_bytes, payload in KINDS:
            topic = _topic(event_bytes, payload)
            broker.create_topic(topic, _PARTITIONS)
            broker.produce(topic, self._records(event_bytes, payload))

    def pair(self, number: int, event_bytes: int, payload: Payload) -> Pair:
        """Measure both; the other one first in every second round."""
        usages = {}
        for who in (self._pipeline, self._script)[:: -1 if number % 2 else 1]:
            start_up = who(_EMPTY, payload, 0)
            usages[who] = who(_topic(event_bytes, payload), payload, self._events).beyond(start_up)
        return Pair(event_bytes, payload, self._events, usages[self._pipeline], usages[self._script])

    def _records(self, event_bytes: int, payload: Payload) -> Iterable[tuple[bytes, bytes, None, None]]:
        to = Destination(
            self._inlet["inletUrl"], "entity", self._schema["$id"], org_id=ORG, dataset_id=self._inlet["datasetId"]
        )
        envelope = Envelope(to)
        for one in generate(self._events, kind="events", event_bytes=event_bytes):
            yield one.key, envelope.message(one.value) if payload == "message" else one.value, None, None

    def _pipeline(self, topic: str, payload: Payload, expected: int) -> Usage:
        options = {
            "kafka_bootstrap_servers": self._broker.bootstrap_servers,
            "kafka_topics": [topic],
            "kafka_group_id": _new_name(),
            "kafka_stop_at": "end",
            "aep_inlet_url": self._inlet["inletUrl"],
            "aep_dataset_id": self._inlet["datasetId"],
            "aep_org_id": ORG,
            "xdm_schema_file": str(SCHEMA),
            "xdm_payload": payload,
            "dead_letter_path": str(self._folder / "dead-letters"),
        }
        path = self._folder / "options.yaml"
        path.write_text(yaml.safe_dump(options))
        command = [sys.executable, "-m", "pipelines.kafka_to_aep", "--options_file", str(path)]
        return self._run("the pipeline", command, expected)

    def _script(self, topic: str, payload: Payload, expected: int) -> Usage:
        broker, inlet = self._broker.bootstrap_servers, self._inlet
        command = [sys.executable, "-m", "bench.plain_script", broker, topic, _new_name(), str(expected)]
        command += [inlet["inletUrl"], inlet["datasetId"], str(SCHEMA), payload]
        return self._run("the plain script", command, expected)

    def _run(self, name: str, command: Sequence[str], expected: int) -> Usage:
        before = self._accepted()
        usage = of_command(name, command, self._folder / f"{_new_name()}.log", _RUN_SECONDS)
        accepted = self._accepted() - before
        if accepted != expected:
            raise ServiceError(f"{name}: {accepted} events accepted by the collector, {expected} expected")
        return usage

    def _accepted(self) -> int:
        return int(self._emulator.inlet_stats(self._inlet["inletId"])["accepted"])


def _topic(event_bytes: int, payload: Payload) -> str:
    return f"{payload}-{event_bytes}"


def _new_name() -> str:
    """Return a name that nothing has yet: of a group that has read nothing, of a log."""
    return f"bench-{uuid.uuid4().hex[:8]}"
