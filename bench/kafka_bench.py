"""From Kafka to accepted: the pipeline as users run it, a real Apache Kafka, and a collector that only counts."""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import yaml

from bench.figure import Figure
from bench.measure import Usage, cpu_share, of_command
from bench.transforms_bench import SCHEMA
from samples.loyalty import MIN_EVENT_BYTES, generate
from testing.services.emulator import Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import ServiceError, ServiceProcess, wait_for

LATENCY_MS = 50

_PARTITIONS = 4
_FULL, _EMPTY = "loyalty-events", "nothing"  # topics
_RUN_SECONDS = 900


@dataclass(frozen=True)
class Round:
    """The same events without latency, with it, and with it in the order of their keys; what a run over an empty topic
    takes is subtracted.
    """

    events: int
    start_up: Usage
    without_latency: Usage
    with_latency: Usage
    in_order: Usage


@dataclass(frozen=True)
class KafkaResults:
    """All that was measured; `idle_share` is the share of a core that a pipeline uses that has caught up."""

    rounds: list[Round]
    idle_share: float


def measure(events: int, rounds: int, idle_seconds: float) -> KafkaResults:
    """Start the services, fill a topic, and read it again and again.

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
        # First, since it also warms the broker up.
        idle_share = bench.idle_share(idle_seconds)
        return KafkaResults([bench.round(number) for number in range(rounds)], idle_share)


def figures(results: KafkaResults) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    rounds = results.rounds
    to_accepted = "Kafka to accepted (0.9 kB)"
    delayed = f"{to_accepted}, {LATENCY_MS} ms latency"
    return [
        Figure(
            "cpu",
            f"{to_accepted}: CPU seconds per million events",
            [one.without_latency.cpu_seconds / one.events * 1e6 for one in rounds],
        ),
        Figure("rate", f"{to_accepted}: events/s", [one.events / one.without_latency.wall_seconds for one in rounds]),
        Figure("memory", f"{to_accepted}: peak memory, MB", [one.without_latency.peak_bytes / 1e6 for one in rounds]),
        Figure(
            "latency",
            f"{delayed}: throughput / that without",
            [one.without_latency.wall_seconds / one.with_latency.wall_seconds for one in rounds],
        ),
        Figure(
            "ordered",
            f"{to_accepted}, {LATENCY_MS} ms, by key: throughput / unordered",
            [one.with_latency.wall_seconds / one.in_order.wall_seconds for one in rounds],
        ),
        Figure("memory-delayed", f"{delayed}: peak memory, MB", [one.with_latency.peak_bytes / 1e6 for one in rounds]),
        Figure("idle", "caught up and idle: CPU, % of a core", [results.idle_share * 100]),
    ]


class _Bench:
    def __init__(self, broker: KafkaBroker, emulator: Emulator, folder: Path, events: int):
        self._broker, self._emulator, self._folder, self._events = broker, emulator, folder, events
        self._inlet = emulator.create_inlet(name="bench", schema=orjson.loads(SCHEMA.read_bytes()))
        for topic in (_FULL, _EMPTY):
            broker.create_topic(topic, _PARTITIONS)
        samples = generate(events, kind="events", event_bytes=MIN_EVENT_BYTES)
        broker.produce(_FULL, ((one.key, one.value, None, None) for one in samples))

    def round(self, number: int) -> Round:
        start_up = self._run(_EMPTY, 0)
        latencies = (0, LATENCY_MS) if number % 2 == 0 else (LATENCY_MS, 0)
        usages = {latency_ms: self._run(_FULL, latency_ms).beyond(start_up) for latency_ms in latencies}
        in_order = self._run(_FULL, LATENCY_MS, aep_order="key").beyond(start_up)
        return Round(self._events, start_up, usages[0], usages[LATENCY_MS], in_order)

    def idle_share(self, seconds: float) -> float:
        group = _new_group()
        log = self._folder / "idle.log"
        before = self._accepted()
        command = self._command(_FULL, group, kafka_stop_at="never")
        with ServiceProcess("the idle pipeline", command, log) as pipeline:
            self._wait(pipeline, lambda: self._accepted() - before == self._events)
            # Not before: librdkafka crashes when asked for a group that has no coordinator yet (its issue 5040).
            self._wait(pipeline, lambda: self._broker.committed(group, _FULL) == self._broker.end_offsets(_FULL))
            share = cpu_share(pipeline.pid, seconds)
        self._check(self._accepted() - before, self._events, "accepted by the collector")
        return share

    def _wait(self, pipeline: ServiceProcess, caught_up: Callable[[], bool]) -> None:
        wait_for(lambda: caught_up() or not pipeline.running, _RUN_SECONDS, "the pipeline to catch up")
        if not pipeline.running:
            raise ServiceError(f"the pipeline ended early\n{pipeline.log_tail()}")

    def _run(self, topic: str, latency_ms: int, **more: str) -> Usage:
        self._emulator.faults(latency_ms=latency_ms)
        before = self._accepted()
        log = self._folder / f"{uuid.uuid4().hex}.log"
        command = self._command(topic, _new_group(), kafka_stop_at="end", **more)
        usage = of_command("the pipeline", command, log, _RUN_SECONDS)
        summary = orjson.loads((self._folder / "summary.json").read_bytes())
        expected = self._events if topic == _FULL else 0
        for what in ("read", "accepted"):
            self._check(summary[what], expected, what)
        self._check(self._accepted() - before, expected, "accepted by the collector")
        return usage

    def _accepted(self) -> int:
        return int(self._emulator.inlet_stats(self._inlet["inletId"])["accepted"])

    def _check(self, found: int, expected: int, what: str) -> None:
        if found != expected:
            raise ServiceError(f"{found} events {what}, {expected} expected")

    def _command(self, topic: str, group: str, **more: str) -> list[str]:
        options = {
            "kafka_bootstrap_servers": self._broker.bootstrap_servers,
            "kafka_topics": [topic],
            "kafka_group_id": group,
            "aep_inlet_url": self._inlet["inletUrl"],
            "aep_dataset_id": self._inlet["datasetId"],
            "aep_org_id": "ACME@AdobeOrg",
            "xdm_schema_file": str(SCHEMA),
            "dead_letter_path": str(self._folder / "dead-letters"),
            "summary_file": str(self._folder / "summary.json"),
            **more,
        }
        path = self._folder / f"{group}.yaml"
        path.write_text(yaml.safe_dump(options))
        return [sys.executable, "-m", "pipelines.kafka_to_aep", "--options_file", str(path)]


def _new_group() -> str:
    """Return a group that has read nothing."""
    return f"bench-{uuid.uuid4().hex[:8]}"
