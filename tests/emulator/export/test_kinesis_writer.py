"""What the local Kinesis says to an export becomes the reason why a record was not sent."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from emulator.export.kinesis_writer import KinesisWriter
from emulator.kinesis.service import Kinesis
from emulator.kinesis.store import KinesisStore
from emulator.kinesis.stream import Stream
from emulator.kinesis.switches import SwitchState
from emulator.state.destinations import Destination
from emulator.state.store import Store

RECORDS = [("a", b"1"), ("b", b"2")]
DESTINATION = Destination("flow", "org", "name", {}, (), False, False, "stream", "us-east-1", "key", "secret")


@pytest.fixture
def kinesis() -> Kinesis:
    switches = SwitchState(time.time, {})
    store = KinesisStore(Store(None), time.time, lambda: None)
    store.create(Stream("us-east-1", "stream", 0), 1)
    return Kinesis(store, switches, {"key": "secret"}, time.time)


def refusals(kinesis: Kinesis, **changes: Any) -> list[str | None]:
    found = asyncio.run(KinesisWriter(kinesis).put(DESTINATION._replace(**changes), RECORDS))
    return [each and each.code for each in found]


def stored(kinesis: Kinesis) -> int:
    (shard,) = kinesis.store.stream("us-east-1", "stream").open_shards()
    return shard.last


def test_taken(kinesis: Kinesis) -> None:
    assert refusals(kinesis) == [None, None]
    assert stored(kinesis) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"access_key_id": "other"}, "UnrecognizedClientException"),
        ({"secret_key": "other"}, "InvalidSignatureException"),
        ({"stream": "other"}, "ResourceNotFoundException"),
        ({"region": "eu-west-1"}, "ResourceNotFoundException"),
    ],
)
def test_a_destination_that_does_not_work(kinesis: Kinesis, changes: dict[str, Any], code: str) -> None:
    assert refusals(kinesis, **changes) == [code, code]


@pytest.mark.parametrize(
    ("switches", "code", "kept"),
    [
        ({"request_rate": {"503": 1}}, "ServiceUnavailable", 0),
        ({"request_rate": {"400": 1}}, "ProvisionedThroughputExceededException", 0),
        ({"record_rate": {"KMSThrottlingException": 1}}, "KMSThrottlingException", 0),
        ({"throttle": {"*": 0}}, "ProvisionedThroughputExceededException", 0),
        ({"denied_actions": ["PutRecords"]}, "AccessDeniedException", 0),
        ({"expired_keys": ["key"]}, "ExpiredTokenException", 0),
        ({"outage_s": 60, "outage_mode": "reset"}, "ConnectionDropped", 0),
        ({"lost_reply_rate": 1}, "ConnectionDropped", 2),
        ({"responses": "short"}, "MalformedReply", 2),
    ],
)
def test_switches(kinesis: Kinesis, switches: dict[str, Any], code: str, kept: int) -> None:
    kinesis.switches.change(switches)
    assert refusals(kinesis) == [code, code]
    assert stored(kinesis) == kept
