"""The faults that tests can switch on, and pure functions that decide what they do to a call."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from emulator.state.shares import Draw, check_shares, pick

RecordCode = Literal["ProvisionedThroughputExceededException", "InternalFailure", "KMSThrottlingException"]
Refusal = Literal[
    "400",
    "500",
    "503",
    "KMSAccessDeniedException",
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
    "KMSOptInRequired",
    "KMSThrottlingException",
]


class Switches(BaseModel):
    """The switches of `POST /__local/kinesis/faults`; each default is "no fault".

    Attributes:
        latency_ms: Milliseconds that each call waits before it is answered.
        jitter_ms: Up to this many milliseconds more, uniformly distributed.
        operations: Calls that `request_rate`, `reset_rate` and `lost_reply_rate` apply to, such as `PutRecords`; all if
            empty.
        request_rate: Shares of the calls that are refused as a whole, by status, `400` (throttled), `500` or `503`, or
            by the code for a key in KMS that cannot be used, such as `KMSDisabledException`.
        reset_rate: Share of the calls whose connection is dropped before anything is done.
        lost_reply_rate: Share of the calls whose connection is dropped after all is done.
        record_rate: Shares of the records that PutRecords and PutRecord refuse, by code.
        throttle: Share of its limits that a shard has, by shard id; `*` stands for all other shards.
        limits: Whether shards have the limits of AWS.
        outage_s: Seconds from now during which no call is handled, 0 to end it; sets `outage_until`.
        outage_until: End of the outage, in seconds since the epoch.
        outage_mode: What an outage looks like: an answer `503`, or a connection `reset`.
        expired_keys: Access key ids whose session token has expired; `*` stands for all.
        denied_actions: Calls that are answered with AccessDeniedException, such as `kinesis:ListShards`.
        expired_iterator_rate: Share of the calls of GetRecords whose iterator is said to have expired.
        empty_read_rate: Share of the calls of GetRecords that give no records although there are some.
        responses: `ok`, or how a reply of PutRecords does not fit: one result too few (`short`), one too many (`long`),
            or a wrong `FailedRecordCount` (`count`).
        responses_rate: Share of the replies of PutRecords that `responses` applies to.
        retention_seconds: How long records are kept, instead of what each stream says.
        arrival_offset_seconds: Added to the ApproximateArrivalTimestamp of the records that come from now on.
        create_seconds: How long a stream is CREATING.
        delete_seconds: How long a stream is DELETING.
        reshard_seconds: How long a stream is UPDATING.
        seed: Restarts the random sequence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    latency_ms: float = Field(default=0, ge=0)
    jitter_ms: float = Field(default=0, ge=0)
    operations: list[str] = Field(default_factory=list)
    request_rate: dict[Refusal, float] = Field(default_factory=dict)
    reset_rate: float = Field(default=0, ge=0, le=1)
    lost_reply_rate: float = Field(default=0, ge=0, le=1)
    record_rate: dict[RecordCode, float] = Field(default_factory=dict)
    throttle: dict[str, float] = Field(default_factory=dict)
    limits: bool = True
    outage_s: float | None = Field(default=None, ge=0)
    outage_until: float = 0
    outage_mode: Literal["503", "reset"] = "503"
    expired_keys: list[str] = Field(default_factory=list)
    denied_actions: list[str] = Field(default_factory=list)
    expired_iterator_rate: float = Field(default=0, ge=0, le=1)
    empty_read_rate: float = Field(default=0, ge=0, le=1)
    responses: Literal["ok", "short", "long", "count"] = "ok"
    responses_rate: float = Field(default=1, ge=0, le=1)
    retention_seconds: float | None = Field(default=None, ge=0)
    arrival_offset_seconds: float = 0
    create_seconds: float = Field(default=0, ge=0)
    delete_seconds: float = Field(default=0, ge=0)
    reshard_seconds: float = Field(default=0.5, ge=0)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)

    @field_validator("request_rate", "record_rate")
    @classmethod
    def _check_shares(cls, shares: dict[str, float]) -> dict[str, float]:
        check_shares(shares)
        return shares

    @field_validator("throttle")
    @classmethod
    def _check_throttle(cls, shares: dict[str, float]) -> dict[str, float]:
        if any(share < 0 for share in shares.values()):
            raise ValueError("a share is negative")
        return shares

    def share_of(self, shard_id: str) -> float:
        """Return the share of its limits that a shard has."""
        return self.throttle.get(shard_id, self.throttle.get("*", 1))

    def denies(self, operation: str) -> bool:
        """Return whether the right to a call was taken away."""
        return operation in self.denied_actions or f"kinesis:{operation}" in self.denied_actions

    def has_expired(self, access_key_id: str) -> bool:
        """Return whether a session has ended."""
        return access_key_id in self.expired_keys or "*" in self.expired_keys


class Verdict(NamedTuple):
    """What happens to a call: a delay, then a refusal or a dropped connection, before or after it is handled."""

    delay_s: float = 0
    refusal: Refusal | None = None
    reset: Literal["before", "after"] | None = None


def decide(switches: Switches, operation: str, draw: Draw, now: float) -> Verdict:
    """Decide what happens to a call that arrived at `now` (seconds since the epoch)."""
    delay_s = (switches.latency_ms + (switches.jitter_ms * draw() if switches.jitter_ms else 0)) / 1000
    if now < switches.outage_until:
        return Verdict(delay_s, reset="before") if switches.outage_mode == "reset" else Verdict(delay_s, "503")
    if switches.operations and operation not in switches.operations:
        return Verdict(delay_s)
    if switches.reset_rate and draw() < switches.reset_rate:
        return Verdict(delay_s, reset="before")
    refusal = pick(switches.request_rate, draw)
    if refusal is not None:
        return Verdict(delay_s, refusal)
    lost = switches.lost_reply_rate and draw() < switches.lost_reply_rate
    return Verdict(delay_s, reset="after" if lost else None)


class SwitchState:
    """The switches that are on now, and their own random numbers."""

    def __init__(self, clock: Callable[[], float], shown: Mapping[str, Any]) -> None:
        self._clock = clock
        self._random = random.Random(0)  # noqa: S311 - faults, not secrets
        self._set = dict(shown)
        self.now = Switches.model_validate(self._set)

    def draw(self) -> float:
        """Return the next random number in [0, 1)."""
        return self._random.random()

    def change(self, changes: Mapping[str, Any]) -> None:
        """Merge switches into those that are on.

        Raises:
            ValueError: An unknown switch or a value out of range.
        """
        changed = dict(changes)
        Switches.model_validate(changed)
        if changed.get("outage_s") is not None:
            changed["outage_until"] = self._clock() + changed["outage_s"]
        if changed.get("seed") is not None:
            self._random.seed(changed["seed"])
        merged = {**self._set, **changed}
        self.now = Switches.model_validate(merged)
        self._set = merged

    def clear(self) -> None:
        """Switch everything off."""
        self._set = {}
        self.now = Switches()

    def shown(self) -> dict[str, Any]:
        """Return the switches as they were set."""
        return dict(self._set)
