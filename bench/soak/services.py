"""What a soak runs on: Kafka, a local AEP and the pipeline between them, and how each kind of fault is done to them."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import orjson
import yaml
from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench.soak.account import DROPPED_EVENT_TYPE
from bench.soak.chaos import Fault, switches
from bench.soak.pipeline import Pipeline
from demo.account import Delivered
from demo.files import CONFIGS
from samples.loyalty import EVENTS_TOPIC, PROFILES_TOPIC, sequence_of
from testing.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import wait_for
from transforms.records.dead_letter import DeadLetter
from transforms.sinks.files import read_files

TOPICS = (EVENTS_TOPIC, PROFILES_TOPIC)
PARTITIONS = 4
BUNDLE_RECORDS = 2_000

_GROUP = "soak"
_ORG_ID = "ACME@AdobeOrg"
_SECRET = "AEP_CLIENT_SECRET"
_ASK_SECONDS = 2.0
_VALIDATION_SECONDS = 120
# Short enough that a killed process's partitions are soon dealt again, long enough to sit out a frozen broker.
_SESSION_MS = 6_000


def schema_file(topic: str) -> Path:
    """Return the schema of a topic of the sample: loyalty-events has loyalty-event.schema.json."""
    return CONFIGS / "schemas" / f"{topic.removesuffix('s')}.schema.json"


class AepCounts(NamedTuple):
    """What AEP has counted so far, over all inlets. `statuses` are requests by the status of their answer."""

    accepted: int
    unique: int
    requests: int
    statuses: dict[str, int]


class Services:
    """The services while its `with` block lasts.

    Args:
        folder: Where the pipeline's options, logs, summaries and dead letters go.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka; the message says what it lacks.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._stack = ExitStack()
        self._aep_is_up = self._broker_is_up = True
        self._active: list[Fault] = []

    def __enter__(self) -> Services:
        with ExitStack() as stack:
            state = stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-"))
            self.broker = stack.enter_context(KafkaBroker())
            self._aep = stack.enter_context(Emulator(state=Path(state, "aep.sqlite")))
            for topic in TOPICS:
                self.broker.create_topic(topic, PARTITIONS)
            self._inlets = {topic: self._create_inlet(topic) for topic in TOPICS}
            self.pipeline = Pipeline("kafka_to_aep", self._folder, self._options(), {_SECRET: CLIENT_SECRET})
            stack.callback(self.pipeline.close)
            self._group = Consumer(
                {"bootstrap.servers": self.broker.bootstrap_servers, "group.id": _GROUP, "log_level": 2}
            )
            stack.callback(self._group.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _create_inlet(self, topic: str) -> dict[str, Any]:
        schema = orjson.loads(schema_file(topic).read_bytes())
        return self._aep.create_inlet(name=topic, org_id=_ORG_ID, schema=schema, authentication_required=True)

    def _options(self) -> dict[str, Any]:
        routes = [
            {
                "name": topic,
                "topics": [topic],
                "inlet_url": inlet["inletUrl"],
                "dataset_id": inlet["datasetId"],
                "org_id": _ORG_ID,
                "schema_file": str(schema_file(topic).resolve()),
            }
            for topic, inlet in self._inlets.items()
        ]
        next(route for route in routes if route["name"] == EVENTS_TOPIC)["drop"] = {"/eventType": [DROPPED_EVENT_TYPE]}
        routes_file = self._folder / "routes.yaml"
        routes_file.write_text(yaml.safe_dump({"routes": routes}, sort_keys=False))
        return {
            "runner": "FnApiRunner",
            "kafka_bootstrap_servers": self.broker.bootstrap_servers,
            "kafka_group_id": _GROUP,
            "kafka_stop_at": "never",
            "kafka_bundle_max_records": BUNDLE_RECORDS,
            "kafka_bundle_max_seconds": 2,
            "kafka_config": {"session.timeout.ms": _SESSION_MS, "heartbeat.interval.ms": _SESSION_MS // 4},
            "routes_file": str(routes_file),
            "aep_auth": "oauth",
            "aep_ims_url": self._aep.url,
            "aep_client_id": CLIENT_ID,
            "aep_client_secret": f"env:{_SECRET}",
            "aep_retry_max_delay_seconds": 5,
            # Small batches make many requests, each of which may meet a fault.
            "batch_max_messages": 50,
            "batch_max_seconds": 0.5,
            "dead_letter_path": str(self._folder / "dead-letters"),
        }

    def begin(self, fault: Fault) -> None:
        self._active.append(fault)
        match fault.kind:
            case "aep_freeze":
                self._aep_is_up = False
                self._aep.process.pause()
            case "aep_kill":
                self._aep_is_up = False
                self._aep.kill()
            case "broker_freeze":
                self._broker_is_up = False
                self.broker.pause()
            case "broker_stop":
                self._broker_is_up = False
                self.broker.stop()
            case "pipeline_kill":
                self.pipeline.kill()
            case "pipeline_stop":
                self.pipeline.ask_to_stop()
        self._set_switches()
        if fault.kind == "ims_down":
            self._aep.revoke_tokens()

    def end(self, fault: Fault) -> None:
        self._active.remove(fault)
        match fault.kind:
            case "aep_freeze":
                self._aep.process.resume()
                self._aep_is_up = True
            case "aep_kill":
                self._aep.start()
                self._aep_is_up = True
            case "broker_freeze":
                self.broker.resume()
                self._broker_is_up = True
            case "broker_stop":
                self.broker.start()
                self._broker_is_up = True
            case "pipeline_kill":
                self.pipeline.start()
            case "pipeline_stop":
                self.pipeline.await_stop()
                self.pipeline.start()
        self._set_switches()

    def _set_switches(self) -> None:
        # While AEP is away nothing can be switched; what should be on is when it comes back.
        if self._aep_is_up:
            self._aep.clear_faults()
            self._aep.faults(**switches(self._active))

    def counts(self) -> AepCounts | None:
        """Return what AEP has counted; None while it is away."""
        if not self._aep_is_up:
            return None
        inlets = list(self._aep.stats()["inlets"].values())
        statuses: dict[str, int] = {}
        for inlet in inlets:
            for status, times in inlet["statuses"].items():
                statuses[status] = statuses.get(status, 0) + times
        accepted, unique, requests = (
            sum(inlet[name] for inlet in inlets) for name in ("accepted", "unique_ids", "requests")
        )
        return AepCounts(accepted, unique, requests, statuses)

    def committed(self) -> int | None:
        """Return how many records the group's committed offsets leave behind; None while the broker cannot say."""
        if not self._broker_is_up:
            return None
        asked = [TopicPartition(topic, number) for topic in TOPICS for number in range(PARTITIONS)]
        try:
            return sum(max(0, one.offset) for one in self._group.committed(asked, timeout=_ASK_SECONDS))
        except KafkaException:
            return None

    def all_committed(self) -> bool:
        """Return whether the committed offsets are the ends of all partitions."""
        for topic in TOPICS:
            committed = self.broker.committed(_GROUP, topic)
            if any(committed.get(number, 0) != end for number, end in self.broker.end_offsets(topic).items()):
                return False
        return True

    def delivered(self) -> dict[str, Delivered]:
        """Return what each topic's inlet has received, once all of it went through AEP's own validation."""
        wait_for(lambda: self._aep.stats()["pending_validation"] == 0, _VALIDATION_SECONDS, "the emulator's validation")
        found = {}
        for topic, inlet in self._inlets.items():
            stats = self._aep.inlet_stats(inlet["inletId"])
            accepted = {sequence_of(record_id): times for record_id, times in self._aep.ids(inlet["inletId"]).items()}
            found[topic] = Delivered(accepted, stats["requests"], stats["invalid"])
        return found

    def dead_letters(self) -> list[DeadLetter]:
        folder = self._folder / "dead-letters"
        return list(read_files(str(folder))) if folder.exists() else []
