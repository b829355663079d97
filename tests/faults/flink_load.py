"""A pipeline on a Flink cluster of four task managers of one slot, with a worker pool: what its tests share."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from samples.loyalty import generate
from testing.services.flink import FlinkCluster
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, wait_for
from tests.e2e.scenario import ROOT, Scenario

PARTITIONS = 12
SUBTASKS = 4


class FlinkLoad:
    """Events in twelve partitions of one topic, as many in each, and a job that reads them.

    Attributes:
        scenario: Its topics, with `PARTITIONS` partitions each; only that of events is read.
        flink, pool: The cluster, and what starts its workers.
    """

    def __init__(self, scenario: Scenario, flink: FlinkCluster, folder: Path) -> None:
        self.scenario, self.flink = scenario, flink
        self.pool_port = free_port()
        self._folder = folder
        self.pool = self.start_pool()

    def start_pool(self) -> ServiceProcess:
        """Start the worker pool, again on the port it had before."""
        command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        log = self._folder / "pool.log"
        log.unlink(missing_ok=True)
        pool = ServiceProcess("worker pool", [*command, f"--service_port={self.pool_port}"], log, env={"PATH": path})
        pool.wait_until_ready(lambda: "Started worker pool" in pool.log(), PATIENCE_SECONDS)
        self.pool = pool
        return pool

    def produce(self, events: int) -> None:
        """Write good events, one after another to each partition in turn."""
        samples = list(generate(events, kind="events", event_bytes=900))
        self.scenario.oracle.samples.update({sample.sequence: sample for sample in samples})
        self.scenario.broker.produce(
            self.scenario.topics["events"],
            [(one.key, one.value, None, number % PARTITIONS) for number, one in enumerate(samples)],
        )

    def start(self, **options: Any) -> ServiceProcess:
        """Submit the job with the options of flink.yaml, and return while it runs."""
        return self.scenario.start(
            **{
                **yaml.safe_load((ROOT / "configs" / "flink.yaml").read_text()),
                **self.flink.options(),
                "flink_master": None,
                "parallelism": SUBTASKS,
                "environment_type": "EXTERNAL",
                "environment_config": f"localhost:{self.pool_port}",
                "dead_letter_path": str(self.scenario.dead_letters),
                "dead_letter_topic": None,
                "kafka_stop_at": "never",
                "routes_file": str(self.scenario.write_routes({"events": self.scenario.routes()["events"]})),
                **options,
            }
        )

    @property
    def job(self) -> str:
        """The id of the newest job."""
        return str(self.flink.jobs()[-1]["jid"])

    def wait_until_committed(self) -> None:
        """Return when the group's offsets are those of the topic's ends."""
        broker, topic, group = self.scenario.broker, self.scenario.topics["events"], self.scenario.group
        ends = broker.end_offsets(topic)
        wait_for(lambda: broker.committed(group, topic) == ends, PATIENCE_SECONDS, "all offsets to be committed")

    def duplicates(self) -> int:
        """Return how often events arrived again; each must have arrived."""
        accepted: Counter[int] = self.scenario.accepted("events")
        assert set(accepted) == self.scenario.oracle.good(events=True)
        assert self.scenario.dead_lettered() == []
        return accepted.total() - len(accepted)


@contextmanager
def flink_load(scenario: Scenario, flink: FlinkCluster, folder: Path) -> Iterator[FlinkLoad]:
    """Give a load whose pool and jobs end with the block."""
    load = FlinkLoad(scenario, flink, folder)
    try:
        yield load
    finally:
        flink.clear()
        load.pool.kill()
