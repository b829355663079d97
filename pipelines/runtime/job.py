"""What a pipeline gives to be run: its options' checks, its plan, its steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import apache_beam as beam

from pipelines.options.destination import DestinationKind, no_notes
from pipelines.options.help import RUN_GROUPS
from pipelines.options.problems import Finding
from pipelines.options.readiness import Check
from pipelines.options.settings import Settings
from pipelines.runtime.plan import Plan
from transforms.records.chunk import Chunk
from transforms.records.outcome import Dropped, Refusal
from transforms.records.record import Record
from transforms.replay import Reads
from transforms.sinks.base import Sinks


class RunPlan(Protocol):
    """What a run asks of what its pipeline is built from; `Plan` says what each means."""

    @property
    def settings(self) -> Settings:
        """All options."""

    @property
    def local(self) -> bool:
        """Whether this process reads and writes."""

    @property
    def dead_letters(self) -> Sinks:
        """The sinks of dead letters."""

    @property
    def receiver(self) -> str:
        """What people call what the records go to."""

    @property
    def ends(self) -> bool:
        """Whether reading ends by itself."""

    @property
    def after_failure(self) -> str:
        """What users read of the next run, after an error that they have to fix."""

    @property
    def on_stop(self) -> str:
        """What users read that the run still does when it is asked to end."""

    def close(self, commit_seconds: float = 0.0) -> None:
        """End what this process reads with."""


R = TypeVar("R", bound=RunPlan)

Deliver = Callable[[beam.PCollection[Chunk], R], None]
"""Builds the steps of a pipeline after its read."""


Judge = Callable[[str, int, Record], Refusal | Dropped | None]
"""Says of a record, given its topic and partition, why the steps would refuse or drop it; None: it would be sent."""


@dataclass(frozen=True)
class Replay(Generic[R]):
    """How the dead letters of a pipeline are replayed.

    Attributes:
        plan: Turns options into what the pipeline's steps are built from, without what would stop a run that refuses
            many records.
        deliver: Builds the steps after the read.
        reads: Returns what tells the topics or the stream that the pipeline reads.
        judge: Returns what judges a record as the steps would, without running them.
    """

    plan: Callable[[Settings], R]
    deliver: Deliver[R]
    reads: Callable[[R], Reads]
    judge: Callable[[R], Judge]


@dataclass(frozen=True)
class Run(Generic[R]):
    """A pipeline that can be run, whatever it reads and writes.

    Attributes:
        title: What the account of a run is called.
        findings: Finds what is missing or contradictory in its options.
        plan: Turns options into what the pipeline is built from.
        preflight: Checks what can be checked before anything is read; raises a `UserError`.
        build: Builds the pipeline.
        after: Called once the pipeline has ended without an error, with the plan, and whether it read everything rather
            than being asked to stop. Returns what to say, or "".
        notes: What `--print_options` adds to the options; see `DestinationKind.notes`.
        checks: What `beam-aep check` looks at, given how many records it is to look at, 0 for none.
        offline_checks: What it looks at without the network.
        replay: How its dead letters are replayed; None: they are not.
        groups: Groups of options that its help shows.
        share_start: Decides where several processes of one run start, and returns how many partitions they share; None:
            a run has one process.
    """

    title: str
    findings: Callable[[Settings], Iterator[Finding]]
    plan: Callable[[Settings], R]
    preflight: Callable[[R], None]
    build: Callable[[beam.Pipeline, R], None]
    after: Callable[[R, bool], str] = lambda _, __: ""
    notes: Callable[[Settings], Sequence[str]] = no_notes
    checks: Callable[[Settings, int], Iterator[Check]] = lambda _, __: iter(())
    offline_checks: Callable[[Settings], Iterator[Check]] = lambda _: iter(())
    replay: Replay[R] | None = None
    groups: Collection[str] = RUN_GROUPS
    share_start: Callable[[R], int] | None = None


@dataclass(frozen=True)
class Job:
    """What differs between pipelines that read Kafka or files and send to a destination.

    Attributes:
        title: What the account of a run is called.
        destination: Where its records go, which decides on the keys of routes and on the options that must be given.
        plan: Turns options into what the pipeline is built from.
        build: Builds the pipeline.
        deliver: Builds its steps after the read, by which dead letters are replayed; None: they are not.
    """

    title: str
    destination: DestinationKind[Any]
    plan: Callable[[Settings, DestinationKind[Any]], Plan]
    build: Callable[[beam.Pipeline, Plan], None]
    deliver: Deliver[Plan] | None = None
