"""The same pipeline, and the same options, on a real Flink cluster."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from samples.loyalty import generate
from testing.services.flink import FlinkCluster
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, wait_for
from tests.e2e.scenario import ROOT, Scenario

pytestmark = [pytest.mark.kafka, pytest.mark.flink]


@pytest.mark.parametrize("batch_mode", ["bundle", "state"])
def test_every_event_arrives_over_flink(scenario: Scenario, flink: FlinkCluster, batch_mode: str) -> None:
    scenario.produce(generate(10_000, broken_share=0.01))
    finished = scenario.run(
        **flink.options(),
        shutdown_sources_after_idle_ms=3000,
        batch_mode=batch_mode,
    )
    assert finished.code == 0, finished.output
    assert scenario.check_every_sample() == 0
    assert finished.summary["unaccounted"] == 0
    assert finished.summary["accepted"] == scenario.messages_accepted()
    assert finished.summary["latency_milliseconds"]["records"] == finished.summary["accepted"]
    assert flink.jobs()[-1]["state"] == "FINISHED"
    # Offsets are committed only where a finalised bundle's records are posted.
    none: dict[str, dict[int, int]] = {topic: {} for topic in scenario.topics.values()}
    assert scenario.committed() == (scenario.end_offsets() if batch_mode == "bundle" else none)


def test_the_options_of_flink_yaml_with_a_worker_pool_beside_the_task_manager(
    scenario: Scenario, flink: FlinkCluster, tmp_path: Path
) -> None:
    port = free_port()
    options = {
        **yaml.safe_load((ROOT / "configs" / "flink.yaml").read_text()),
        **flink.options(),
        "flink_master": None,
        "environment_type": "EXTERNAL",
        "environment_config": f"localhost:{port}",
        "dead_letter_path": str(scenario.dead_letters),
        "dead_letter_topic": None,
    }
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with ServiceProcess("worker pool", command, tmp_path / "pool.log", env={"PATH": path}) as pool:
        wait_for(lambda: "Started worker pool" in pool.log(), PATIENCE_SECONDS, "the worker pool")
        scenario.produce(generate(5_000, broken_share=0.01))
        finished = scenario.run(**options, shutdown_sources_after_idle_ms=3000)
        assert finished.code == 0, f"{finished.output}\n{pool.log_tail()}"
        # Python processes for the one task manager.
        assert pool.log().count("Starting worker") == options["sdk_worker_parallelism"] == 2
    assert scenario.check_every_sample() == 0
    assert finished.summary["unaccounted"] == 0
    assert finished.summary["accepted"] == scenario.messages_accepted()
    assert scenario.committed() == scenario.end_offsets()


def test_ctrl_c_ends_the_wait_for_a_job(scenario: Scenario, flink: FlinkCluster) -> None:
    scenario.produce(generate(100))
    pipeline = scenario.start(**flink.options(), kafka_stop_at="never")
    scenario.wait_until_accepted(100)
    pipeline.signal(signal.SIGINT)
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the end of the wait")
    assert pipeline.exit_code == 128 + signal.SIGINT, pipeline.log_tail()
    assert "stopped waiting; the job keeps running" in pipeline.log()
    assert "Traceback" not in pipeline.log()
    job = flink.jobs()[-1]
    assert job["state"] not in ("FINISHED", "CANCELED")
    flink.cancel(job["jid"])


def test_a_savepoint_restored_over_topics_that_were_created_again_reads_them_from_their_beginning(
    scenario: Scenario, flink: FlinkCluster
) -> None:
    samples = list(generate(3_000))
    scenario.produce(samples[:1_000])
    first = scenario.start(**flink.options(), kafka_stop_at="never")
    scenario.wait_until_accepted(1_000)
    savepoint = flink.savepoint(flink.jobs()[-1]["jid"], cancel=True)
    wait_for(lambda: not first.running, PATIENCE_SECONDS, "the end of the first job's process")
    for topic in scenario.topics.values():
        scenario.broker.create_topic_again(topic, 4)
    scenario.produce(samples[1_000:])
    restored = scenario.start(**flink.options(), kafka_stop_at="never", savepoint_path=savepoint)
    scenario.wait_until_accepted(3_000)
    assert scenario.check_every_sample() == 0
    for topic in scenario.topics.values():
        assert f"topic {topic} was deleted and created again" in restored.log()
    flink.cancel(flink.jobs()[-1]["jid"])
