"""A job on a real Flink cluster, as it is measured: four task managers of one slot, workers of a pool beside them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from bench.measure import group_cpu_seconds, group_members
from bench.rig import Rig, new_name
from testing.services.flink import FlinkCluster
from testing.services.process import (
    PATIENCE_SECONDS,
    ServiceProcess,
    free_port,
    free_ports,
    is_listening,
    resident_bytes,
    wait_for,
)
from transforms.worker.latency import Histogram

TASK_MANAGERS = 4

_OPTIONS = Path(__file__).parents[1] / "configs" / "flink.yaml"
_PAGES = 8  # each worker takes the next free port
_BUCKET = re.compile(r'^beam_aep_latency_seconds_bucket\{(?:[^}]*,)?le="([^"]+)"[^}]*\} (\S+)$', re.MULTILINE)
_SUM = re.compile(r"^beam_aep_latency_seconds_sum(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


class Job:
    """A job that runs, and its workers."""

    def __init__(self, pool: ServiceProcess, submitter: ServiceProcess, metrics_port: int) -> None:
        self.pool, self.submitter = pool, submitter
        self._metrics_port = metrics_port

    def cpu_seconds(self) -> float:
        """Return what all workers have used so far."""
        return group_cpu_seconds(self.pool.pid)

    def megabytes(self) -> float:
        """Return the memory of the largest worker."""
        workers = [pid for pid in group_members(self.pool.pid) if pid != self.pool.pid]
        return max(map(resident_bytes, workers)) / 1e6

    def latencies(self) -> Histogram:
        """Return the latencies of all records so far, as the workers' pages of metrics have them."""
        found = Histogram()
        for port in range(self._metrics_port, self._metrics_port + _PAGES):
            if is_listening(port):
                page = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_SECONDS).text
                found.add(histogram(page))
        return found


def histogram(page: str) -> Histogram:
    """Return the latencies of a page of metrics, of all routes."""
    below, found = 0, Histogram(sum_milliseconds=round(sum(float(one) * 1000 for one in _SUM.findall(page))))
    for bound, records in _BUCKET.findall(page):
        if bound == "+Inf":
            below = 0  # the next bucket is another route's first
        else:
            found.buckets[round(float(bound) * 1000)] += int(float(records)) - below
            below = int(float(records))
    return found


@contextmanager
def running(rig: Rig, topic: str, parallelism: int, **more: Any) -> Iterator[Job]:
    """Run the pipeline as a job with the options of `configs/flink.yaml` while the `with` block lasts.

    The cluster is new for each job: nothing of the one before takes part.

    Raises:
        ServiceUnavailable: This machine cannot run Flink; the message says what it lacks.
    """
    pool_port, metrics_port = free_port(), free_ports(_PAGES)
    environment = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={pool_port}"]
    with (
        FlinkCluster(TASK_MANAGERS, slots=1) as flink,
        ServiceProcess("the worker pool", command, rig.folder / f"{new_name()}.log", env=environment) as pool,
    ):
        wait_for(lambda: "Started worker pool" in pool.log(), PATIENCE_SECONDS, "the worker pool")
        options = {
            **yaml.safe_load(_OPTIONS.read_text()),
            "runner": "PortableRunner",
            "flink_master": None,
            "job_endpoint": flink.job_endpoint,
            "environment_config": f"localhost:{pool_port}",
            "parallelism": parallelism,
            "metrics_port": metrics_port,
            "kafka_stop_at": "never",
            "dead_letter_path": str(rig.folder / "dead-letters"),
            "dead_letter_topic": None,
            **more,
        }
        with rig.running([rig.command(topic, **options)]) as (submitter,):
            yield Job(pool, submitter, metrics_port)
            flink.clear()
