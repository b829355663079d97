"""The cluster and the job that options mean."""

from __future__ import annotations

import requests

from pipelines.flink.cluster import is_address
from pipelines.flink.rest import FlinkRest
from pipelines.jobs import find_job
from pipelines.options.settings import Settings
from pipelines.options.yaml_files import OptionsError


def cluster_of(settings: Settings) -> FlinkRest:
    """Return the cluster that a run with these options submits its job to.

    Raises:
        OptionsError: They name none that could be asked.
    """
    master = settings.beam.get("flink_master")
    if not master:
        raise OptionsError(["flink_master: missing: give the address of the job manager's REST API, such as host:8081"])
    if not is_address(master):
        origin = settings.origin("flink_master")
        raise OptionsError([f"flink_master ({origin}): expected HOST:PORT of the job manager's REST API, got {master}"])
    return FlinkRest(master, requests.Session())


def job_name(settings: Settings) -> str | None:
    name = settings.beam.get("job_name")
    return str(name) if name else None


def commits(settings: Settings, pipeline: str) -> bool:
    """Return whether a run commits the offsets of what is delivered, so that the next job can begin there.

    What reads Kinesis has its positions in Flink's checkpoints only, as has `batch_mode=state`; files have none.
    """
    return find_job(pipeline) is not None and settings.batch.mode == "bundle" and settings.kafka.source != "file"
