"""Records in and out, by unmodified boto3."""

from __future__ import annotations

from testing.services.kinesis import Kinesis


def test_what_is_put_is_read(kinesis: Kinesis) -> None:
    client = kinesis.client()
    name = kinesis.create_stream(shards=2)
    answer = client.put_records(
        StreamName=name, Records=[{"Data": b"%d" % number, "PartitionKey": f"key {number}"} for number in range(100)]
    )
    assert answer["FailedRecordCount"] == 0
    read = []
    for shard in client.list_shards(StreamName=name)["Shards"]:
        iterator = client.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        reply = client.get_records(ShardIterator=iterator)
        read += reply["Records"]
        assert reply["MillisBehindLatest"] == 0
        numbers = [int(record["SequenceNumber"]) for record in reply["Records"]]
        assert numbers == sorted(set(numbers))
    assert {(record["Data"], record["PartitionKey"]) for record in read} == {
        (b"%d" % number, f"key {number}") for number in range(100)
    }
    assert {record["SequenceNumber"] for record in read} == {each["SequenceNumber"] for each in answer["Records"]}
    assert {record.data for record in kinesis.records(name)} == {b"%d" % number for number in range(100)}
