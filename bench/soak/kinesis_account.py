"""Where every profile of a soak of Kinesis must end, and what its pipelines may not do: no input or output here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bench.soak.account import MEMORY_LIMIT_MB
from bench.soak.pipeline import Run

GROWTH_LIMIT_MB = 30
"""Over the outage. Kafka's client reads ahead meanwhile, up to a bound."""


@dataclass(frozen=True)
class Found:
    """What came of it.

    Attributes:
        produced: Profiles in Kafka.
        stored: How often each number is on the stream.
        read: How often each record of the stream was read, by shard and sequence number.
        kept: The records that the stream has, by shard and sequence number.
        growth_mb: How much the memory of each pipeline grew over the outage, by its name.
        runs: The processes of each pipeline, by its name.
    """

    produced: int
    stored: Counter[int]
    read: Counter[tuple[str, str]]
    kept: frozenset[tuple[str, str]]
    growth_mb: dict[str, float]
    runs: dict[str, list[Run]] = field(default_factory=dict)

    @property
    def twice(self) -> int:
        """How many records of the stream are repetitions."""
        return self.stored.total() - len(self.stored)

    @property
    def possible(self) -> int:
        """How many there may be by the writer's own account."""
        return sum(run.summary.get("duplicates_possible", 0) for run in self.runs.get("profiles_to_kinesis", ()))


def problems(found: Found) -> list[str]:
    """Return a sentence for each thing that is wrong."""
    said = [f"profile {number} is not on the stream" for number in range(found.produced) if number not in found.stored]
    said += [
        f"record {number} of shard {shard} was not read" for shard, number in sorted(found.kept - found.read.keys())
    ]
    repeated = found.read.total() - len(found.read)
    if repeated:
        said.append(f"{repeated:,} records were read twice, though no reader was killed")
    if found.twice > found.possible:
        said.append(f"{found.twice:,} repetitions on the stream, where there may be {found.possible:,} at most")
    for name, growth in found.growth_mb.items():
        if growth > GROWTH_LIMIT_MB:
            said.append(f"{name} grew by {growth:,.0f} MB in the outage, more than {GROWTH_LIMIT_MB}")
    for name, runs in found.runs.items():
        for run in runs:
            most = max((resident for _, resident in run.memory), default=0) / 1e6
            if most > MEMORY_LIMIT_MB:
                said.append(f"{name} took {most:,.0f} MB of memory, more than {MEMORY_LIMIT_MB}")
            if run.ending != "stopped":
                said.append(f"{name} ended {run.ending} after {run.seconds:,.0f} s; see {run.log}")
            elif run.summary.get("unaccounted"):
                said.append(f"{name} could not account for {run.summary['unaccounted']:,} records itself")
    return said
