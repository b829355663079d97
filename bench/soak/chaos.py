"""The plan of a soak's faults: drawn from a seed, so that what one run met another can meet again. Decides only.

There are two lanes, and within a lane no two faults overlap. *Troubles* slow AEP or spoil some of its answers: other
requests get through. *Stops* let nothing through while they last, and each leaves time to recover. So a trouble may
meet a stop, and records still flow most of the time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Switches = dict[str, Any]  # in the form of the emulator's POST /__local/faults

LEAD_SECONDS = 5.0
"""Without faults at the beginning: the pipeline finds its pace."""
TAIL_SECONDS = 5.0
"""Without faults at the end."""
SHORTEST_RUN = 60.0
"""Seconds in which a plan has room for a good selection."""

# From this length on faults last as long as they may; in a shorter run they are shorter, so that it meets more kinds.
_LONG_RUN = 600.0
_OPEN_END = 3600  # seconds: the emulator's outage is ended by hand


class Kind(NamedTuple):
    """How long a fault of this kind lasts, how long the pipeline may take to recover, and its switches, if any."""

    shortest: float
    longest: float
    recovery: float
    switches: Callable[[random.Random], Switches] = lambda draw: {}


def _share(draw: random.Random, low: float, high: float) -> float:
    return round(draw.uniform(low, high), 2)


def _latency(draw: random.Random) -> Switches:
    return {"latency_ms": draw.randint(50, 400), "jitter_ms": draw.randint(50, 400)}


def _throttled(draw: random.Random) -> Switches:
    return {"rate": {"429": _share(draw, 0.3, 0.7)}}


def _resets(draw: random.Random, when: str) -> Switches:
    return {"reset_rate": _share(draw, 0.2, 0.5), "reset_when": when}


def _element_errors(draw: random.Random) -> Switches:
    return {"element_rate": {status: _share(draw, 0.01, 0.1) for status in ("429", "500", "503")}}


def _misfit(draw: random.Random) -> Switches:
    how = draw.choice(["short", "long", "missing", "reversed", "duplicate", "not_json"])
    return {"responses": how, "responses_rate": _share(draw, 0.2, 0.5)}


TROUBLES: dict[str, Kind] = {
    "latency": Kind(3, 15, 1, _latency),
    "throttled": Kind(3, 12, 2, _throttled),
    "throttled_retry_after": Kind(3, 12, 2, lambda draw: {**_throttled(draw), "retry_after": draw.randint(1, 2)}),
    "unavailable": Kind(2, 8, 2, lambda draw: {"rate": {"503": _share(draw, 0.3, 0.8)}}),
    "reset_before_storing": Kind(3, 10, 2, lambda draw: _resets(draw, "before")),
    "reset_after_storing": Kind(3, 10, 2, lambda draw: _resets(draw, "after")),
    "element_errors": Kind(3, 12, 2, _element_errors),
    "misfit": Kind(3, 10, 2, _misfit),
}
"""While one lasts, AEP is slow, refuses some requests or messages, or loses some answers."""

STOPS: dict[str, Kind] = {
    "outage_503": Kind(3, 15, 6, lambda draw: {"outage_s": _OPEN_END, "outage_mode": "503"}),
    "outage_reset": Kind(3, 15, 6, lambda draw: {"outage_s": _OPEN_END, "outage_mode": "reset"}),
    # All access tokens are revoked as well.
    "ims_down": Kind(3, 10, 6, lambda draw: {"ims_status": draw.choice([500, 503])}),
    "aep_freeze": Kind(2, 3, 4),
    # Refuses connections until it is started again, with its state.
    "aep_kill": Kind(1, 8, 5),
    "broker_freeze": Kind(2, 3, 5),
    "broker_stop": Kind(1, 5, 12),
    # A killed member's partitions are dealt again when its session is over.
    "pipeline_kill": Kind(0.2, 2, 14),
    "pipeline_stop": Kind(0.2, 2, 10),
}
"""While one lasts, nothing gets through; each names what is stopped."""

PIPELINE = ("pipeline_kill", "pipeline_stop")
"""In the first half only, so that the last process runs long enough to show the trend of its memory."""

LOSE_ANSWERS = ("reset_after_storing", "misfit", "aep_kill")
"""AEP may store what it then gives no answer to that fits: it will be sent again."""

BROKER = ("broker_freeze", "broker_stop")
"""A consumer that its group's coordinator has not heard of for long loses its partitions, and reads again from the
committed offsets."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        start: Seconds since the soak began.
        seconds: Its length.
        kind: A name from `TROUBLES` or `STOPS`.
        switches: What is switched on in the emulator meanwhile.
    """

    start: float
    seconds: float
    kind: str
    switches: Switches = field(default_factory=dict)

    @property
    def end(self) -> float:
        """Seconds since the soak began."""
        return self.start + self.seconds


class Edge(NamedTuple):
    """The beginning or the end of a fault."""

    at: float
    begins: bool
    fault: Fault


def plan(seed: int, seconds: float) -> list[Fault]:
    """Return the faults of a soak of the given seconds, by their start; the same for the same seed.

    Kinds come in rounds, each shuffled, so that each has its turn; one of the first two stops is a kill of the
    pipeline.
    """
    draw = random.Random(seed)
    stops = [*STOPS]
    draw.shuffle(stops)
    stops.remove("pipeline_kill")
    stops.insert(draw.randrange(2), "pipeline_kill")
    troubles = [*TROUBLES]
    draw.shuffle(troubles)
    faults = [*_lane(draw, STOPS, stops, seconds), *_lane(draw, TROUBLES, troubles, seconds)]
    return sorted(faults, key=lambda fault: fault.start)


def _lane(draw: random.Random, kinds: Mapping[str, Kind], names: list[str], seconds: float) -> Iterator[Fault]:
    scale = min(1.0, seconds / _LONG_RUN)
    at = LEAD_SECONDS
    while True:
        for name in names:
            if name in PIPELINE and at > seconds / 2:
                continue
            kind = kinds[name]
            length = round(draw.uniform(kind.shortest, kind.shortest + (kind.longest - kind.shortest) * scale), 1)
            if at + length > seconds - TAIL_SECONDS:
                return
            yield Fault(round(at, 1), length, name, kind.switches(draw))
            at += length + kind.recovery + draw.uniform(0, 5 * scale)
        draw.shuffle(names)


def edges(faults: Sequence[Fault]) -> list[Edge]:
    """Return all beginnings and ends in order; where two fall together, ends come first."""
    found = [Edge(fault.start, True, fault) for fault in faults] + [Edge(fault.end, False, fault) for fault in faults]
    return sorted(found, key=lambda edge: (edge.at, edge.begins))


def switches(active: Sequence[Fault]) -> Switches:
    """Return what must be switched on in the emulator while these faults last; the two lanes have no
    switch in common.
    """
    merged: Switches = {}
    for fault in active:
        merged |= fault.switches
    return merged
