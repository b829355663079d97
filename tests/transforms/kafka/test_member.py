"""A member of a consumer group, on its own."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.transforms.kafka.drive import source
from transforms.kafka import member as module
from transforms.kafka.client import KafkaCluster
from transforms.kafka.member import Member


class Gone:
    """A consumer whose brokers are gone: leaving its group never ends."""

    def __init__(self) -> None:
        self.left = threading.Event()

    def close(self) -> None:
        self.left.wait()


def test_a_group_whose_brokers_are_gone_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_LEAVE_SECONDS", 0.01)
    cluster = KafkaCluster("kafka.invalid:9092", {})
    member = Member(source(cluster, "events", share_group=True), lambda *_: None, lambda: True)
    member.consumer.close()
    gone: Any = Gone()
    member.consumer = gone
    member.close()
    gone.left.set()
    assert "could not be left within 0.01 s" in caplog.text
