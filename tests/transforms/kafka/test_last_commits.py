"""A worker that ends with its job: the commits that its last finalisations have begun are made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import ExternalEnvironment

from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, wait_for
from tests.transforms.kafka.drive import numbers, source, start_of
from transforms.kafka.client import KafkaCluster
from transforms.kafka.read import ReadFromKafka
from transforms.records.chunk import Chunk
from transforms.worker import process

RECORDS = 100


class _Freeze(beam.DoFn):
    """Freezes the broker at the end of the bundle that has read everything, and notes in which process it runs."""

    def __init__(self, broker: int, note: Path):
        self._broker = broker
        self._note = note
        self._seen = 0

    def setup(self) -> None:
        process.set_up_worker()

    def process(self, element: Chunk) -> None:
        self._seen += len(element.records)

    def finish_bundle(self) -> None:
        if self._seen == RECORDS:
            self._note.write_text(str(os.getpid()))
            os.kill(self._broker, signal.SIGSTOP)


def _has_ended(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return not state or state.startswith("Z")  # the pool has not asked for it yet


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[str]:
    """The address of a worker pool."""
    port = free_port()
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with ServiceProcess("worker pool", command, tmp_path / "pool.log", env={"PATH": path}) as running:
        wait_for(lambda: "Started worker pool" in running.log(), PATIENCE_SECONDS, "the worker pool")
        yield f"localhost:{port}"


@pytest.mark.kafka
def test_a_worker_ends_after_the_last_commits_are_made(own_broker: KafkaBroker, pool: str, tmp_path: Path) -> None:
    # Flink hangs up as a job ends, upon which a worker ends by itself, and has the pool send it SIGTERM.
    for topic, is_told in (("hung-up", False), ("told", True)):
        own_broker.create_topic(topic, 1)
        numbers(own_broker, topic, RECORDS, 1)
        of = source(KafkaCluster(own_broker.bootstrap_servers, {}), topic, share_group=False)
        note = tmp_path / topic
        with beam.Pipeline(FnApiRunner(ExternalEnvironment(pool)), PipelineOptions([])) as pipeline:
            pipeline | ReadFromKafka(of, start_of(of)) | beam.ParDo(_Freeze(own_broker.process.pid, note))
        worker = int(note.read_text())
        if is_told:
            os.kill(worker, signal.SIGTERM)
        time.sleep(0.5)  # a worker that does not wait for the answer has ended by then
        own_broker.resume()
        wait_for(partial(_has_ended, worker), PATIENCE_SECONDS, "the end of the worker")
        assert own_broker.committed(of.group_id, topic) == {0: RECORDS}, topic
