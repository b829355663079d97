"""Faults on demand: the switches of a test, and the pure decisions that follow from them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from emulator.state.shares import Draw, check_shares, pick


class Faults(BaseModel):
    """The switches of `POST /__local/faults`; each default is "no fault". The page shows these texts as help.

    Shares by status are written `{"429": 0.1, "503": 0.05}`.

    Attributes:
        latency_ms: Milliseconds that each collection request waits before it is answered.
        jitter_ms: Up to so many milliseconds more, evenly distributed.
        rate: Shares of the requests that are answered with a status instead of being handled, by status.
        retry_after: `Retry-After` header of injected 429 and 503 answers, sent as it is.
        outage_s: Seconds from now during which no request is handled, 0 to end it; sets `outage_until`.
        outage_until: End of the outage, in seconds since the epoch.
        outage_mode: What an outage looks like: an answer `503`, or a connection `reset`.
        reset_rate: Share of the requests whose connection is dropped without an answer.
        reset_when: Whether it is dropped `before` or `after` the messages were stored.
        token_ttl_s: Life of the access tokens issued from now on, in seconds; 24 hours if not set.
        token_milliseconds: IMS gives a token's life in milliseconds where it should be seconds.
        ims_status: Status that IMS answers every token request with.
        max_body_bytes: Largest request body that is taken; AEP's 1 MB if not set.
        dialect: How a failed element of a 207 looks: `status` with `xactionId` (Adobe's Kafka connector) or
            `statusCode` without it (the multi-message tutorial).
        responses: `ok`, or how the `responses` of a 207 do not fit: one too few (`short`), one too many (`long`),
            no such key (`missing`), in the wrong order (`reversed`), all with the same `xactionId` (`duplicate`), or
            a body that is `not_json`.
        responses_rate: Share of the 207 answers that `responses` applies to.
        element_rate: Shares of the batch elements that are answered with a status of their own and not stored.
        unseen_lookups: How many look-ups of each schema, field group and other resource of the registry that is created
            from now on are answered with 404, as the real registry answers for some seconds.
        activation_reply: How Flow Service answers a change of a destination's dataflow, for which Adobe documents three
            forms: `202` without a body, `200` with its id and etag, or 200 with the whole `flow`.
        backfill_s: Seconds after the activation of an audience until those who belonged to it before are exported; AEP
            takes about an hour.
        membership_statuses: The statuses that memberships are exported with: those of Adobe's newest pages, or those of
            2020 to 2022, in which a member that stays is `existing`.
        seed: Starts the random sequence anew.
        sync_supported: Whether there is synchronous validation; if not it is answered with 501, as by all data
            centres but VA7.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    latency_ms: float = Field(default=0, ge=0)
    jitter_ms: float = Field(default=0, ge=0)
    rate: dict[str, float] = Field(default_factory=dict)
    retry_after: int | float | Annotated[str, Field(pattern=r"^[ -~]*$")] | None = None
    outage_s: float | None = Field(default=None, ge=0)
    outage_until: float = 0
    outage_mode: Literal["503", "reset"] = "503"
    reset_rate: float = Field(default=0, ge=0, le=1)
    reset_when: Literal["before", "after"] = "before"
    token_ttl_s: float | None = Field(default=None, gt=0, le=1_000_000_000)
    token_milliseconds: bool = False
    ims_status: int | None = Field(default=None, ge=400, le=599)
    max_body_bytes: int | None = Field(default=None, gt=0, le=1_000_000)
    dialect: Literal["status", "statusCode"] = "status"
    responses: Literal["ok", "short", "long", "missing", "reversed", "duplicate", "not_json"] = "ok"
    responses_rate: float = Field(default=1, ge=0, le=1)
    element_rate: dict[str, float] = Field(default_factory=dict)
    unseen_lookups: int = Field(default=0, ge=0)
    activation_reply: Literal["202", "200", "flow"] = "202"
    backfill_s: float = Field(default=0, ge=0)
    membership_statuses: Literal["realized/exited", "realized/existing/exited"] = "realized/exited"
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    sync_supported: bool = True

    @field_validator("rate", "element_rate")
    @classmethod
    def _check_shares(cls, shares: dict[str, float]) -> dict[str, float]:
        for status in shares:
            if not (status.isdecimal() and 400 <= int(status) <= 599):
                raise ValueError(f"{status!r} is not an HTTP error status (400 to 599)")
        check_shares(shares)
        return shares


class Verdict(NamedTuple):
    """The fate of one request: wait, then answer `status` or drop the connection, or neither."""

    delay_s: float = 0
    status: int | None = None
    reset: Literal["before", "after"] | None = None


def pick_status(shares: Mapping[str, float], draw: Draw) -> int | None:
    """Draw one of the statuses according to its share, or None."""
    status = pick(shares, draw)
    return None if status is None else int(status)


def decide(faults: Faults, draw: Draw, now: float) -> Verdict:
    """Decide about the faults of a collection request that arrived at `now` (seconds since the epoch)."""
    delay_s = (faults.latency_ms + (faults.jitter_ms * draw() if faults.jitter_ms else 0)) / 1000
    if now < faults.outage_until:
        if faults.outage_mode == "reset":
            return Verdict(delay_s, reset="before")
        return Verdict(delay_s, status=503)
    if faults.reset_rate and draw() < faults.reset_rate:
        return Verdict(delay_s, reset=faults.reset_when)
    return Verdict(delay_s, pick_status(faults.rate, draw))


def retry_after_header(faults: Faults, status: int) -> dict[str, str]:
    """Return the headers of an injected error answer: `Retry-After` on 429 and 503 when it is switched on."""
    if faults.retry_after is None or status not in (429, 503):
        return {}
    return {"Retry-After": str(faults.retry_after)}


def misfit(kind: str, answer: dict[str, Any]) -> dict[str, Any] | None:
    """Make the `responses` of a 207 body not fit its request; None stands for a body that is not JSON."""
    responses: Sequence[Any] = answer["responses"]
    if kind == "not_json":
        return None
    if kind == "missing":
        return {key: value for key, value in answer.items() if key != "responses"}
    if kind == "short":
        responses = responses[:-1]
    elif kind == "long":
        responses = [*responses, responses[-1] if responses else {"xactionId": "0:0:0"}]
    elif kind == "reversed":
        responses = responses[::-1]
    elif kind == "duplicate":
        responses = [{**response, "xactionId": "0:0:0"} for response in responses]
    return {**answer, "responses": responses}


class FaultState:
    """The faults that are switched on now, for all inlets and for single ones, and their own random numbers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changes: dict[str, dict[str, Any]] = {}  # by inlet id; "" is for all
        self._effective: dict[str, Faults] = {}
        self._random = random.Random(0)  # noqa: S311 - faults, not secrets

    def draw(self) -> float:
        """Return the next random number in [0, 1)."""
        return self._random.random()

    def change(self, changes: Mapping[str, Any]) -> None:
        """Merge switches into those that are on; `inlet` limits them to one inlet.

        Raises:
            ValueError: An unknown switch or a value out of range.
        """
        changed = dict(changes)
        inlet_id = changed.pop("inlet", None) or ""
        Faults.model_validate(changed)
        if changed.get("outage_s") is not None:
            changed["outage_until"] = self._clock() + changed["outage_s"]
        if changed.get("seed") is not None:
            self._random.seed(changed["seed"])
        merged = {**self._changes.get(inlet_id, {}), **changed}
        self._changes[inlet_id] = merged
        self._effective.clear()

    def replace(self, switches: Mapping[str, Any], inlet_id: str = "") -> None:
        """Replace all switches for all inlets, or for one. A running outage continues.

        Raises:
            ValueError: An unknown switch or a value out of range.
        """
        Faults.model_validate(switches)
        before = self._changes.get(inlet_id, {})
        kept = ("outage_s", "outage_until") if before.get("outage_until", 0) > self._clock() else ()
        self._changes[inlet_id] = {key: before[key] for key in kept if key in before}
        self.change({**switches, "inlet": inlet_id})

    def clear(self) -> None:
        """Switch every fault off."""
        self._changes.clear()
        self._effective.clear()

    def effective(self, inlet_id: str = "") -> Faults:
        """Return the faults for an inlet: its own switches over those for all."""
        if inlet_id not in self._effective:
            merged = {**self._changes.get("", {}), **self._changes.get(inlet_id, {})}
            self._effective[inlet_id] = Faults.model_validate(merged)
        return self._effective[inlet_id]

    def shown(self) -> dict[str, Any]:
        """Return the switches as they were set: those for all at the root, those of single inlets under `inlets`."""
        single = {inlet_id: changes for inlet_id, changes in self._changes.items() if inlet_id}
        return {**self._changes.get("", {}), **({"inlets": single} if single else {})}

    def restore(self, shown: Mapping[str, Any]) -> None:
        """Bring back what `shown` returned.

        Raises:
            ValueError: It has a switch that there is none of here, or a value out of range.
        """
        self._changes = {"": {key: value for key, value in shown.items() if key != "inlets"}}
        self._changes.update(shown.get("inlets", {}))
        self._effective.clear()
        for inlet_id in self._changes:
            self.effective(inlet_id)
