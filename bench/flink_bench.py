"""On a real Flink cluster: what the workers cost against a local run, four subtasks against one, latency, memory.

What a job takes to start is left out: it has carried its first events before anything is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from bench.figure import Figure
from bench.flink_job import TASK_MANAGERS, running
from bench.measure import cpu_seconds
from bench.rig import Load, Rig, new_name, set_up
from testing.services.process import PATIENCE_SECONDS, ServiceError, ServiceProcess, wait_for

RATE = 400
"""Events a second, where latency is measured."""

LATENCY_MS, IN_FLIGHT = 100, 1
"""What bounds a worker where subtasks are compared: the machine's two cores would otherwise be what is measured."""

_PARTITIONS = 12
_FIRST = 1_000  # events that show that all runs
_START_SECONDS = 60  # a job may take to start: it ends so long after its events
_FROM, _TO = 0.1, 0.8  # of the events, where subtasks are compared


@dataclass(frozen=True)
class Round:
    """One measurement of each.

    Attributes:
        cpu: CPU seconds of all workers for a million events.
        local_cpu: The same of a local run.
        one: Events a second with one subtask.
        four: Events a second with four.
        mean_ms: Latency, of all events.
        p95_ms: The same, of all but 5 %.
        megabytes: Memory of the largest worker after these events.
        later_megabytes: The same after as many again.
    """

    cpu: float
    local_cpu: float
    one: float
    four: float
    mean_ms: float
    p95_ms: float
    megabytes: float
    later_megabytes: float


def measure(events: int, rounds: int, seconds: float) -> list[Round]:
    """Return measurements of each round; latency is that of so many seconds.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka or Flink; the message says what it lacks.
        ServiceError: A run failed, or did not deliver each event.
    """
    with set_up() as rig:
        return [_round(rig, events, seconds) for _ in range(rounds)]


def figures(rounds: Sequence[Round]) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    flink = f"Flink, {TASK_MANAGERS} task managers"
    latency = f"{flink}: latency at {RATE} events/s"
    return [
        Figure("cpu", f"{flink}: CPU of the workers / of a local run", [one.cpu / one.local_cpu for one in rounds]),
        Figure("subtasks", f"{flink}: throughput of four subtasks / of one", [one.four / one.one for one in rounds]),
        Figure("mean", f"{latency}, mean, ms", [one.mean_ms for one in rounds]),
        Figure("p95", f"{latency}, p95, ms", [one.p95_ms for one in rounds]),
        Figure("memory", f"{flink}: memory of a worker, MB", [one.later_megabytes for one in rounds]),
        Figure(
            "growth",
            f"{flink}: memory of a worker after twice the events / after the first half",
            [one.later_megabytes / one.megabytes for one in rounds],
        ),
    ]


def _round(rig: Rig, events: int, seconds: float) -> Round:
    topic, first = _topic(rig)
    with running(rig, topic, TASK_MANAGERS) as job:
        rig.wait_until_accepted([job.submitter], first)
        before = job.cpu_seconds()
        _feed_at_once(rig, topic, events, job.submitter, job.pool)
        cpu, megabytes = job.cpu_seconds() - before, job.megabytes()
        _feed_at_once(rig, topic, events, job.submitter, job.pool)
        later_megabytes = job.megabytes()
    mean_ms, p95_ms = _latency(rig, seconds)
    return Round(
        cpu / events * 1e6,
        _local_cpu(rig, events) / events * 1e6,
        _rate(rig, events, 1),
        _rate(rig, events, TASK_MANAGERS),
        mean_ms,
        p95_ms,
        megabytes,
        later_megabytes,
    )


def _local_cpu(rig: Rig, events: int) -> float:
    topic, first = _topic(rig)
    with rig.running([rig.command(topic, kafka_stop_at="never")]) as (pipeline,):
        rig.wait_until_accepted([pipeline], first)
        before = cpu_seconds(pipeline.pid)
        _feed_at_once(rig, topic, events, pipeline, pipeline)
        return cpu_seconds(pipeline.pid) - before


def _latency(rig: Rig, seconds: float) -> tuple[float, float]:
    """Return mean and p95, in milliseconds.

    The mean is from the workers' pages. Their buckets are too wide for p95, which is from the job's account at its end.
    """
    topic, first = _topic(rig, 1)
    summary = rig.folder / f"{topic}.json"
    ending = {
        "kafka_stop_after_seconds": seconds + _START_SECONDS,
        "shutdown_sources_after_idle_ms": 1_000,
        "summary_file": str(summary),
    }
    events = round(RATE * seconds)
    with running(rig, topic, TASK_MANAGERS, **ending) as job:
        rig.wait_until_accepted([job.submitter], first)
        before = job.latencies()
        rig.produce_evenly(topic, events, RATE)
        rig.wait_until_accepted([job.submitter], first + events)
        latency = job.latencies().beyond(before)
        wait_for(lambda: not job.submitter.running, PATIENCE_SECONDS, "the end of the job")
        account = orjson.loads(summary.read_bytes())
    found = account["latency_milliseconds"]
    if latency.records != events or found["records"] != events + 1:
        raise ServiceError(f"{latency.records} and {found['records']} events measured, {events} and one more expected")
    return latency.sum_milliseconds / events, found["p95"]


def _rate(rig: Rig, events: int, subtasks: int) -> float:
    topic, first = _topic(rig)
    rig.emulator.faults(latency_ms=LATENCY_MS)
    with running(rig, topic, subtasks, aep_max_in_flight=IN_FLIGHT) as job:
        rig.wait_until_accepted([job.submitter], first)
        rig.produce(topic, Load(events))
        rate = rig.rate([job.submitter], first + round(_FROM * events), first + round(_TO * events))
    rig.emulator.faults(latency_ms=0)
    return rate


def _topic(rig: Rig, events: int = _FIRST) -> tuple[str, int]:
    """Return a new topic with the first events, and how many the collector will have accepted by then."""
    topic, before = new_name(), rig.accepted()
    rig.fill(topic, _PARTITIONS, Load(events))
    return topic, before + events


def _feed_at_once(rig: Rig, topic: str, events: int, waits: ServiceProcess, reads: ServiceProcess) -> None:
    """Write events while nothing reads, and wait until all are accepted."""
    expected = rig.accepted() + events
    reads.pause()
    rig.produce(topic, Load(events))
    reads.resume()
    rig.wait_until_accepted([waits], expected)
