"""What Kinesis does to a run of `profiles_to_kinesis` that it can survive by itself."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import orjson
import pytest

from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.faults.kinesis.campaign import PROFILES, Campaign

pytestmark = pytest.mark.kafka

SLOW = "ProvisionedThroughputExceededException"


@pytest.mark.parametrize(
    ("switches", "causes"),
    [
        ({"record_rate": {SLOW: 0.1, "InternalFailure": 0.1}}, {"throttled", "internal"}),
        ({"request_rate": {"400": 0.2, "500": 0.2, "503": 0.2}}, {"throttled", "internal", "unavailable"}),
        ({"lost_reply_rate": 0.3, "reset_rate": 0.2}, {"reply"}),
    ],
    ids=["records", "requests", "replies"],
)
def test_refusals_and_lost_replies(campaign: Campaign, switches: dict[str, Any], causes: set[str]) -> None:
    campaign.kinesis.switch(**switches, operations=["PutRecords"], limits=False, seed=3)
    assert campaign.run() == 0
    found = campaign.check()
    assert found["retries"].keys() >= causes
    assert (found["duplicates_possible"] > 0) is ("record_rate" not in switches)


@pytest.mark.parametrize(
    "switches",
    [
        {"record_rate": {SLOW: 1.0}},
        {"record_rate": {"InternalFailure": 1.0}},
        {"request_rate": {"503": 1.0}},
        {"reset_rate": 1.0},
    ],
    ids=["throttled", "internal", "unavailable", "reset"],
)
def test_nothing_is_taken_for_a_while(campaign: Campaign, switches: dict[str, Any]) -> None:
    campaign.kinesis.switch(**switches, operations=["PutRecords"])

    def recover() -> None:
        campaign.wait_until_tried_again()
        campaign.kinesis.clear_switches()

    with campaign.meanwhile(recover):
        assert campaign.run() == 0
    campaign.check()


@pytest.mark.parametrize("order", ["none", "key"])
def test_the_stream_is_split_and_merged_in_a_row(campaign: Campaign, order: str) -> None:
    campaign.hold_up()

    def reshard() -> None:
        campaign.wait_until_tried_again()
        for shards in (8, 4):
            campaign.kinesis.client().update_shard_count(
                StreamName=campaign.stream, TargetShardCount=shards, ScalingType="UNIFORM_SCALING"
            )
            campaign.kinesis.wait_until_active(campaign.stream)
        campaign.kinesis.clear_switches()

    with campaign.meanwhile(reshard):
        assert campaign.run(kinesis_order=order) == 0
    assert campaign.check()["duplicates_possible"] == 0
    kept = campaign.kinesis.records(campaign.stream)
    assert len({each.shard_id for each in kept}) > 4
    if order == "key":
        by_key: dict[str | None, list[tuple[int, int]]] = defaultdict(list)
        for each in kept:
            by_key[each.partition_key].append((int(each.sequence_number), orjson.loads(each.data)["n"]))
        assert all([n for _, n in sorted(one)] == sorted(n for _, n in one) for one in by_key.values())


def test_the_stream_is_deleted_and_created_again_unnoticed(campaign: Campaign) -> None:
    campaign.hold_up()
    before: set[int] = set()

    def create_again() -> None:
        campaign.wait_until_tried_again()
        campaign.kinesis.switch(request_rate={"503": 1.0}, operations=["PutRecords"])
        campaign.wait_until_tried_again()
        before.update(campaign.there())
        client = campaign.kinesis.client()
        client.delete_stream(StreamName=campaign.stream)
        wait_for(
            lambda: campaign.stream not in client.list_streams()["StreamNames"],
            PATIENCE_SECONDS,
            "the end of the stream",
        )
        client.create_stream(StreamName=campaign.stream, ShardCount=2)
        campaign.kinesis.wait_until_active(campaign.stream)
        campaign.kinesis.clear_switches()

    with campaign.meanwhile(create_again):
        assert campaign.run() == 0
    assert before
    assert campaign.there().keys() | before == set(range(PROFILES))
    assert campaign.summary["unaccounted"] == 0
    assert not campaign.dead()


def test_the_record_limit_is_lowered(campaign: Campaign) -> None:
    client = campaign.kinesis.client()
    arn = client.describe_stream_summary(StreamName=campaign.stream)["StreamDescriptionSummary"]["StreamARN"]
    client.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=2_048)
    campaign.kinesis.wait_until_active(campaign.stream)
    campaign.produce(3, more="x" * 1_200_000)
    campaign.produce(10)
    campaign.hold_up()

    def lower() -> None:
        campaign.wait_until_tried_again()
        client.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=1_024)
        campaign.kinesis.clear_switches()

    with campaign.meanwhile(lower):
        assert campaign.run() == 0
    assert campaign.check()["dead_lettered"] == {"rejected": 3}
    assert set(campaign.dead()) == {PROFILES, PROFILES + 1, PROFILES + 2}
