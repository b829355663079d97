"""Memory in a long run at a steady rate, with the collector away for half of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.figure import Figure
from bench.rig import Load, Rig, new_name, set_up
from testing.services.process import ServiceProcess

RATE = 1_500
"""Events a second."""

_TOPIC, _PARTITIONS = "loyalty-events", 4
_OUTAGE_FROM, _OUTAGE_SHARE = 0.25, 0.5  # of the time


@dataclass(frozen=True)
class Sample:
    """Resident megabytes at a time, in seconds since the first event."""

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class MemoryResults:
    """Samples of a run, one a second, and when the collector was away."""

    samples: list[Sample]
    away_from: float
    away_until: float


def measure(seconds: float) -> MemoryResults:
    """Return the memory of a run over so many seconds, and of the time that it takes to catch up.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka; the message says what it lacks.
        ServiceError: The pipeline ended.
    """
    with set_up() as rig:
        rig.broker.create_topic(_TOPIC, _PARTITIONS)
        with rig.running([rig.command(_TOPIC, kafka_stop_at="never", kafka_group_id=new_name())]) as (pipeline,):
            rig.produce(_TOPIC, Load(1))
            rig.wait_until_accepted([pipeline], 1)
            return _run(rig, pipeline, seconds)


def figures(results: MemoryResults) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    away = results.away_until - results.away_from
    what = f"{RATE:,} events/s, AEP away for {away:.0f} s"
    # With the first seconds without AEP the memory rises once, to what may wait for it: from then on it is to be flat.
    half = results.away_from + away / 2
    full = [one.megabytes for one in results.samples if half < one.seconds < results.away_until]
    after = [one.megabytes for one in results.samples if one.seconds > results.away_until]
    return [
        Figure("peak", f"{what}: peak memory, MB", [max(one.megabytes for one in results.samples)]),
        Figure("growth", f"{what}: memory after it / at its end", [median(after) / median(full)]),
    ]


def _run(rig: Rig, pipeline: ServiceProcess, seconds: float) -> MemoryResults:
    away_from, away = seconds * _OUTAGE_FROM, seconds * _OUTAGE_SHARE
    events, over = round(RATE * seconds), threading.Event()
    feeding = threading.Thread(target=rig.produce_evenly, args=(_TOPIC, events, RATE, over))
    feeding.start()
    samples: list[Sample] = []
    gone = False
    started = time.monotonic()
    try:
        while feeding.is_alive() or rig.accepted() < events + 1:
            rig.wait([pipeline], lambda: True, "the pipeline")
            passed = time.monotonic() - started
            samples.append(Sample(passed, pipeline.resident_bytes / 1e6))
            if not gone and passed >= away_from:
                gone = True
                rig.emulator.faults(outage_s=away)
            time.sleep(min(1.0, seconds / 20))
    finally:
        over.set()
        feeding.join()
    samples.append(Sample(time.monotonic() - started, pipeline.resident_bytes / 1e6))
    return MemoryResults(samples, away_from, away_from + away)
