"""What a reader of a shard does while Kinesis cannot be reached."""

from __future__ import annotations

import boto3
from botocore.config import Config

from kinesis.positions import BEGINNING
from kinesis.shard_reader import ShardReader
from testing.services.process import free_port


def test_pauses_grow_to_a_bound_however_long_an_outage_lasts() -> None:
    client = boto3.client(
        "kinesis",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{free_port()}",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    now = 0.0
    reader = ShardReader(client, "s", "shardId-000000000000", BEGINNING, 1.0, lambda: now, lambda _, longest: longest)
    pauses = []
    for _ in range(1_100):  # 2 to this power is too large for a float
        assert reader.read(1) is None
        pauses.append(reader.due - now)
        now = reader.due
    assert pauses[:6] == [1.5, 2, 3, 5, 9, 11]
    assert set(pauses[6:]) == {11}
    assert reader.behind == int(1000 * (now - 0))
