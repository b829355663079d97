"""What happens to the members of the demo, and the records that AEP should export of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import orjson

from samples.loyalty import generate

Change = Literal["entered", "left", "changed", "outside"]
"""What a profile that is written does: it enters the audience, leaves it, is written inside it, or is outside it."""

CHANGES: tuple[Change, ...] = ("entered", "left", "changed", "outside")

AUDIENCE = frozenset({"gold", "platinum"})
"""The tiers of the audience "Gold members" in configs/provision-kinesis.yaml."""

Profile = dict[str, Any]


def rounds(members: int) -> list[list[Profile]]:
    """Return the profiles that are written: everybody joins; then tiers and points change, or nothing at all does.

    Args:
        members: How many, each with one profile a round.
    """
    first = [orjson.loads(sample.value) for sample in generate(members, kind="profiles")]
    return [first, [_later(number, profile) for number, profile in enumerate(first)]]


def _later(number: int, profile: Profile) -> Profile:
    loyalty = dict(profile["_acme"]["loyalty"])
    if number % 3 == 0:
        loyalty["tier"] = "silver" if loyalty["tier"] in AUDIENCE else "gold"
    elif number % 3 == 1:
        loyalty["points"] += 500
    return {**profile, "_id": f"{profile['_id']}-later", "_acme": {"loyalty": loyalty}}


def member_of(profile: Profile) -> str:
    """Return the member's number, of a profile as it is written or as it is exported."""
    identities = {namespace.lower(): ids for namespace, ids in profile["identityMap"].items()}
    return str(identities["loyaltyid"][0]["id"])


def expected(written: Iterable[Iterable[Profile]]) -> dict[str, list[Change]]:
    """Return what each member's profile does, in order, when the rounds are written."""
    changes: dict[str, list[Change]] = {}
    inside: set[str] = set()
    for profiles in written:
        for profile in profiles:
            member = member_of(profile)
            changes.setdefault(member, []).append(_change(profile, member in inside))
            (inside.add if profile["_acme"]["loyalty"]["tier"] in AUDIENCE else inside.discard)(member)
    return changes


def _change(profile: Profile, was_inside: bool) -> Change:
    is_inside = profile["_acme"]["loyalty"]["tier"] in AUDIENCE
    if is_inside:
        return "changed" if was_inside else "entered"
    return "left" if was_inside else "outside"


def exported(lines: Iterable[Mapping[str, Any]], audience: str) -> dict[str, list[Change]]:
    """Return what the records say of each member, in the order of the stream.

    Args:
        lines: What `pipelines.kinesis_to_kafka` has written.
        audience: The id of the audience.
    """
    changes: dict[str, list[Change]] = {}
    inside: set[str] = set()
    for line in sorted(lines, key=lambda line: int(line["sequence_number"])):
        member = member_of(line["profile"])
        status = line["profile"]["segmentMembership"]["ups"][audience]["status"]
        was_inside = member in inside
        if status == "exited":
            changes.setdefault(member, []).append("left")
            inside.discard(member)
        else:
            changes.setdefault(member, []).append("changed" if was_inside else "entered")
            inside.add(member)
    return changes


def count(changes: Mapping[str, Sequence[Change]]) -> Counter[Change]:
    """Return how many times each change happens."""
    return Counter(change for each in changes.values() for change in each)


def differences(wanted: Mapping[str, Sequence[Change]], found: Mapping[str, Sequence[Change]]) -> list[str]:
    """Return a sentence for each member whose records are not those that its changes ask for."""
    wrong = []
    for member in sorted(wanted.keys() | found.keys()):
        should = [change for change in wanted.get(member, ()) if change != "outside"]
        has = list(found.get(member, ()))
        if should != has:
            wrong.append(f"{member}: expected {', '.join(should) or 'no record'}; got {', '.join(has) or 'no record'}")
    return wrong
