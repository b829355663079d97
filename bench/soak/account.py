"""Where every record of a soak must end, and how many duplicates are allowed: no input or output here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from bench.soak.pipeline import Run
from demo.account import Delivered, Expected, differences, sequence_of
from samples.loyalty import EVENTS_TOPIC, Sample
from transforms.records.dead_letter import DeadLetter

POLL_RECORDS = 500
"""A bundle may grow by a poll's worth beyond its limit."""

MEMORY_LIMIT_MB = 400

DROPPED_EVENT_TYPE = "commerce.productViews"
"""The route of the events drops those of this type."""


@dataclass(frozen=True)
class Duplicates:
    """Records that were stored or dead-lettered more than once, and how many there may be.

    Attributes:
        found: Each time beyond the first.
        reread: At most, after a process ended in the middle of a bundle, or the broker was away.
        told: At most, by the summaries of the runs that left one: sent again although they may have arrived.
        untold: At most, in runs that left none: what AEP accepted while it lost answers to them.
    """

    found: int = 0
    reread: int = 0
    told: int = 0
    untold: int = 0

    @property
    def bound(self) -> int:
        """The most there may be."""
        return self.reread + self.told + self.untold


@dataclass(frozen=True)
class Account:
    """Where the records are.

    Attributes:
        produced: Records in Kafka.
        accepted: Those that AEP has, each counted once.
        dead_lettered: Those that are dead-lettered, each counted once, by code.
        dropped: Those that their route drops.
        duplicates: See there.
        requests, statuses: That AEP has seen, and how it answered; `reset` are connections that it dropped.
        problems: A sentence for each thing that is wrong; none when the account adds up.
    """

    produced: int
    accepted: int
    dead_lettered: dict[str, int]
    dropped: int
    duplicates: Duplicates
    requests: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def is_dropped(sample: Sample) -> bool:
    """Return whether the sample's route drops it; a record that cannot be parsed is dead-lettered before that."""
    return (
        sample.topic == EVENTS_TOPIC
        and sample.expected_stage != "parse"
        and orjson.loads(sample.value).get("eventType") == DROPPED_EVENT_TYPE
    )


def reread(runs: Iterable[Run], lags: Iterable[int], bundle_records: int) -> int:
    """Return the most records that may have been read again.

    Args:
        runs: The pipeline's processes: one that did not end in good order leaves a bundle behind.
        lags: Records in Kafka and not committed, each time that the broker went away: should the consumer lose its
            partitions, it reads them again, and a bundle of what was written meanwhile.
        bundle_records: The limit of a bundle.
    """
    bundle = bundle_records + POLL_RECORDS
    unfinished = sum(run.ending in ("killed", "gave up", "by itself") for run in runs)
    return unfinished * bundle + sum(lag + bundle for lag in lags)


def count_duplicates(delivered: Mapping[str, Delivered], letters: Sequence[DeadLetter]) -> int:
    """Return how often records were stored or dead-lettered beyond their first time."""
    stored = sum(times - 1 for inlet in delivered.values() for times in inlet.accepted.values())
    return stored + len(letters) - len({sequence_of(letter) for letter in letters})


def wrong(expected: Expected, delivered: Mapping[str, Delivered], letters: Sequence[DeadLetter]) -> list[str]:
    """Return a sentence for each record, or group of records, that is not where it must be."""
    found = differences(expected, delivered, letters)
    stages = {sequence_of(letter): letter.stage for letter in letters}
    for number in sorted(stages.keys() & expected.broken.keys()):
        sample = expected.broken[number]
        if stages[number] != sample.expected_stage:
            found.append(f"sample {number} ({sample.broken}): stage {stages[number]}, not {sample.expected_stage}")
    return found


def by_code(letters: Iterable[DeadLetter]) -> dict[str, int]:
    """Return how many records are dead-lettered with each code, duplicates left out."""
    codes = {sequence_of(letter): letter.code for letter in letters}
    return dict(sorted(Counter(codes.values()).items()))


def misbehaviour(runs: Sequence[Run], duplicates: Duplicates) -> list[str]:
    """Return a sentence for each thing that the pipeline's processes should not have done."""
    found = []
    if duplicates.found > duplicates.bound:
        found.append(f"{duplicates.found:,} duplicates, where there may be {duplicates.bound:,} at most")
    for run in runs:
        most = max((resident for _, resident in run.memory), default=0) / 1e6
        if most > MEMORY_LIMIT_MB:
            found.append(f"pipeline {run.number} took {most:,.0f} MB of memory, more than {MEMORY_LIMIT_MB}")
        if run.ending == "by itself":
            found.append(f"pipeline {run.number} ended by itself after {run.seconds:,.0f} s; see {run.log}")
        if run.summary.get("outcome") == "stopped" and run.summary["unaccounted"]:
            found.append(f"pipeline {run.number} could not account for {run.summary['unaccounted']:,} records itself")
    return found
