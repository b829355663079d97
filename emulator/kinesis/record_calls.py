"""The calls about records: write and read them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from emulator.kinesis.context import Context, find_stream, in_ms, refuse_dry_run
from emulator.kinesis.errors import KinesisError, invalid_argument, not_found
from emulator.kinesis.meters import READ_BYTES
from emulator.kinesis.parameters import Parameters
from emulator.kinesis.records import Entry, read_entries, read_entry
from emulator.kinesis.sequence import parse, sequence_number
from emulator.kinesis.store import NewRecord, StoredRecord
from emulator.kinesis.stream import ACCOUNT, Shard, Stream
from emulator.kinesis.stream_calls import Reply
from emulator.kinesis.tokens import LIFE_MS, seal, unseal
from emulator.state.shares import pick

THROTTLED = "ProvisionedThroughputExceededException"
MAX_READ = 10_000

_FAILURES = {
    "InternalFailure": "Internal Service Failure",
    "KMSThrottlingException": "The request was denied due to request throttling.",
}


def put_records(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer PutRecords."""
    stream = _writable(context, region, parameters)
    entries = read_entries(
        parameters.get("Records"),
        max_record_bytes=stream.max_record_kib * 1024,
        keys_needed=stream.strategy != "AUTO",
    )
    refuse_dry_run(parameters)
    results = _put(context, stream, entries)
    failed = sum("ErrorCode" in result for result in results)
    switches = context.switches
    if switches.now.responses != "ok" and switches.draw() < switches.now.responses_rate:
        results, failed = _misfit(switches.now.responses, results, failed)
    return {"FailedRecordCount": failed, "Records": results, "EncryptionType": "NONE"}


def put_record(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer PutRecord."""
    stream = _writable(context, region, parameters)
    entry = read_entry(parameters, "", stream.max_record_kib * 1024, stream.strategy != "AUTO")
    refuse_dry_run(parameters)
    (result,) = _put(context, stream, [entry])
    if "ErrorCode" in result:
        code = result["ErrorCode"]
        raise KinesisError(code, result["ErrorMessage"], 500 if code == "InternalFailure" else 400)
    return {**result, "EncryptionType": "NONE"}


def get_shard_iterator(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer GetShardIterator."""
    stream = find_stream(context, region, parameters)
    shard = stream.shards.get(parameters["ShardId"])
    if shard is None:
        raise _no_shard(stream, parameters["ShardId"])
    position = _position(context, stream, shard, parameters)
    refuse_dry_run(parameters)
    return {"ShardIterator": _iterator(context, stream, shard, position)}


def get_records(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer GetRecords."""
    stream, shard, position = _open_iterator(context, region, parameters["ShardIterator"])
    switches, now_ms = context.switches, context.store.now_ms()
    meters = context.meters[shard.uid]
    if switches.now.limits and not meters.may_read(now_ms / 1000):
        raise KinesisError(THROTTLED, _rate_exceeded(stream, shard))
    refuse_dry_run(parameters)
    records: list[StoredRecord] = []
    if not (switches.now.empty_read_rate and switches.draw() < switches.now.empty_read_rate):
        limit = parameters.get("Limit", MAX_READ)
        records, full = context.store.read(shard, position, limit=limit, max_bytes=READ_BYTES)
        meters.was_read(sum(len(record.data) for record in records), full=full)
        position = records[-1].position + 1 if records else max(position, shard.first)
    unread_ms = context.store.stored_ms(shard, position)
    reply: dict[str, Any] = {
        "Records": [_shown(shard, record) for record in records],
        "MillisBehindLatest": 0 if unread_ms is None else max(0, now_ms - unread_ms),
    }
    if shard.is_open or position <= shard.last:
        reply["NextShardIterator"] = _iterator(context, stream, shard, position)
    else:
        reply["ChildShards"] = [
            {"ShardId": child.shard_id, "ParentShards": list(child.parents), "HashKeyRange": child.hash_key_range()}
            for child in stream.children(shard)
        ]
    return reply


def _writable(context: Context, region: str, parameters: Parameters) -> Stream:
    stream = find_stream(context, region, parameters)
    if stream.status == "CREATING":
        raise not_found(f"Stream {stream.name} under account {ACCOUNT} not found.")
    return stream


def _put(context: Context, stream: Stream, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Place records and store those that neither a limit nor a switch refuses; return AWS's result for each."""
    switches, draw, now = context.switches.now, context.switches.draw, context.store.now_ms() / 1000
    results: list[dict[str, Any]] = []
    taken: list[NewRecord] = []
    stored: list[dict[str, Any]] = []
    for entry in entries:
        shard = stream.next_shard() if stream.strategy == "AUTO" else stream.shard_of(entry.key)
        shard_id = shard.shard_id
        code: str | None = pick(switches.record_rate, draw)
        if code is None and switches.limits:
            share = switches.share_of(shard_id)
            if not context.meters[shard.uid].take(entry.size, now, share):
                code = THROTTLED
        if code is None:
            taken.append(NewRecord(shard, entry.partition_key, entry.data))
            result = {"ShardId": shard_id}
            stored.append(result)
        else:
            message = _rate_exceeded(stream, shard) if code == THROTTLED else _FAILURES[code]
            result = {"ErrorCode": code, "ErrorMessage": message}
        results.append(result)
    numbers = context.store.put(taken, in_ms(switches.arrival_offset_seconds))
    for result, number in zip(stored, numbers, strict=True):
        result["SequenceNumber"] = number
    return results


def _misfit(kind: str, results: list[dict[str, Any]], failed: int) -> tuple[list[dict[str, Any]], int]:
    """Make a reply of PutRecords that does not fit the request, as the switch `responses` says."""
    if kind == "short":
        return results[:-1], failed
    if kind == "long":
        return [*results, results[-1]], failed
    return results, failed + 1


def _position(context: Context, stream: Stream, shard: Shard, parameters: Parameters) -> int:
    """Return where an iterator begins."""
    kind = parameters["ShardIteratorType"]
    number, time = parameters.get("StartingSequenceNumber"), parameters.get("Timestamp")
    if (number is not None) != kind.endswith("SEQUENCE_NUMBER"):
        raise invalid_argument(
            "StartingSequenceNumber belongs to AT_SEQUENCE_NUMBER and AFTER_SEQUENCE_NUMBER, which need it"
        )
    if (time is not None) != (kind == "AT_TIMESTAMP"):
        raise invalid_argument("Timestamp belongs to AT_TIMESTAMP, which needs it")
    if number is not None:
        return _position_of(stream, shard, number) + (kind == "AFTER_SEQUENCE_NUMBER")
    if time is not None:
        time_ms, now_ms = round(time * 1000), context.store.now_ms()
        if time_ms > now_ms:
            raise invalid_argument(
                "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "
                f"timestampInMillis: {time_ms}, currentTimestampInMillis: {now_ms}"
            )
        return context.store.position_at(shard, time_ms)
    return shard.first if kind == "TRIM_HORIZON" else shard.last + 1


def _position_of(stream: Stream, shard: Shard, number: str) -> int:
    where = (
        f"StartingSequenceNumber {number} used in GetShardIterator on shard {shard.shard_id} in stream {stream.name} "
        f"under account {ACCOUNT} is invalid"
    )
    try:
        found = parse(number)
    except ValueError as error:
        raise invalid_argument(f"{where}.") from error
    if (found.opened_ms, found.uid) != (shard.opened_ms, shard.uid) or found.position > shard.last + 1:
        raise invalid_argument(f"{where} because it did not come from this shard.")
    return found.position


def _iterator(context: Context, stream: Stream, shard: Shard, position: int) -> str:
    of_shard = [stream.region, stream.name, shard.shard_id, shard.opened_ms, shard.uid]
    return seal(["iterator", context.store.now_ms(), *of_shard, position])


def _open_iterator(context: Context, region: str, token: str) -> tuple[Stream, Shard, int]:
    """Return the stream, shard and position of an iterator."""
    try:
        kind, issued_ms, of_region, name, shard_id, opened_ms, uid, position = unseal(token)
    except ValueError as error:
        raise invalid_argument("Invalid ShardIterator.") from error
    if (kind, of_region) != ("iterator", region):
        raise invalid_argument("Invalid ShardIterator.")
    switches, now_ms = context.switches, context.store.now_ms()
    early = switches.now.expired_iterator_rate and switches.draw() < switches.now.expired_iterator_rate
    if early or now_ms - issued_ms > LIFE_MS:
        raise KinesisError(
            "ExpiredIteratorException",
            f"Iterator expired. The iterator was created at time {issued_ms} while right now it is {now_ms}, which is "
            f"further in the future than the tolerated delay of {LIFE_MS} milliseconds.",
        )
    stream = context.store.stream(region, name)
    shard = stream.shards.get(shard_id)
    if shard is None or (shard.uid, shard.opened_ms) != (uid, opened_ms):
        raise _no_shard(stream, shard_id)
    return stream, shard, position


def _no_shard(stream: Stream, shard_id: str) -> KinesisError:
    return not_found(f"Shard {shard_id} in stream {stream.name} under account {ACCOUNT} does not exist")


def _rate_exceeded(stream: Stream, shard: Shard) -> str:
    return f"Rate exceeded for shard {shard.shard_id} in stream {stream.name} under account {ACCOUNT}."


def _shown(shard: Shard, record: StoredRecord) -> dict[str, Any]:
    """Return AWS's `Record`."""
    shown = {
        "SequenceNumber": sequence_number(shard.prefix, record.position, record.stored_ms),
        "ApproximateArrivalTimestamp": record.arrival_ms / 1000,
        "Data": base64.b64encode(record.data).decode(),
        "EncryptionType": "NONE",
    }
    if record.partition_key is not None:
        shown["PartitionKey"] = record.partition_key
    return shown
