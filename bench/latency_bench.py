"""Latency: from a record's time in Kafka to its acceptance, of a pipeline that has caught up and is fed evenly.

The pipeline measures it itself, as in every run; the collector answers at once.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import orjson
import yaml
from confluent_kafka import Producer

from bench.figure import Figure
from bench.transforms_bench import SCHEMA
from samples.loyalty import MIN_EVENT_BYTES, generate
from testing.services.emulator import Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import ServiceError, ServiceProcess, wait_for

RATES = (50, 1_000)
"""Events a second."""

LOW_LATENCY = "low-latency.yaml"
SETTINGS = {"default": (), LOW_LATENCY: (Path(__file__).parents[1] / "configs" / LOW_LATENCY,)}
"""Files of options by what their figures are called."""

_TOPIC, _PARTITIONS = "loyalty-events", 4
_TICK_SECONDS = 0.001
_WAIT_SECONDS = 120
_WARM_UP_RUNS, _WARM_UP_EVENTS = 5, 10_000


@dataclass(frozen=True)
class Run:
    """One run: quantiles in milliseconds, and what they took."""

    settings: str
    rate: int
    p50: int
    p95: int
    p99: int
    requests_per_second: float


def measure(seconds: float, rounds: int) -> list[Run]:
    """Return a run for each round, rate and kind of settings.

    Args:
        seconds: How long events come in each.
        rounds: How often all of it is done.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka; the message says what it lacks.
        ServiceError: A run failed, or did not deliver each event.
    """
    with (
        KafkaBroker() as broker,
        Emulator(count_only=True) as emulator,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
    ):
        _warm_up(broker)
        return [
            _Feed(broker, emulator, Path(folder)).run(settings, rate, seconds)
            for _ in range(rounds)
            for rate in RATES
            for settings in SETTINGS
        ]


def figures(runs: Sequence[Run]) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    found: list[Figure] = []
    for rate in RATES:
        for settings in SETTINGS:
            those = [one for one in runs if (one.rate, one.settings) == (rate, settings)]
            name = f"latency at {rate:,} events/s, {settings}"
            key = f"{Path(settings).stem}-{rate}"
            found.append(Figure(f"{key}-p50", f"{name}: p50, ms", [one.p50 for one in those]))
            found.append(Figure(f"{key}-p95", f"{name}: p95, ms", [one.p95 for one in those]))
            found.append(Figure(f"{key}-p99", f"{name}: p99, ms", [one.p99 for one in those]))
    return found


def _warm_up(broker: KafkaBroker) -> None:
    """Write to the broker and read from it until Java has compiled what that takes."""
    topic = "warm-up"
    broker.create_topic(topic, _PARTITIONS)
    for _ in range(_WARM_UP_RUNS):
        samples = generate(_WARM_UP_EVENTS, kind="events", event_bytes=MIN_EVENT_BYTES)
        broker.produce(topic, ((one.key, one.value, None, None) for one in samples))
        broker.consume_all(topic)


class _Feed:
    def __init__(self, broker: KafkaBroker, emulator: Emulator, folder: Path):
        self._broker, self._emulator, self._folder = broker, emulator, folder
        self._topic = f"{_TOPIC}-{uuid.uuid4().hex[:8]}"
        self._inlet = emulator.create_inlet(name=self._topic, schema=orjson.loads(SCHEMA.read_bytes()))
        broker.create_topic(self._topic, _PARTITIONS)
        self._producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0})

    def run(self, settings: str, rate: int, seconds: float) -> Run:
        events = max(1, round(rate * seconds))
        samples = iter(generate(events + 1, kind="events", event_bytes=MIN_EVENT_BYTES))
        values = ((one.key, one.value) for one in samples)
        with ServiceProcess("the pipeline", self._command(settings), self._folder / f"{self._topic}.log") as pipeline:
            # One event more: it waits for the pipeline to start, and is too few to show among the quantiles.
            self._send(islice(values, 1))
            self._wait(pipeline, 1)
            self._send(values, rate)
            self._wait(pipeline, events + 1)
            pipeline.signal(signal.SIGINT)
            wait_for(lambda: not pipeline.running, _WAIT_SECONDS, "the end of the pipeline")
        summary = orjson.loads(self._summary.read_bytes())
        found = summary["latency_milliseconds"]
        if found["records"] != events + 1:
            raise ServiceError(f"{found['records']} events measured, {events + 1} expected")
        return Run(
            settings, rate, found["p50"], found["p95"], found["p99"], (summary["requests"] - 1) / (events / rate)
        )

    def _send(self, values: Iterator[tuple[bytes | None, bytes | None]], rate: float = float("inf")) -> None:
        started = time.perf_counter()
        for sent, (key, value) in enumerate(values):
            while sent > (time.perf_counter() - started) * rate:
                time.sleep(_TICK_SECONDS)
            self._producer.produce(self._topic, key=key, value=value)
            self._producer.poll(0)
        self._producer.flush()

    def _wait(self, pipeline: ServiceProcess, accepted: int) -> None:
        stats = self._emulator.inlet_stats
        wait_for(
            lambda: stats(self._inlet["inletId"])["accepted"] >= accepted or not pipeline.running,
            _WAIT_SECONDS,
            f"{accepted} events",
        )
        if not pipeline.running:
            raise ServiceError(f"the pipeline ended early\n{pipeline.log_tail()}")

    @property
    def _summary(self) -> Path:
        return self._folder / f"{self._topic}.json"

    def _command(self, settings: str) -> list[str]:
        options = {
            "kafka_bootstrap_servers": self._broker.bootstrap_servers,
            "kafka_topics": [self._topic],
            "kafka_group_id": self._topic,
            "aep_inlet_url": self._inlet["inletUrl"],
            "aep_dataset_id": self._inlet["datasetId"],
            "aep_org_id": "ACME@AdobeOrg",
            "xdm_schema_file": str(SCHEMA),
            "dead_letter_path": str(self._folder / "dead-letters"),
            "summary_file": str(self._summary),
        }
        own = self._folder / f"{self._topic}.yaml"
        own.write_text(yaml.safe_dump(options))
        files = [f"--options_file={path}" for path in (own, *SETTINGS[settings])]
        return [sys.executable, "-m", "pipelines.kafka_to_aep", *files]
