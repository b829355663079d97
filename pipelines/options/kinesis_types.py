"""Types of the option values of Amazon Kinesis."""

import re
from typing import Annotated

from pydantic import AfterValidator

from kinesis.keys import IDENTITY, KAFKA_KEY, RANDOM
from kinesis.limits import MAX_RECORD_BYTES
from pipelines.options.types import SECRET, Count, check_pointers, check_proxy_url, check_url, iso_time

NAMED_STARTS = ("earliest", "latest")
"""Where reading may start, besides a time."""

# The SDK makes an address of the account in it, and calls whatever region it is set to.
_STREAM_OF = "arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream/"


def check_kinesis_proxy(value: str) -> str:
    """Accept the address of an HTTP proxy to Kinesis; one that asks for a password is not supported."""
    return check_proxy_url(value, login="a proxy with a password is not supported here")


def check_kinesis_endpoint(value: str) -> str:
    """Accept the address of Kinesis, of a VPC endpoint or of a local emulator."""
    return check_url(value, login="kinesis_access_key_id")


def check_role_arn(value: str) -> str:
    """Accept the ARN of a role (IAM identifiers)."""
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}", value, re.ASCII):
        raise ValueError("must be the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME")
    return value


def check_stream_start(value: str) -> str:
    """Accept earliest, latest, or a time with its offset from UTC."""
    if value not in NAMED_STARTS:
        try:
            iso_time(value)
        except ValueError as error:
            raise ValueError(f"must be {', '.join(NAMED_STARTS)}, or {error}") from None
    return value


def check_stream(value: str) -> str:
    """Accept the name or the ARN of a stream (CreateStream)."""
    if not re.fullmatch(rf"({_STREAM_OF})?[a-zA-Z0-9_.-]{{1,128}}", value):
        form = ": arn:aws:kinesis:REGION:ACCOUNT:stream/NAME" if value.startswith("arn:") else ""
        raise ValueError(f"{value!r} is not a valid stream name or ARN{form}")
    return value


def check_partition_key(value: str) -> str:
    """Accept what partition keys are made of."""
    if value not in (IDENTITY, KAFKA_KEY, RANDOM):
        try:
            check_pointers((value,))
        except ValueError:
            words = f"{IDENTITY}, {KAFKA_KEY}, {RANDOM}, or a JSON pointer to a field"
            raise ValueError(f"must be {words}, as /person/id; got {value!r}") from None
    return value


def check_record_bytes(value: int) -> int:
    """Keep a record within what any stream takes (PutRecords)."""
    if value > MAX_RECORD_BYTES:
        raise ValueError(f"must be at most {MAX_RECORD_BYTES}: no stream takes larger records (PutRecords)")
    return value


KinesisEndpoint = Annotated[str, AfterValidator(check_kinesis_endpoint)]
KinesisProxy = Annotated[str, AfterValidator(check_kinesis_proxy), SECRET]
RoleArn = Annotated[str, AfterValidator(check_role_arn)]
StreamStart = Annotated[str, AfterValidator(check_stream_start)]
Stream = Annotated[str, AfterValidator(check_stream)]
PartitionKey = Annotated[str, AfterValidator(check_partition_key)]
RecordBytes = Annotated[Count, AfterValidator(check_record_bytes)]
