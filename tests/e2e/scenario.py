"""A loyalty programme on a real broker and a real emulator, the pipeline as users run it, and the oracle.

Each sample has a sequence number: in its `_id`, by which the emulator knows it, and in a Kafka header, which dead
letters keep. Every number must end in exactly one of the two places, unless its route drops it.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml

from samples.loyalty import EVENTS_TOPIC, Sample, sequence_of
from testing.services.emulator import Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, ServiceError, ServiceProcess, wait_for
from transforms.records.dead_letter import DeadLetter
from transforms.sinks.files import read_files

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "configs" / "schemas"
ORG_ID = "ACME@AdobeOrg"
RUN_SECONDS = PATIENCE_SECONDS


@dataclass
class Finished:
    """A pipeline process that has ended."""

    code: int
    output: str
    summary: dict[str, Any]


@dataclass
class Oracle:
    """What must become of the samples: dropped by a rule of their route, dead-lettered, and the rest accepted.

    Attributes:
        samples: What was put into Kafka, by sequence number.
        dropped: Numbers of good samples that their route drops.
        refused: (stage, code) of good samples that a transform of their route refuses, by number.
    """

    samples: dict[int, Sample] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)
    refused: dict[int, tuple[str, str]] = field(default_factory=dict)

    def good(self, events: bool) -> set[int]:
        """Sequence numbers that AEP must accept, of events or of profiles."""
        return {
            number
            for number, sample in self.samples.items()
            if sample.broken is None and (sample.topic == EVENTS_TOPIC) == events
        } - (self.dropped | self.refused.keys())

    def broken(self) -> dict[int, tuple[str | None, str | None]]:
        """Stage and code of each sample that must be dead-lettered."""
        broken = {
            number: (sample.expected_stage, sample.expected_code)
            for number, sample in self.samples.items()
            if sample.broken is not None
        }
        return {**broken, **self.refused}


class Scenario:
    """One test's topics, inlets and files, on the session's broker and emulator."""

    def __init__(self, broker: KafkaBroker, emulator: Emulator, folder: Path, partitions: int = 4):
        self.broker, self.emulator, self.folder = broker, emulator, folder
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.group = f"group-{self.name}"
        self.topics = {"events": f"{self.name}-events", "profiles": f"{self.name}-profiles"}
        for topic in self.topics.values():
            broker.create_topic(topic, partitions)
        self.inlets = {kind: self._create_inlet(kind) for kind in self.topics}
        self.dead_letters = folder / "dead-letters"
        self.oracle = Oracle()
        self._started: list[ServiceProcess] = []

    def _create_inlet(self, kind: str) -> dict[str, Any]:
        schema = orjson.loads((SCHEMAS / f"loyalty-{kind.removesuffix('s')}.schema.json").read_bytes())
        return self.emulator.create_inlet(name=f"{self.name}-{kind}", org_id=ORG_ID, schema=schema)

    def produce(self, samples: Iterable[Sample]) -> None:
        """Write samples to the topics; a sample's key decides its partition."""
        rows: dict[str, list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]] | None, int | None]]] = {}
        for sample in samples:
            self.oracle.samples[sample.sequence] = sample
            kind = "events" if sample.topic == EVENTS_TOPIC else "profiles"
            headers = [("sequence", str(sample.sequence).encode())]
            rows.setdefault(self.topics[kind], []).append((sample.key, sample.value, headers, None))
        for topic, records in rows.items():
            self.broker.produce(topic, records)

    def routes(self) -> dict[str, dict[str, Any]]:
        """Return the two routes, by kind."""
        return {
            kind: {
                "name": kind,
                "topics": [self.topics[kind]],
                "inlet_url": self.inlets[kind]["inletUrl"],
                "dataset_id": self.inlets[kind]["datasetId"],
                "org_id": ORG_ID,
                "schema_file": str(SCHEMAS / f"loyalty-{kind.removesuffix('s')}.schema.json"),
            }
            for kind in self.topics
        }

    def routes_file(self, **more: Any) -> Path:
        """Write the two routes, with more keys for both."""
        return self.write_routes({kind: {**route, **more} for kind, route in self.routes().items()})

    def write_routes(self, routes: dict[str, dict[str, Any]], name: str = "routes.yaml") -> Path:
        """Write these routes."""
        path = self.folder / name
        path.write_text(yaml.safe_dump({"routes": list(routes.values())}))
        return path

    def options_file(self, **more: Any) -> Path:
        """Write an options file that reads both topics to their ends, with more options or others."""
        options = {
            "kafka_bootstrap_servers": self.broker.bootstrap_servers,
            "kafka_group_id": self.group,
            "kafka_stop_at": "end",
            "dead_letter_path": str(self.dead_letters),
            "routes_file": str(self.routes_file()),
            "summary_file": str(self.folder / "summary.json"),
        }
        path = self.folder / "options.yaml"
        path.write_text(yaml.safe_dump({name: value for name, value in (options | more).items() if value is not None}))
        return path

    def command(self, *arguments: str, **options: Any) -> list[str]:
        """Return the command line of the pipeline."""
        file = str(self.options_file(**options))
        return [sys.executable, "-m", "pipelines.kafka_to_aep", "--options_file", file, *arguments]

    def run(self, *arguments: str, **options: Any) -> Finished:
        """Run the pipeline to its end."""
        (self.folder / "summary.json").unlink(missing_ok=True)
        done = subprocess.run(
            self.command(*arguments, **options), cwd=ROOT, capture_output=True, text=True, timeout=RUN_SECONDS
        )
        return Finished(done.returncode, done.stdout + done.stderr, self.summary())

    def start(self, *arguments: str, **options: Any) -> ServiceProcess:
        """Start the pipeline and return while it runs."""
        log = self.folder / f"run-{uuid.uuid4().hex[:6]}.log"
        self._started.append(ServiceProcess("pipeline", self.command(*arguments, **options), log))
        return self._started[-1]

    def close(self) -> None:
        """End what is left running, which would take the time of later tests, and switch the faults off."""
        for process in self._started:
            process.kill()
        self.emulator.clear_faults()

    def summary(self) -> dict[str, Any]:
        """Return the summary file of the last run, empty when it wrote none."""
        path = self.folder / "summary.json"
        return dict(orjson.loads(path.read_bytes())) if path.exists() else {}

    def accepted(self, kind: str) -> Counter[int]:
        """Return how often AEP accepted each sequence number."""
        ids = self.emulator.ids(self.inlets[kind]["inletId"])
        return Counter({sequence_of(record_id): times for record_id, times in ids.items()})

    def messages_accepted(self) -> int:
        """Messages that AEP has accepted so far, duplicates included."""
        return sum(self.emulator.inlet_stats(inlet["inletId"])["accepted"] for inlet in self.inlets.values())

    def wait_until_accepted(self, messages: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Return when AEP has accepted so many messages."""
        try:
            wait_for(lambda: self.messages_accepted() >= messages, seconds, f"{messages} messages accepted")
        except ServiceError as error:
            raise ServiceError("\n".join([str(error), *(one.log_tail() for one in self._started)])) from None

    def dead_lettered(self) -> list[DeadLetter]:
        """Return all dead letters in the folder."""
        return list(read_files(str(self.dead_letters))) if self.dead_letters.exists() else []

    def committed(self) -> dict[str, dict[int, int]]:
        """Committed offsets by topic and partition."""
        return {topic: self.broker.committed(self.group, topic) for topic in self.topics.values()}

    def records_committed(self, *kinds: str) -> int:
        """Return how many records the committed offsets leave behind: a commit of where a partition
        starts leaves none.
        """
        topics = [self.topics[kind] for kind in kinds or self.topics]
        return sum(sum(self.broker.committed(self.group, topic).values()) for topic in topics)

    def end_offsets(self) -> dict[str, dict[int, int]]:
        """End offsets by topic and partition."""
        return {topic: self.broker.end_offsets(topic) for topic in self.topics.values()}

    def check_every_sample(self, duplicates: int = 0) -> int:
        """Return each sample is accepted, dropped, or dead-lettered for the right reason; duplicates are bounded.

        Returns:
            The number of duplicates.
        """
        again = 0
        for kind in self.topics:
            accepted = self.accepted(kind)
            assert set(accepted) == self.oracle.good(events=kind == "events")
            again += sum(times - 1 for times in accepted.values())
        dead: dict[int, tuple[str, str]] = {}
        for one in self.dead_lettered():
            number = int(dict(one.record.headers)["sequence"] or b"-1")
            again += number in dead
            dead[number] = (one.stage, one.code)
            assert one.record.value == self.oracle.samples[number].value
        assert dead == self.oracle.broken()
        assert again <= duplicates
        return again
