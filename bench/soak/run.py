"""Carries a soak out: a steady stream of records, the pipeline, the plan's faults, and at the end the account."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.soak import account, chaos
from bench.soak.account import Account, Duplicates
from bench.soak.chaos import Edge, Fault
from bench.soak.pipeline import Run
from bench.soak.producer import SteadyProducer
from bench.soak.services import BUNDLE_RECORDS, TOPICS, Services
from demo.account import Expected
from samples.loyalty import generate
from testing.services.process import ServiceError, wait_for

BROKEN_SHARE = 0.01

_TICK_SECONDS = 0.5
_COUNT_SECONDS = 2.0
_START_SECONDS = 60
_DRAIN_SECONDS = 90
_ENDLESS = 2**62  # samples


@dataclass(frozen=True)
class Settings:
    """What was asked for: the length, records a second, the seed of records and faults, and a folder for the files."""

    seconds: float
    rate: float
    seed: int
    folder: Path


@dataclass
class State:
    """The state of a soak, for the progress line."""

    seconds: float = 0.0
    produced: int = 0
    accepted: int = 0
    lag: int = 0
    memory: int = 0
    active: list[Fault] = field(default_factory=list)
    doing: str = "starting Kafka and a local AEP"


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        plan: The faults that were carried out.
        account: Account of all records.
        runs: The pipeline's processes.
        lags: Records in Kafka and not committed, every two seconds: (seconds since the soak began, records).
        seconds: From the first record accepted to the last one committed.
    """

    settings: Settings
    plan: list[Fault]
    account: Account
    runs: list[Run]
    lags: list[tuple[float, int]]
    seconds: float


def run(settings: Settings, show: Callable[[State], None]) -> Result:
    """Run a soak; `show` is called twice a second.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka; the message says what it lacks.
        ServiceError: A service, not the pipeline, did not do what it should.
    """
    show(State())
    with Services(settings.folder) as services:
        return _Soak(settings, services, show).run()


class _Soak:
    def __init__(self, settings: Settings, services: Services, show: Callable[[State], None]):
        self._settings = settings
        self._services = services
        self._show = show
        self._state = State(doing="starting the pipeline")
        self._expected = Expected.of_topics(TOPICS)
        samples = generate(_ENDLESS, seed=settings.seed, broken_share=BROKEN_SHARE)
        self._producer = SteadyProducer(
            services.broker.bootstrap_servers, self._expected.note(samples, account.is_dropped), settings.rate
        )
        self._began = math.inf
        self._count_at = float("-inf")
        self._stored = 0  # messages that AEP has accepted, duplicates included
        self._loses_answers = False
        self._lags: list[tuple[float, int]] = []
        self._lags_at_stops: list[int] = []

    def run(self) -> Result:
        plan = chaos.plan(self._settings.seed, self._settings.seconds)
        self._services.pipeline.start()
        self._producer.start()
        self._until(lambda: self._state.accepted > 0, _START_SECONDS)
        self._began = time.monotonic()
        self._lags.clear()
        self._state.doing = ""
        self._carry_out(chaos.edges(plan))
        self._state.doing = "draining"
        self._producer.stop()
        drained = self._drain()
        seconds = self._now()
        self._services.pipeline.ask_to_stop()
        self._services.pipeline.await_stop()
        return Result(self._settings, plan, self._account(drained), self._services.pipeline.runs, self._lags, seconds)

    def _carry_out(self, edges: list[Edge]) -> None:
        while edges or self._now() < self._settings.seconds:
            while edges and edges[0].at <= self._now():
                self._pass(edges.pop(0))
            self._tick()
            time.sleep(_TICK_SECONDS)

    def _pass(self, edge: Edge) -> None:
        fault = edge.fault
        self._count()
        if edge.begins:
            if fault.kind in chaos.BROKER:
                self._lags_at_stops.append(self._state.lag)
            self._state.active.append(fault)
            self._services.begin(fault)
        else:
            self._services.end(fault)
            self._state.active.remove(fault)

    def _drain(self) -> bool:
        try:
            self._until(lambda: self._state.lag == 0 and self._services.all_committed(), _DRAIN_SECONDS)
        except ServiceError:
            return False
        return True

    def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        def ticked() -> bool:
            self._tick()
            return condition()

        wait_for(ticked, seconds, f"the pipeline\n{self._services.pipeline.words()}")

    def _tick(self) -> None:
        self._producer.check()
        self._services.pipeline.check()
        if time.monotonic() >= self._count_at:
            self._count()
        state = self._state
        state.seconds = self._now()
        memory = self._services.pipeline.run.memory
        state.memory = memory[-1][1] if memory else 0
        self._show(state)

    def _count(self) -> None:
        """Ask Kafka and AEP how far things are."""
        self._count_at = time.monotonic() + _COUNT_SECONDS
        state = self._state
        state.produced = self._producer.acknowledged
        committed = self._services.committed()
        if committed is not None:
            # Records that were written since the group was asked are not late.
            state.lag = max(0, state.produced - committed)
            self._lags.append((round(self._now(), 1), state.lag))
        counts = self._services.counts()
        if counts is None:
            return
        loses = any(fault.kind in chaos.LOSE_ANSWERS for fault in state.active)
        if loses or self._loses_answers:
            self._services.pipeline.run.unanswered += counts.accepted - self._stored
        self._loses_answers = loses
        self._stored = counts.accepted
        state.accepted = counts.unique

    def _account(self, drained: bool) -> Account:
        services, expected = self._services, self._expected
        runs = services.pipeline.runs
        delivered, letters = services.delivered(), services.dead_letters()
        duplicates = Duplicates(
            found=account.count_duplicates(delivered, letters),
            reread=account.reread(runs, self._lags_at_stops, BUNDLE_RECORDS),
            told=sum(run.summary.get("duplicates_possible", 0) for run in runs),
            untold=sum(run.unanswered for run in runs if not run.summary),
        )
        problems = account.wrong(expected, delivered, letters) + account.misbehaviour(runs, duplicates)
        problems += [
            f"pipeline {run.number} printed a traceback; see {run.log}"
            for run in runs
            if re.search("^Traceback", run.log.read_text(errors="replace"), re.MULTILINE)
        ]
        if not drained:
            problems.append(
                f"{self._state.lag:,} records were not committed {_DRAIN_SECONDS} s after the last was written"
            )
        counts = services.counts()
        assert counts is not None  # nothing is switched off any more
        return Account(
            produced=self._producer.acknowledged,
            accepted=sum(len(inlet.accepted) for inlet in delivered.values()),
            dead_lettered=account.by_code(letters),
            dropped=len(expected.dropped),
            duplicates=duplicates,
            requests=counts.requests,
            statuses=counts.statuses,
            problems=problems,
        )

    def _now(self) -> float:
        """Return seconds since the soak began; 0 while it has not."""
        return max(0.0, time.monotonic() - self._began)
