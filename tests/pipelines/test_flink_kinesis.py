"""A stream read on a Flink cluster, which keeps the positions in its checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.services.flink import FlinkCluster
from testing.services.kafka import KafkaBroker
from testing.services.kinesis import Kinesis
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.e2e.test_profiles_to_kinesis import PROFILES, Profiles
from tests.pipelines.test_kinesis_to_kafka import Program, profile, put

pytestmark = [pytest.mark.flink, pytest.mark.slow]


def test_a_stream_that_is_split_and_merged_loses_nothing_when_a_task_manager_is_killed(
    kinesis: Kinesis, flink: FlinkCluster, tmp_path: Path
) -> None:
    kinesis.switch(reshard_seconds=0, limits=False)
    stream = kinesis.create_stream(4)
    put(kinesis, stream, [profile(number) for number in range(1_000)])
    program = Program(kinesis, stream, tmp_path, kinesis_stop_at="never", **flink.options())
    running = program.start()
    wait_for(lambda: len(set(program.numbers())) == 1_000, PATIENCE_SECONDS, "the first records")
    job = flink.jobs()[-1]["jid"]
    wait_for(lambda: flink.checkpoints(job)["counts"]["completed"], PATIENCE_SECONDS, "a checkpoint")
    client = kinesis.client()
    client.merge_shards(
        StreamName=stream, ShardToMerge="shardId-000000000000", AdjacentShardToMerge="shardId-000000000001"
    )
    kinesis.wait_until_active(stream)
    put(kinesis, stream, [profile(number) for number in range(1_000, 2_000)])
    flink.kill_task_manager()
    client.split_shard(StreamName=stream, ShardToSplit="shardId-000000000002", NewStartingHashKey=str(5 << 125))
    kinesis.wait_until_active(stream)
    put(kinesis, stream, [profile(number) for number in range(2_000, 3_000)])
    flink.start_task_manager()
    wait_for(lambda: len(set(program.numbers())) == 3_000, PATIENCE_SECONDS, "all records")
    assert flink.checkpoints(job)["counts"]["restored"] >= 1  # a busy machine may take another task manager for lost
    assert len(program.numbers()) < 2 * 3_000
    flink.cancel(job)
    running.communicate(timeout=PATIENCE_SECONDS)


def test_a_run_to_the_end_on_flink_ends_and_accounts_for_each_record(
    kinesis: Kinesis, flink: FlinkCluster, tmp_path: Path
) -> None:
    kinesis.switch(limits=False)
    stream = kinesis.create_stream(3)
    put(kinesis, stream, [profile(number) for number in range(1_000)])
    program = Program(kinesis, stream, tmp_path, **flink.options(), shutdown_sources_after_idle_ms=3000)
    code, said = program.run()
    assert code == 0, said
    assert sorted(program.numbers()) == list(range(1_000))
    summary = program.summary()
    assert (summary["read"], summary["accepted"], summary["unaccounted"]) == (1_000, 1_000, 0)


@pytest.mark.kafka
def test_profiles_that_are_being_put_are_not_lost_when_a_task_manager_is_killed(
    kinesis: Kinesis, flink: FlinkCluster, broker: KafkaBroker, tmp_path: Path
) -> None:
    profiles = Profiles(broker, kinesis, tmp_path)
    kinesis.switch(throttle={"shardId-000000000000": 0.0})  # so that no bundle comes to its end before the kill
    pipeline = profiles.start(**flink.options())
    profiles.wait_for(0.2)
    assert profiles.committed() < PROFILES
    flink.kill_task_manager()
    flink.start_task_manager()
    kinesis.clear_switches()
    wait_for(lambda: profiles.committed() == PROFILES, PATIENCE_SECONDS, "all profiles to be committed")
    there = profiles.there()
    assert there.keys() == set(range(PROFILES))
    assert max(there.values()) <= 2
    flink.cancel(flink.jobs()[-1]["jid"])
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the pipeline to notice")
