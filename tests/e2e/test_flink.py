"""The same pipeline, and the same options, on a real Flink cluster."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from samples.loyalty import generate
from testing.services.flink import FlinkCluster
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, is_listening, wait_for
from tests.e2e.page import page, ready, scrape, settled
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
        # One Python process for the one task manager.
        assert pool.log().count("Starting worker") == options["sdk_worker_parallelism"] == 1
    assert scenario.check_every_sample() == 0
    assert finished.summary["unaccounted"] == 0
    assert finished.summary["accepted"] == scenario.messages_accepted()
    assert scenario.committed() == scenario.end_offsets()


@pytest.mark.slow
def test_each_process_of_a_worker_pool_serves_its_own_numbers(
    scenario: Scenario, flink: FlinkCluster, tmp_path: Path
) -> None:
    pool_port, port = free_port(), free_port()
    options = {
        **flink.options(),
        "environment_type": "EXTERNAL",
        "environment_config": f"localhost:{pool_port}",
        "sdk_worker_parallelism": 2,
        "metrics_port": port,
        "kafka_stop_at": "never",
        "batch_mode": "state",  # so that reading and posting are two stages, which Beam gives to two processes
    }
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={pool_port}"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with ServiceProcess("worker pool", command, tmp_path / "pool.log", env={"PATH": path}) as pool:
        wait_for(lambda: "Started worker pool" in pool.log(), PATIENCE_SECONDS, "the worker pool")
        scenario.produce(generate(2_000, broken_share=0.05))
        scenario.start(**options)
        addresses: list[str] = []

        def served() -> int:
            addresses[:] = [f"http://127.0.0.1:{each}" for each in range(port, port + 8) if is_listening(each)]
            return sum(settled(address) for address in addresses)

        wait_for(lambda: served() == 2_000, PATIENCE_SECONDS, "all records on the pages of the workers")
        assert len(addresses) == 2
        pages = [scrape(address) for address in addresses]
        assert sum(each["beam_aep_read_records_total"][()] for each in pages) == 2_000
        accepted = sum(each.get("beam_aep_accepted_records_total", Counter()).total() for each in pages)
        assert accepted == scenario.messages_accepted()
        reading = [address for address in addresses if scrape(address)["beam_aep_read_records_total"][()]]
        assert {ready(address)[0] for address in reading} == {200}
        flink.cancel(flink.jobs()[-1]["jid"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 128 + signal.SIGINT), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_ends_the_wait_for_a_job(
    number: signal.Signals, code: int, scenario: Scenario, flink: FlinkCluster
) -> None:
    scenario.produce(generate(100))
    pipeline = scenario.start(**flink.options(), kafka_stop_at="never", metrics_port=0)
    scenario.wait_until_accepted(100)
    address = page(pipeline)  # of the worker, which is in the process that waits
    wait_for(lambda: settled(address) == 100, PATIENCE_SECONDS, "the worker's own numbers")
    assert ready(address)[0] == 200
    pipeline.signal(number)
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the end of the wait")
    assert pipeline.exit_code == code, pipeline.log_tail()
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
