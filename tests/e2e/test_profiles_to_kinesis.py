"""Profiles from a real broker onto the local Kinesis: killed, ended, and stopped by AWS, with an oracle by numbers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from testing.services.kafka import KafkaBroker
from testing.services.kinesis import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Kinesis
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, wait_for
from tests.e2e.scenario import ROOT

pytestmark = pytest.mark.kafka

PROFILES = 2_000
MANY = 60_000


class Profiles:
    """A topic with numbered profiles, a stream, and the pipeline between them."""

    def __init__(self, broker: KafkaBroker, kinesis: Kinesis, folder: Path):
        self._broker, self._kinesis, self._folder = broker, kinesis, folder
        self.topic = f"profiles-{uuid.uuid4().hex[:8]}"
        self.stream = kinesis.create_stream(8)
        broker.create_topic(self.topic, 2)
        self.produce(range(PROFILES))
        self._environment = {"KINESIS_KEY": ACCESS_KEY_ID, "KINESIS_SECRET": SECRET_ACCESS_KEY}

    def produce(self, numbers: range, **more: Any) -> None:
        bodies = ((n, orjson.dumps({"n": n, "identityMap": {"ecid": [{"id": f"e{n}"}]}, **more})) for n in numbers)
        self._broker.produce(self.topic, [(None, body, None, n % 2) for n, body in bodies])

    def command(self, **more: Any) -> list[str]:
        values = {
            "kafka_bootstrap_servers": self._broker.bootstrap_servers,
            "kafka_topics": self.topic,
            "kafka_group_id": self.topic,
            "kafka_bundle_max_records": 500,
            "kinesis_stream": self.stream,
            "kinesis_endpoint": self._kinesis.endpoint,
            "kinesis_region": REGION,
            "kinesis_access_key_id": "env:KINESIS_KEY",
            "kinesis_secret_access_key": "env:KINESIS_SECRET",
            "dead_letter_path": str(self._folder / "dead-letters"),
            "progress": "off",
            **more,
        }
        arguments = [f"--{name}={str(value).lower() if value is True else value}" for name, value in values.items()]
        return [sys.executable, "-m", "pipelines.profiles_to_kinesis", *arguments]

    def start(self, **more: Any) -> ServiceProcess:
        log = self._folder / f"{uuid.uuid4().hex[:6]}.log"
        return ServiceProcess("pipeline", self.command(**more), log, env=self._environment)

    def run(self, **more: Any) -> subprocess.CompletedProcess[str]:
        command = self.command(kafka_stop_at="end", **more)
        environment = {**os.environ, **self._environment}
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )

    def there(self) -> Counter[int]:
        return Counter(orjson.loads(each.data)["n"] for each in self._kinesis.records(self.stream))

    def wait_for(self, share: float) -> None:
        """Return when this share of the profiles is there."""
        wait_for(lambda: len(self.there()) > share * PROFILES, PATIENCE_SECONDS, "profiles on the stream")

    def committed(self) -> int:
        return sum(self._broker.committed(self.topic, self.topic).values())


@pytest.fixture
def profiles(broker: KafkaBroker, kinesis: Kinesis, tmp_path: Path) -> Profiles:
    return Profiles(broker, kinesis, tmp_path)


def test_killed_in_the_middle_nothing_is_missing(profiles: Profiles, kinesis: Kinesis) -> None:
    kinesis.switch(latency_ms=100, record_rate={"InternalFailure": 0.05})
    for share in (0.2, 0.5):
        pipeline = profiles.start()
        profiles.wait_for(share)
        pipeline.kill()
    kinesis.clear_switches()
    done = profiles.run()
    assert done.returncode == 0, done.stderr
    assert profiles.there().keys() == set(range(PROFILES))
    assert profiles.committed() == PROFILES


@pytest.mark.slow
def test_killed_in_each_phase_nothing_is_missing(profiles: Profiles, kinesis: Kinesis) -> None:
    def stored(_: ServiceProcess) -> bool:
        return profiles.there().total() > before

    phases: list[tuple[dict[str, Any], Callable[[ServiceProcess], bool]]] = [
        ({"throttle": {"*": 0.0}}, lambda pipeline: "this process now reads" in pipeline.log()),
        ({"throttle": {"*": 0.0}}, lambda pipeline: "Kinesis has taken no record for" in pipeline.log()),
        ({"lost_reply_rate": 1.0, "operations": ["PutRecords"]}, stored),
        # One shard holds the bundle open, whose other records have their answers.
        ({"throttle": {"shardId-000000000000": 0.0}}, stored),
    ]
    for switches, reached in phases:
        before = profiles.there().total()
        kinesis.switch(**switches)
        pipeline = profiles.start()
        wait_for(lambda pipeline=pipeline, reached=reached: reached(pipeline), PATIENCE_SECONDS, "the phase")  # type: ignore[misc]
        pipeline.kill()
        kinesis.clear_switches()
    done = profiles.run()
    assert done.returncode == 0, done.stderr
    assert profiles.there().keys() == set(range(PROFILES))
    assert profiles.committed() == PROFILES


def test_ended_in_good_order_nothing_is_put_twice(profiles: Profiles, kinesis: Kinesis) -> None:
    kinesis.switch(latency_ms=100)
    pipeline = profiles.start()
    profiles.wait_for(0.25)
    pipeline.terminate()
    kinesis.clear_switches()
    assert profiles.committed() == sum(profiles.there().values())
    assert profiles.run().returncode == 0
    assert profiles.there() == Counter(range(PROFILES))


def test_a_right_that_is_taken_away_stops_the_run_and_nothing_is_committed(
    profiles: Profiles, kinesis: Kinesis
) -> None:
    kinesis.switch(denied_actions=["kinesis:PutRecords"])
    done = profiles.run()
    assert done.returncode == 2, done.stderr
    assert "kinesis:PutRecords" in done.stderr
    assert profiles.committed() == 0
    kinesis.clear_switches()
    assert profiles.run().returncode == 0
    assert profiles.there() == Counter(range(PROFILES))


@pytest.mark.slow
def test_memory_stays_flat_while_the_stream_takes_nothing_for_two_minutes(profiles: Profiles, kinesis: Kinesis) -> None:
    profiles.produce(range(PROFILES, MANY), filler="x" * 1_000)
    kinesis.switch(throttle={"*": 0.0})
    pipeline = profiles.start(kafka_bundle_max_records=50_000)
    wait_for(lambda: "Kinesis has taken no record for" in pipeline.log(), PATIENCE_SECONDS, "the first refusals")
    memory = []
    for _ in range(120):
        time.sleep(1)  # this is the two minutes
        assert pipeline.running, pipeline.log_tail()
        memory.append(pipeline.resident_bytes / 1e6)
    assert max(memory) < 400
    assert max(memory[60:]) - max(memory[:60]) < 10
    assert profiles.committed() == 0
    kinesis.clear_switches()
    wait_for(lambda: profiles.committed() == MANY, PATIENCE_SECONDS, "all profiles to be put")
    pipeline.terminate()
    assert pipeline.exit_code == 0, pipeline.log_tail()
    assert profiles.there() == Counter(range(MANY))
