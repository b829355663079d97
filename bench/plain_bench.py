"""The whole pipeline against a careless script that does the same work without its promises, see `plain_script`.

Both read the same topic of a real Apache Kafka and post to the same collector, which only counts. CPU time is compared,
what each takes for an empty topic subtracted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from aep.ingestion.envelope import Payload
from bench.figure import Figure
from bench.measure import Usage, of_command
from bench.rig import EMPTY, RUN_SECONDS, Load, Rig, new_name, set_up
from bench.transforms_bench import SCHEMA
from testing.services.process import ServiceError

KINDS: tuple[tuple[int, Payload], ...] = (
    (900, "entity"),
    (900, "message"),
    (1_900, "entity"),
    (1_900, "message"),
)
"""Sizes of the events in bytes, and what the records are."""

_PARTITIONS = 4
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
    with set_up() as rig:
        for event_bytes, payload in KINDS:
            rig.fill(_topic(event_bytes, payload), _PARTITIONS, Load(events, event_bytes, payload == "message"))
        return [_pair(rig, number, events, *kind) for number in range(rounds) for kind in KINDS]


def figures(pairs: Sequence[Pair]) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    made = []
    for event_bytes, payload in KINDS:
        of_kind = [one for one in pairs if (one.event_bytes, one.payload) == (event_bytes, payload)]
        what = f"Kafka to accepted ({event_bytes / 1000:g} kB, {_PAYLOADS[payload]})"
        ratios = [one.pipeline.cpu_seconds / one.script.cpu_seconds for one in of_kind]
        made.append(Figure(f"{payload}-{event_bytes}", f"{what}: CPU / a plain script's", ratios))
    return made


def _pair(rig: Rig, number: int, events: int, event_bytes: int, payload: Payload) -> Pair:
    """Measure both; the other one first in every second round."""
    usages = {}
    for who in (_pipeline, _script)[:: -1 if number % 2 else 1]:
        start_up = who(rig, EMPTY, payload, 0)
        usages[who] = who(rig, _topic(event_bytes, payload), payload, events).beyond(start_up)
    return Pair(event_bytes, payload, events, usages[_pipeline], usages[_script])


def _pipeline(rig: Rig, topic: str, payload: Payload, expected: int) -> Usage:
    return rig.run(topic, expected, xdm_payload=payload)


def _script(rig: Rig, topic: str, payload: Payload, expected: int) -> Usage:
    before = rig.accepted()
    command = [sys.executable, "-m", "bench.plain_script", rig.broker.bootstrap_servers, topic, new_name()]
    command += [str(expected), rig.inlet_url, rig.dataset_id, str(SCHEMA), payload]
    usage = of_command("the plain script", command, rig.folder / f"{new_name()}.log", RUN_SECONDS)
    if (accepted := rig.accepted() - before) != expected:
        raise ServiceError(f"the plain script: {accepted} events accepted by the collector, {expected} expected")
    return usage


def _topic(event_bytes: int, payload: Payload) -> str:
    return f"{payload}-{event_bytes}"
