"""A pipeline on a Flink cluster of four task managers of one slot, with a worker pool: what its tests share."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from samples.loyalty import Sample, generate
from testing.services.emulator import Emulator
from testing.services.flink import FlinkCluster
from testing.services.kafka import KafkaBroker, Record
from testing.services.process import PATIENCE_SECONDS, ServiceError, ServiceProcess, free_port, resident_bytes, wait_for
from tests.e2e.scenario import ROOT, Scenario

PARTITIONS = 12
SUBTASKS = 4
EVENTS = 150_000
LIMITED = {"aep_max_messages_per_second": 1_000, "kafka_bundle_max_records": 500, "checkpointing_interval": 2_000}
"""A process posts so slowly that a fault catches it at work, in bundles of half a second."""

PATIENT = {"restart-strategy.fixed-delay.attempts": "1000", "web.checkpoints.history": "1000"}
"""Settings of the cluster: a job may restart many times, and the history of its checkpoints is kept whole."""


class Accepted:
    """How many messages were accepted by when, noted while the block lasts."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._noted: list[tuple[float, int]] = [(0.0, 0)]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._note)

    def __enter__(self) -> Accepted:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _note(self) -> None:
        while not self._over.wait(0.2):
            asked = time.time()
            accepted = self._scenario.messages_accepted()
            self._noted.append((asked, accepted))

    def before(self, when: float) -> int:
        """Return at most how many were accepted by then, in seconds since 1970."""
        return max(number for noted, number in self._noted[:-1] if noted <= when)

    def until(self, when: float) -> int:
        """Return at least how many were accepted by then."""
        return min((number for noted, number in self._noted if noted >= when), default=self._noted[-1][1])


@dataclass(frozen=True)
class FullTopic:
    """Good events in twelve partitions of one topic, as many in each, for jobs of several groups.

    Attributes:
        name: Its name.
        samples: The events, by sequence number.
    """

    name: str
    samples: dict[int, Sample]


def fill(broker: KafkaBroker, events: int = EVENTS) -> FullTopic:
    """Return a new topic with so many events, written one after another to each partition in turn."""
    samples = list(generate(events, kind="events", event_bytes=900))
    name = f"events-{uuid.uuid4().hex[:8]}"
    broker.create_topic(name, PARTITIONS)
    rows: list[Record] = [(one.key, one.value, None, number % PARTITIONS) for number, one in enumerate(samples)]
    broker.produce(name, rows)
    return FullTopic(name, {sample.sequence: sample for sample in samples})


class FlinkLoad:
    """A full topic, and a job that reads it for a group of its own.

    Attributes:
        scenario: Its topic of events is the full one; that of profiles is not read.
        flink: The cluster.
        pool: What starts the cluster's workers.
    """

    def __init__(self, scenario: Scenario, flink: FlinkCluster, topic: FullTopic, folder: Path) -> None:
        self.scenario, self.flink = scenario, flink
        scenario.topics["events"] = topic.name
        scenario.oracle.samples.update(topic.samples)
        self._pool_port = free_port()
        self._folder = folder
        self._submitters: list[ServiceProcess] = []
        self.pool = self._started_pool()

    def restart_pool(self) -> None:
        """Crash the worker pool with its workers, and start it again on its port."""
        self.pool.kill()
        self.pool.log_path.unlink()
        self.pool = self._started_pool()

    def _started_pool(self) -> ServiceProcess:
        command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        log = self._folder / "pool.log"
        pool = ServiceProcess("worker pool", [*command, f"--service_port={self._pool_port}"], log, env={"PATH": path})
        pool.wait_until_ready(lambda: "Started worker pool" in pool.log(), PATIENCE_SECONDS)
        return pool

    def workers(self) -> list[int]:
        """Return the process ids of the pool's workers; those that have ended stay its children as zombies."""
        found = Path(f"/proc/{self.pool.pid}/task").glob("*/children")
        children = [int(pid) for each in found for pid in each.read_text().split()]
        return [pid for pid in children if resident_bytes(pid)]

    def start(self, **options: Any) -> None:
        """Submit the job with the options of flink.yaml, and return while it runs."""
        submitter = self.scenario.start(
            **{
                **yaml.safe_load((ROOT / "configs" / "flink.yaml").read_text()),
                **self.flink.options(),
                "flink_master": None,
                "parallelism": SUBTASKS,
                "environment_type": "EXTERNAL",
                "environment_config": f"localhost:{self._pool_port}",
                "dead_letter_path": str(self.scenario.dead_letters),
                "dead_letter_topic": None,
                "kafka_stop_at": "never",
                "routes_file": str(
                    self.scenario.write_routes({"events": self.scenario.routes()["events"]}, "events.yaml")
                ),
                **options,
            }
        )
        self._submitters.append(submitter)

    def wait_until_at_work(self) -> None:
        """Return when a checkpoint is completed after the first events were accepted, and more are under way."""
        self.scenario.wait_until_accepted(1)
        before = self._completed()
        wait_for(lambda: self._completed() > before, PATIENCE_SECONDS, "a checkpoint")
        self.scenario.wait_until_accepted(self.scenario.messages_accepted() + 1)

    def wait_until_more_is_committed(self) -> None:
        """Return when offsets are beyond those that are committed now."""
        before = self.scenario.records_committed("events")
        wait_for(
            lambda: self.scenario.records_committed("events") > before, PATIENCE_SECONDS, "offsets to be committed"
        )

    def uncommitted(self) -> int:
        """Return how many accepted events the next job reads again, once the last one's workers have ended."""
        wait_for(lambda: not self.workers(), PATIENCE_SECONDS, "the workers to end")
        return len(self.scenario.accepted("events")) - self.scenario.records_committed("events")

    def _completed(self) -> int:
        return int(self.flink.checkpoints(self.job)["counts"]["completed"])

    def began(self) -> dict[int, float]:
        """Return when each of the job's checkpoints began, in seconds since 1970, by its id."""
        history = self.flink.checkpoints(self.job)["history"]
        return {one["id"]: one["trigger_timestamp"] / 1000 for one in history}

    def repeated_at_most(self, accepted: Accepted, began: Mapping[int, float] | None = None) -> int:
        """Return what was accepted from the beginning of the checkpoint that the job was restored from, until then.

        Checkpoints `began` as they are asked for now, or before the job manager died, which remembers its own only.
        """
        restored = self.flink.checkpoints(self.job)["latest"]["restored"]
        first = max(when for number, when in (began or self.began()).items() if number <= restored["id"])
        return accepted.until(restored["restore_timestamp"] / 1000) - accepted.before(first)

    @property
    def job(self) -> str:
        """The id of the newest job."""
        return str(self.flink.jobs()[-1]["jid"])

    def wait_until_committed(self) -> None:
        """Return when the group's offsets are those of the topic's ends."""
        broker, topic, group = self.scenario.broker, self.scenario.topics["events"], self.scenario.group
        ends = broker.end_offsets(topic)
        try:
            wait_for(lambda: broker.committed(group, topic) == ends, PATIENCE_SECONDS, "all offsets to be committed")
        except ServiceError as error:
            accepted = f"{self.scenario.messages_accepted()} accepted, committed {broker.committed(group, topic)}"
            checkpoints = self.flink.checkpoints(self.job)["counts"]
            raise ServiceError(f"{error}; {accepted} of {ends}; {checkpoints}\n{self.pool.log_tail()}") from None

    def duplicates(self) -> int:
        """Return how often events arrived again; each must have arrived."""
        accepted = self.scenario.accepted("events")
        assert set(accepted) == self.scenario.oracle.good(events=True)
        assert self.scenario.dead_lettered() == []
        return accepted.total() - len(accepted)

    def close(self) -> None:
        """End its jobs, those that wait for them, and the pool."""
        self.flink.clear()
        for process in (*self._submitters, self.pool):
            process.kill()


@contextmanager
def flink_load(broker: KafkaBroker, flink: FlinkCluster, topic: FullTopic, folder: Path) -> Iterator[FlinkLoad]:
    """Give a load with an AEP of its own, whose job and pool end with the block."""
    with (
        Emulator() as aep,
        closing(FlinkLoad(Scenario(broker, aep, folder, partitions=1), flink, topic, folder)) as load,
    ):
        yield load
