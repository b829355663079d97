"""A stream, by name or ARN: its calls, and its summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kinesis.answers import Again, Halve, Stop, read_error
from kinesis.limits import DEFAULT_RECORD_BYTES
from kinesis.read_errors import boto_errors, code_of, unreachable
from kinesis.shard_map import ListedShards

_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


@dataclass(frozen=True)
class StreamSummary:
    """What a writer needs of DescribeStreamSummary.

    Attributes:
        arn: With region and account.
        status: ACTIVE, UPDATING, CREATING or DELETING.
        mode: PROVISIONED or ON_DEMAND.
        open_shards: How many there are.
        max_record_bytes: Of data and partition key.
        distribution: USER_PARTITION_KEY, or AUTO where Kinesis deals records to shards without regard to their keys.
    """

    arn: str
    status: str
    mode: str
    open_shards: int
    max_record_bytes: int
    distribution: str


class Stream:
    """The calls of one stream.

    Args:
        name: Its name or its ARN.
        client: Returns the client of boto3, which may be another one from time to time.
    """

    def __init__(self, name: str, client: Callable[[], Any]):
        self.name = name
        self._client = client
        self._names = {"StreamARN" if name.startswith("arn:") else "StreamName": name}

    def put(self, records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Call PutRecords; raises what boto3 raises."""
        reply: Mapping[str, Any] = self._client().put_records(Records=records, **self._names)
        return reply

    def list_shards(self) -> ListedShards | None:
        """Return the open shards; None without the right to list them.

        Raises:
            KinesisError: Credentials, the stream, or no answer.
        """
        shards: list[Mapping[str, Any]] = []
        asked: dict[str, Any] = {**self._names, "ShardFilter": {"Type": "AT_LATEST"}}
        while True:
            page = self._call("list_shards", **asked)
            if page is None:
                return None
            shards += page["Shards"]
            if not page.get("NextToken"):
                return ListedShards(shards)
            asked = {"NextToken": page["NextToken"]}

    def describe(self) -> StreamSummary | None:
        """Return the stream's summary; None without the right to it.

        Raises:
            KinesisError: Credentials, the stream, or no answer.
        """
        reply = self._call("describe_stream_summary", **self._names)
        if reply is None:
            return None
        found = reply["StreamDescriptionSummary"]
        return StreamSummary(
            arn=found["StreamARN"],
            status=found["StreamStatus"],
            mode=found.get("StreamModeDetails", {}).get("StreamMode", "PROVISIONED"),
            open_shards=found["OpenShardCount"],
            max_record_bytes=1024 * found["MaxRecordSizeInKiB"]
            if found.get("MaxRecordSizeInKiB")
            else DEFAULT_RECORD_BYTES,
            distribution=found.get("RecordDistributionStrategy", "USER_PARTITION_KEY"),
        )

    def _call(self, name: str, **asked: Any) -> Any:
        """Make a call other than PutRecords; return None without the right to it.

        Raises:
            KinesisError: Credentials, the stream, or no answer.
        """
        client = self._client()
        try:
            return getattr(client, name)(**asked)
        except boto_errors() as error:
            # What is denied may also be to assume the role, of which botocore says so with the first call.
            if code_of(error) in _DENIED and not getattr(error, "operation_name", "").startswith("AssumeRole"):
                return None
            decision = read_error(error, self.name)
            if isinstance(decision, Stop):
                raise decision.error from None
            assert isinstance(decision, Again | Halve)
            raise unreachable(self.name, decision.why, client) from None
