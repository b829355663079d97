"""The state that calls share."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from emulator.kinesis.errors import KinesisError, in_use, invalid_argument, not_found
from emulator.kinesis.meters import ShardMeters
from emulator.kinesis.parameters import Parameters
from emulator.kinesis.store import KinesisStore
from emulator.kinesis.stream import ACCOUNT, Stream
from emulator.kinesis.switches import SwitchState


@dataclass(frozen=True)
class Context:
    """Shared by the calls of a service.

    Attributes:
        store: The streams.
        switches: The faults that are on.
        meters: The remaining capacity of each shard, by its uid.
    """

    store: KinesisStore
    switches: SwitchState
    meters: dict[int, ShardMeters] = field(default_factory=lambda: defaultdict(ShardMeters))


def find_stream(context: Context, region: str, parameters: Parameters) -> Stream:
    """Return the stream that a call names, by name, ARN, or both.

    Raises:
        KinesisError: It names none, two, or one that does not exist.
    """
    name, arn = parameters.get("StreamName"), parameters.get("StreamARN")
    if arn is not None:
        _, _, _, arn_region, account, resource = arn.split(":", 5)
        arn_name = resource.removeprefix("stream/")
        if name is not None and name != arn_name:
            raise invalid_argument(f"StreamName {name} and StreamARN {arn} name two streams")
        if (arn_region, account) != (region, ACCOUNT):
            raise not_found(f"Stream {arn_name} under account {account} not found.")
        name = arn_name
    if name is None:
        raise invalid_argument("either StreamName or StreamARN must be given")
    return context.store.stream(region, name)


def find_active(context: Context, region: str, parameters: Parameters) -> Stream:
    """Return the stream that a call wants to change.

    Raises:
        KinesisError: There is none, or it is not ACTIVE.
    """
    stream = find_stream(context, region, parameters)
    if stream.status != "ACTIVE":
        raise in_use(f"Stream {stream.name} under account {ACCOUNT} not ACTIVE, instead in state {stream.status}")
    return stream


def refuse_dry_run(parameters: Parameters) -> None:
    """Refuse a dry run of a call that would succeed, as AWS does.

    Raises:
        KinesisError: The call is a dry run.
    """
    if parameters.get("DryRun"):
        raise KinesisError(
            "DryRunOperationException", "The request was rejected because the DryRun parameter was specified."
        )


def in_ms(seconds: float) -> int:
    """Return seconds as whole milliseconds."""
    return round(seconds * 1000)
