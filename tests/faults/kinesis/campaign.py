"""A topic of numbered profiles, a stream, and the pipeline between them, with the oracle of the campaign.

Each number ends on the stream or in one dead letter, and what is on the stream twice was counted as possibly so.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.auth
import orjson
import pytest

from pipelines.profiles_to_kinesis import main
from testing.services.kafka import KafkaBroker
from testing.services.kinesis import REGION, Kinesis
from testing.services.process import PATIENCE_SECONDS, wait_for
from transforms.sinks.files import read_files
from transforms.worker import metrics

PROFILES = 1_000
BUNDLE = 100
"""Records at most, and so what may be put twice by a run that was stopped and the next one."""
KEYS = 50


@contextmanager
def ten_minutes_ahead() -> Iterator[None]:
    """Let botocore sign with a clock that is ten minutes off while the block lasts."""
    right = botocore.auth.get_current_datetime

    def wrong(*arguments: Any) -> datetime:
        return right(*arguments) + timedelta(minutes=10)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", wrong)
        yield


class Campaign:
    """Runs `profiles_to_kinesis` in this process, as often as a test wants."""

    def __init__(self, broker: KafkaBroker, kinesis: Kinesis, folder: Path):
        self.kinesis, self.broker, self._folder = kinesis, broker, folder
        self.dead_letters = folder / "dead-letters"
        self.topic = f"profiles-{uuid.uuid4().hex[:8]}"
        self.stream = kinesis.create_stream(4)
        self.made = 0
        broker.create_topic(self.topic, 1, max_message_bytes=2_000_000)
        self.produce(PROFILES)
        metrics.reset()

    def produce(self, amount: int, **more: Any) -> None:
        """Write numbered profiles, with fields besides."""
        numbers = range(self.made, self.made + amount)
        bodies = (
            orjson.dumps({"n": n, "identityMap": {"ecid": [{"id": f"ecid-{n % KEYS}"}]}, **more}) for n in numbers
        )
        self.broker.produce(self.topic, [(None, body, None, 0) for body in bodies])
        self.made += amount

    def run(self, **more: Any) -> int:
        """Run the pipeline until it has read the topic or has to stop; return the exit code."""
        metrics.reset()
        values = {
            "kafka_bootstrap_servers": self.broker.bootstrap_servers,
            "kafka_topics": self.topic,
            "kafka_group_id": self.topic,
            "kafka_bundle_max_records": BUNDLE,
            "kafka_stop_at": "end",
            "kinesis_stream": self.stream,
            "kinesis_endpoint": self.kinesis.endpoint,
            "kinesis_region": REGION,
            "kinesis_access_key_id": "env:KINESIS_KEY",
            "kinesis_secret_access_key": "env:KINESIS_SECRET",
            "kinesis_timeout_seconds": PATIENCE_SECONDS,
            "dead_letter_path": self.dead_letters,
            "summary_file": self._folder / "summary.json",
            "progress": "off",
            **more,
        }
        return main([f"--{name}={value}" for name, value in values.items() if value is not None])

    @property
    def summary(self) -> dict[str, Any]:
        """Return the summary of the last run."""
        return dict(orjson.loads((self._folder / "summary.json").read_bytes()))

    @property
    def committed(self) -> int:
        """Return how many records the group has behind it."""
        return sum(self.broker.committed(self.topic, self.topic).values())

    def there(self) -> Counter[int]:
        """Return how often each number is on the stream."""
        return Counter(orjson.loads(each.data)["n"] for each in self.kinesis.records(self.stream))

    def dead(self) -> Counter[int]:
        """Return how often each number was dead-lettered."""
        letters = list(read_files(str(self.dead_letters))) if self.dead_letters.is_dir() else []
        return Counter(orjson.loads(one.record.value or b"")["n"] for one in letters)

    def hold_up(self) -> None:
        """Let one shard take nothing, so that the pipeline cannot come to the end of the topic."""
        self.kinesis.switch(throttle={"shardId-000000000000": 0.0})

    def tried_again(self) -> int:
        """Return how often the run has sent records again."""
        counts = metrics.process_counts()
        return sum(number for name, number in counts.items() if name.startswith(metrics.RETRIES))

    def wait_until_tried_again(self) -> None:
        """Return when the run has sent records again, a few times more than by now."""
        enough = self.tried_again() + 3
        wait_for(lambda: self.tried_again() >= enough, PATIENCE_SECONDS, "records to be sent again")

    @contextmanager
    def meanwhile(self, act: Callable[[], object]) -> Iterator[None]:
        """Do something while the pipeline runs."""
        failures: list[BaseException] = []

        def run() -> None:
            try:
                act()
            except BaseException as error:  # noqa: BLE001 (a thread's errors are the test's)
                failures.append(error)
                self.kinesis.clear_switches()

        thread = threading.Thread(target=run)
        thread.start()
        yield
        thread.join(PATIENCE_SECONDS)
        assert not failures, failures
        assert not thread.is_alive()

    def run_into(self, fault: Callable[[], object], **more: Any) -> int:
        """Run until all is on the stream, then let something happen, and more profiles come; return the exit code.

        The run ends only if the fault ends it.
        """

        def act() -> None:
            wait_for(lambda: self.committed == PROFILES, PATIENCE_SECONDS, "the first profiles to be committed")
            fault()
            self.produce(BUNDLE)

        with self.meanwhile(act):
            return self.run(kafka_stop_at="never", **more)

    def check(self) -> dict[str, Any]:
        """Hold the oracle for one run that came to the end; return its summary."""
        there, dead, found = self.there(), self.dead(), self.summary
        assert there.keys() | dead.keys() == set(range(self.made))
        assert not there.keys() & dead.keys()
        assert not dead or max(dead.values()) == 1
        assert there.total() - len(there) <= found["duplicates_possible"]
        assert (found["read"], found["unaccounted"]) == (self.made, 0)
        assert found["accepted"] == len(there)
        assert self.committed == self.made
        return found

    def check_stopped(self) -> None:
        """Hold that a run which was stopped had committed what it had put before, and dead-lettered nothing."""
        assert not self.dead()
        assert self.committed == PROFILES
        assert set(range(PROFILES)) <= self.there().keys()

    def finish(self) -> None:
        """Run again after a run that was stopped; hold that nothing is missing and at most a bundle was put twice."""
        possible = self.summary["duplicates_possible"]
        assert self.run() == 0
        there = self.there()
        assert there.keys() == set(range(self.made))
        assert not self.dead()
        assert there.total() - len(there) <= BUNDLE + possible
        assert self.committed == self.made
