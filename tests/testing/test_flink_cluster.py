"""The Flink cluster of the tests runs pipelines, and restores them."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.periodicsequence import PeriodicImpulse

from testing.services.flink import FlinkCluster
from testing.services.process import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.flink

# Threads of Beam's in-process worker end with an exception when the runner hangs up.
WORKER_HANGS_UP = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def flink_options(cluster: FlinkCluster, *more: str) -> PipelineOptions:
    portable = ["--runner=PortableRunner", f"--job_endpoint={cluster.job_endpoint}", "--environment_type=LOOPBACK"]
    return PipelineOptions([*portable, "--parallelism=2", *more])


@WORKER_HANGS_UP
def test_flink_runs_a_pipeline_to_done(flink: FlinkCluster) -> None:
    pipeline = beam.Pipeline(options=flink_options(flink))
    squares = pipeline | beam.Create(range(10)) | beam.Reshuffle() | beam.Map(lambda number: number**2)
    assert_that(squares, equal_to([number**2 for number in range(10)]))
    result = pipeline.run()
    assert result.wait_until_finish() == PipelineState.DONE
    assert flink.jobs()[-1]["state"] == "FINISHED"


@WORKER_HANGS_UP
def test_flink_restores_a_job_after_the_loss_of_its_task_manager(flink: FlinkCluster) -> None:
    checkpointing = ["--checkpointing_interval=500", "--finish_bundle_before_checkpointing"]
    pipeline = beam.Pipeline(options=flink_options(flink, "--streaming", *checkpointing))
    _ = pipeline | PeriodicImpulse(fire_interval=0.5) | beam.Map(str)
    pipeline.run()
    job = wait_for(lambda: [j for j in flink.jobs() if j["state"] == "RUNNING"], PATIENCE_SECONDS, "a running job")[0][
        "jid"
    ]

    def count(kind: str) -> int:
        return int(flink.checkpoints(job)["counts"][kind])

    wait_for(lambda: count("completed"), PATIENCE_SECONDS, "a checkpoint")
    flink.kill_task_manager()
    flink.start_task_manager()
    wait_for(lambda: count("restored"), PATIENCE_SECONDS, "the job to be restored")
    before = count("completed")
    wait_for(lambda: count("completed") > before, PATIENCE_SECONDS, "a checkpoint after the restore")

    savepoint = flink.savepoint(job)
    assert Path(savepoint.removeprefix("file:")).is_dir()
    flink.cancel(job)
    assert flink.jobs()[-1]["state"] == "CANCELED"
