"""Kinesis without HTTP: check the rights, switches and parameters of a call, then answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from emulator.kinesis import record_calls, shard_calls, stream_calls
from emulator.kinesis.context import Context
from emulator.kinesis.errors import ConnectionDroppedError, KinesisError
from emulator.kinesis.parameters import RULES, Parameters
from emulator.kinesis.signature import Caller, check_key, wrong_signature
from emulator.kinesis.store import KinesisStore
from emulator.kinesis.stream import ACCOUNT
from emulator.kinesis.switches import Refusal, SwitchState, decide

Call = Callable[[Context, str, Parameters], dict[str, Any] | None]

CALLS: Mapping[str, Call] = {
    "CreateStream": stream_calls.create_stream,
    "DeleteStream": stream_calls.delete_stream,
    "ListStreams": stream_calls.list_streams,
    "DescribeStream": stream_calls.describe_stream,
    "DescribeStreamSummary": stream_calls.describe_stream_summary,
    "UpdateMaxRecordSize": stream_calls.update_max_record_size,
    "UpdateStreamRecordDistributionStrategy": stream_calls.update_strategy,
    "IncreaseStreamRetentionPeriod": stream_calls.increase_retention,
    "DecreaseStreamRetentionPeriod": stream_calls.decrease_retention,
    "ListShards": shard_calls.list_shards,
    "SplitShard": shard_calls.split_shard,
    "MergeShards": shard_calls.merge_shards,
    "UpdateShardCount": shard_calls.update_shard_count,
    "PutRecord": record_calls.put_record,
    "PutRecords": record_calls.put_records,
    "GetShardIterator": record_calls.get_shard_iterator,
    "GetRecords": record_calls.get_records,
}


class Kinesis:
    """The service, for its HTTP application and for callers inside the emulator.

    Args:
        store: The streams.
        switches: The faults that are on.
        secrets: Secret access keys by access key id; if there are none, any key is taken.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, store: KinesisStore, switches: SwitchState, secrets: dict[str, str], clock: Callable[[], float]
    ) -> None:
        self.store = store
        self.switches = switches
        self.secrets = secrets
        self.clock = clock
        self._context = Context(store, switches)

    def sign_in(self, access_key_id: str, secret_access_key: str, region: str) -> Caller:
        """Return the caller of these credentials, for calls that are not signed because they do not go over HTTP.

        Raises:
            KinesisError: AWS would refuse a signature made with them.
        """
        check_key(access_key_id, self.secrets)
        if self.secrets and self.secrets[access_key_id] != secret_access_key:
            raise wrong_signature()
        return Caller(access_key_id, region)

    def reset(self) -> None:
        """Empty all streams and clear the switches, after a reset of the database."""
        self.store.forget_records()
        self.switches.clear()

    async def call(self, caller: Caller, operation: str, parameters: Any) -> dict[str, Any] | None:
        """Answer a call.

        Args:
            caller: Who calls.
            operation: Its name, such as `PutRecords`.
            parameters: Its parameters as JSON has them: `Data` is base64, times are seconds.

        Raises:
            KinesisError: It is refused.
            ConnectionDroppedError: A switch drops the connection; the call may have been carried out.
        """
        verdict = decide(self.switches.now, operation, self.switches.draw, self.clock())
        if verdict.delay_s:
            await asyncio.sleep(verdict.delay_s)
        if verdict.reset == "before":
            raise ConnectionDroppedError
        if verdict.refusal is not None:
            raise _error(verdict.refusal, operation)
        reply = self.answer(caller, operation, parameters)
        if verdict.reset == "after":
            raise ConnectionDroppedError
        return reply

    def answer(self, caller: Caller, operation: str, parameters: Any) -> dict[str, Any] | None:
        """Answer a call as `call` does, at once, and without the switches that affect whole calls.

        Raises:
            KinesisError: It is refused.
        """
        handle = CALLS.get(operation)
        if handle is None:
            raise KinesisError("UnknownOperationException", f"the local Kinesis has no operation {operation!r}")
        self._authorise(caller, operation)
        RULES[operation].check("", parameters)
        return handle(self._context, caller.region, parameters)

    def _authorise(self, caller: Caller, operation: str) -> None:
        """Check that a caller has the right to a call.

        Raises:
            KinesisError: A switch has taken it away, or has let the session of the caller expire.
        """
        if self.switches.now.has_expired(caller.access_key_id):
            raise KinesisError("ExpiredTokenException", "The security token included in the request is expired")
        if self.switches.now.denies(operation):
            raise KinesisError(
                "AccessDeniedException",
                f"User: arn:aws:iam::{ACCOUNT}:user/{caller.access_key_id} is not authorized to perform: "
                f"kinesis:{operation} because no identity-based policy allows the kinesis:{operation} action",
            )


def _error(refusal: Refusal, operation: str) -> KinesisError:
    """Make the error of a call that a switch refuses as a whole."""
    if refusal == "400":
        code = "ProvisionedThroughputExceededException" if operation in _DATA_CALLS else "LimitExceededException"
        return KinesisError(code, "Rate exceeded for the call (a switch of the emulator).")
    if refusal == "500":
        return KinesisError("InternalFailure", "The request processing has failed because of an unknown error.", 500)
    if refusal == "503":
        message = "The request has failed due to a temporary failure of the server."
        return KinesisError("ServiceUnavailable", message, 503)
    return KinesisError(refusal, "The KMS key cannot be used (a switch of the emulator).")


_DATA_CALLS = ("PutRecord", "PutRecords", "GetShardIterator", "GetRecords")
