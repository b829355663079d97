"""A loyalty programme's profiles and events, the same for the same seed, made as fast as a test bench needs.

Each sample depends on the seed and its sequence number alone, so ten samples are the first ten of a million.
Records are put together from pieces of JSON encoded beforehand; a digest of the number picks the pieces.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import blake2b
from typing import Literal, NamedTuple

from samples.broken import BROKEN_KINDS, BrokenKind
from samples.fragments import BLOCKS, MEMBERS, PURCHASES, Member, members_of, note

PROFILES_TOPIC = "loyalty-profiles"
EVENTS_TOPIC = "loyalty-events"

Kind = Literal["mixed", "profiles", "events"]

MIN_EVENT_BYTES = 900
"""The smallest `event_bytes`; an event without its optional parts stays below."""
_MAX_EVENT_BYTES = 100_000_000  # a hundred times what a request to AEP holds

_MAX_SEED = 2**32 - 1
_PROFILE_EVERY = 5  # in a mixed stream
_NOTE = b',"receiptNote":"%b"'
_NOTE_OVERHEAD = len(_NOTE % b"")


class Sample(NamedTuple):
    """One record for Kafka.

    Attributes:
        sequence: Its number, from 0.
        topic: The topic it belongs to.
        key: The member's number.
        value: JSON of the XDM record, or what is left of it.
        broken: Name of the breakage, None for a good record.
        expected_code: The code that a pipeline with default rules dead-letters it with; None for a good one.
        expected_stage: "parse" or "validate"; None for a good one.
    """

    sequence: int
    topic: str
    key: bytes
    value: bytes
    broken: str | None
    expected_code: str | None
    expected_stage: str | None


def generate(
    count: int,
    *,
    seed: int = 7,
    kind: Kind = "mixed",
    broken_share: float = 0.0,
    broken_kinds: Sequence[str] | None = None,
    event_bytes: int | None = None,
) -> Iterator[Sample]:
    """Make `count` samples.

    Args:
        count: How many.
        seed: Another seed makes other records; 0 to 4,294,967,295.
        kind: "profiles", "events", or "mixed", where every fifth record is a profile.
        broken_share: Share of records broken on purpose, 0 to 1.
        broken_kinds: Names from `BROKEN_KINDS` to break them with, each where it applies; None for all.
        event_bytes: Exact size of each good event in bytes; None for whatever it comes to, 1 to 2 kB.

    Raises:
        ValueError: An unknown kind, a number out of its range, or no broken kind that applies.
    """
    if kind not in ("mixed", "profiles", "events"):
        raise ValueError(f"unknown kind {kind!r}; known: mixed, profiles, events")
    if not 0 <= seed <= _MAX_SEED:
        raise ValueError(f"seed is a number from 0 to {_MAX_SEED}, not {seed}")
    if not 0 <= broken_share <= 1:
        raise ValueError(f"broken_share is a share from 0 to 1, not {broken_share}")
    if event_bytes is not None and not MIN_EVENT_BYTES <= event_bytes <= _MAX_EVENT_BYTES:
        raise ValueError(
            f"event_bytes is {event_bytes}; an event takes at least {MIN_EVENT_BYTES}, at most {_MAX_EVENT_BYTES}"
        )
    for_events, for_profiles = _applicable(broken_kinds)
    wanted = {"events": for_events, "profiles": for_profiles, "mixed": for_events + for_profiles}[kind]
    if broken_share and not wanted:
        raise ValueError(f"none of the broken kinds {', '.join(broken_kinds or ())} applies to {kind}")
    threshold = int(broken_share * 2**32)
    return _generate(count, seed, kind, threshold, for_events, for_profiles, event_bytes)


def sequence_of(record_id: str) -> int:
    """Return the sequence number that a sample's `_id` ends with."""
    return int(record_id.rpartition("-")[2])


def _applicable(names: Sequence[str] | None) -> tuple[list[BrokenKind], list[BrokenKind]]:
    unknown = sorted(set(names or ()) - set(BROKEN_KINDS))
    if unknown:
        raise ValueError(f"unknown broken kinds {', '.join(unknown)}; known: {', '.join(BROKEN_KINDS)}")
    kinds = [BROKEN_KINDS[name] for name in (BROKEN_KINDS if names is None else names)]
    return [kind for kind in kinds if kind.events], [kind for kind in kinds if kind.profiles]


def _generate(
    count: int,
    seed: int,
    kind: Kind,
    threshold: int,
    for_events: list[BrokenKind],
    for_profiles: list[BrokenKind],
    event_bytes: int | None,
) -> Iterator[Sample]:
    members = _members(seed)
    salt = seed.to_bytes(16, "little")
    for sequence in range(count):
        digest = blake2b(b"%d" % sequence, digest_size=32, salt=salt).digest()
        if kind == "profiles" or (kind == "mixed" and sequence % _PROFILE_EVERY == 0):
            topic, kinds = PROFILES_TOPIC, for_profiles
            order = sequence if kind == "profiles" else sequence // _PROFILE_EVERY
            member = members[order % MEMBERS]
            value = _profile(b"loyalty-%d-%09d" % (seed, sequence), member, digest)
        else:
            topic, kinds = EVENTS_TOPIC, for_events
            member = members[int.from_bytes(digest[:4], "big") % MEMBERS]
            value = _event(b"loyalty-%d-%09d" % (seed, sequence), member, digest, event_bytes)
        if kinds and int.from_bytes(digest[4:8], "big") < threshold:
            broken = kinds[int.from_bytes(digest[8:10], "big") % len(kinds)]
            yield Sample(sequence, topic, member.number, broken.make(value), broken.name, broken.code, broken.stage)
        else:
            yield Sample(sequence, topic, member.number, value, None, None, None)


@cache
def _members(seed: int) -> tuple[Member, ...]:
    return members_of(seed)


def _profile(record_id: bytes, member: Member, digest: bytes) -> bytes:
    points = int.from_bytes(digest[10:12], "big")
    return (
        b'{"_id":"%b","_repo":{"createDate":"%b","modifyDate":"%b"},%b,"_acme":{"loyalty":{%b,"points":%d,'
        b'"lifetimePoints":%d,"newsletter":%b}}}'
    ) % (
        record_id,
        member.joined,
        _timestamp(digest),
        member.profile,
        member.loyalty_profile,
        points,
        points * 3 + digest[12],
        b"true" if digest[13] & 1 else b"false",
    )


def _event(record_id: bytes, member: Member, digest: bytes, size: int | None) -> bytes:
    purchases = PURCHASES[member.currency]
    purchase = purchases[digest[10] % len(purchases)] if size is None else purchases[0]
    blocks = [member.place, *[pool[digest[11 + place] % len(pool)] for place, pool in enumerate(BLOCKS)]]
    head = (
        b'{"_id":"%b","eventType":"%b","timestamp":"%b",%b,"_acme":{"loyalty":{%b,"pointsEarned":%d,'
        b'"pointsBalance":%d,"multiplier":%b}'
    ) % (
        record_id,
        purchase.event_type,
        _timestamp(digest),
        member.identity_map,
        member.loyalty_event,
        purchase.points,
        int.from_bytes(digest[18:21], "big"),
        b"2.0" if digest[21] & 1 else b"1.0",
    )
    tail = b"},%b" % purchase.json
    if size is None:
        return b"%b%b%b}" % (head, tail, b"".join(blocks))
    return _sized(head, tail, blocks, size)


def _sized(head: bytes, tail: bytes, blocks: list[bytes], size: int) -> bytes:
    """Take the optional blocks that fit, and fill up with a note on the receipt to the exact size."""
    room = size - len(head) - len(tail) - len(b"}") - _NOTE_OVERHEAD
    chosen = b""
    for block in blocks:
        if len(block) <= room:
            chosen += block
            room -= len(block)
    return b"%b%b%b%b}" % (head, _NOTE % note(room), tail, chosen)


def _timestamp(digest: bytes) -> bytes:
    """Return a moment of 2025, to the millisecond."""
    return b"2025-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
        digest[22] % 12 + 1,
        digest[23] % 28 + 1,
        digest[24] % 24,
        digest[25] % 60,
        digest[26] % 60,
        digest[27] * 3,
    )
