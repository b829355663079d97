"""The pipeline beside Adobe's Kafka Connect sink, where its class path is given: both carry the same whole messages.

The sink validates nothing. It runs on a Kafka Connect worker of its own, with one task, as Adobe's guide has it but for
its batches: 900 kB instead of 4, with which it is a hundred times faster at 50 ms. What both take until the first
messages are through is left out: Java has compiled by then what it needs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.figure import Figure
from bench.measure import cpu_seconds
from bench.rig import Load, Rig, new_name, set_up
from testing.services import kafka_connect
from testing.services.process import ServiceError, ServiceProcess

LATENCY_MS = 50

CONNECTOR_CLASS = "com.adobe.platform.streaming.sink.impl.AEPSinkConnector"
TUNED = {
    "aep.flush.bytes.kb": "900",
    "aep.flush.interval.seconds": "2",
    "consumer.override.max.poll.records": "2000",
}
"""What Adobe's sink is run with beside what it needs."""

_FAILED = "Task threw an uncaught and unrecoverable exception"  # Kafka Connect's words
_PARTITIONS = 4
_WARM_UP_SHARE = 0.25  # events that come first, for Java to compile what it needs
_WALL_SHARE = 0.95  # the last batch waits for more to come


@dataclass(frozen=True)
class Spent:
    """What the same messages took, once all was warm; the wall time is that of 95 % of them."""

    cpu_seconds: float
    wall_seconds: float
    megabytes: float


@dataclass(frozen=True)
class Pair:
    """The same messages by the pipeline and by Adobe's sink."""

    latency_ms: int
    events: int
    pipeline: Spent
    sink: Spent


def measure(events: int, rounds: int, class_path: str) -> list[Pair]:
    """Return a pair for each round without latency, and one with it.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka or Kafka Connect; the message says what it lacks.
        ServiceError: One of the two ended, or did not deliver each message.
    """
    with set_up() as rig:
        return [
            _pair(rig, latency_ms, number, events, class_path)
            for number in range(rounds)
            for latency_ms in (0, LATENCY_MS)
        ]


def figures(pairs: Sequence[Pair]) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    found: list[Figure] = []
    for latency_ms in (0, LATENCY_MS):
        those = [one for one in pairs if one.latency_ms == latency_ms]
        what = f"whole messages (0.9 kB), {latency_ms} ms: "
        found += [
            Figure(
                f"cpu-{latency_ms}",
                f"{what}CPU time of the pipeline / of Adobe's sink",
                [one.pipeline.cpu_seconds / one.sink.cpu_seconds for one in those],
            ),
            Figure(
                f"wall-{latency_ms}",
                f"{what}wall time of Adobe's sink / of the pipeline",
                [one.sink.wall_seconds / one.pipeline.wall_seconds for one in those],
            ),
            Figure(
                f"memory-{latency_ms}",
                f"{what}memory of the pipeline / of Adobe's sink",
                [one.pipeline.megabytes / one.sink.megabytes for one in those],
            ),
        ]
    return found


def _pair(rig: Rig, latency_ms: int, number: int, events: int, class_path: str) -> Pair:
    rig.emulator.faults(latency_ms=latency_ms)
    spent = {}
    for name in ("pipeline", "sink")[:: -1 if number % 2 else 1]:
        topic = new_name()
        if name == "sink":
            folder = rig.folder / topic
            folder.mkdir()
            connector = {
                "name": topic,
                "topics": topic,
                "connector.class": CONNECTOR_CLASS,
                "tasks.max": "1",
                "aep.endpoint": rig.inlet_url,
                "aep.connection.auth.enabled": "false",
                "key.converter.schemas.enable": "false",
                **TUNED,
            }
            command = kafka_connect.command(rig.broker.bootstrap_servers, connector, class_path, folder)
        else:
            command = rig.command(topic, kafka_stop_at="never", xdm_payload="message")
        spent[name] = _spent(rig, topic, command, events)
    return Pair(latency_ms, events, spent["pipeline"], spent["sink"])


def _spent(rig: Rig, topic: str, command: Sequence[str], events: int) -> Spent:
    first = round(_WARM_UP_SHARE * events)
    rig.broker.create_topic(topic, _PARTITIONS)
    rig.produce(topic, Load(first, whole=True))
    accepted = rig.accepted() + first
    with rig.running([command]) as (process,):
        _wait(rig, process, accepted)
        process.pause()  # so that all are there when it reads on
        rig.produce(topic, Load(events, whole=True))
        cpu, began = cpu_seconds(process.pid), time.monotonic()
        process.resume()
        _wait(rig, process, accepted + round(_WALL_SHARE * events))
        wall = time.monotonic() - began
        _wait(rig, process, accepted + events)
        if (more := rig.accepted() - accepted - events) > 0:
            raise ServiceError(f"{more} messages arrived more often than once")
        return Spent(cpu_seconds(process.pid) - cpu, wall, process.resident_bytes / 1e6)


def _wait(rig: Rig, process: ServiceProcess, accepted: int) -> None:
    def arrived() -> bool:
        if _FAILED in process.log():  # the worker itself would run on without its task
            raise ServiceError(f"Adobe's sink failed\n{process.log_tail()}")
        return rig.accepted() >= accepted

    rig.wait([process], arrived, f"{accepted} messages accepted")
