"""Rules for the segments and destinations of a provision file, as far as they need no call. Pure.

Sources: "Connect to streaming destinations and activate data" (what a destination is made of), Kinesis API reference
(names of streams).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from aep.http import secrets
from aep.provision.model import Destination, Path, Problem, Provision

SECRETS = ("access_key_id", "secret_access_key")
_STREAM = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
_ATTRIBUTE = re.compile(r"[^\s./\[\]]+(\.[^\s./\[\]]+)*")


def check_destinations(wanted: Provision) -> Iterator[Problem]:
    """Yield what in the segments and destinations breaks a rule."""
    for index, segment in enumerate(wanted.segments):
        if not segment.delete and not (segment.rule or "").strip():
            yield Problem(("segments", index), f"segment {segment.name}: rule: missing: give one in PQL")
    for index, destination in enumerate(wanted.destinations):
        if not destination.delete:
            yield from _destination(wanted, destination, ("destinations", index))


def _destination(wanted: Provision, destination: Destination, path: Path) -> Iterator[Problem]:
    for key in ("stream", "region", *SECRETS):
        value = getattr(destination, key)
        if value is None:
            yield Problem(path, f"destination {destination.name}: {key}: missing")
        elif key in SECRETS and not secrets.is_well_formed(value):
            text = f"{key}: a secret must be given by reference: {secrets.FORMS} (the value is not shown)"
            yield Problem((*path, key), text)
    for key, form, example in (("stream", _STREAM, "loyalty-profiles"), ("region", _REGION, "eu-west-1")):
        value = getattr(destination, key)
        if value is not None and not form.fullmatch(value):
            yield Problem((*path, key), f"{key}: {value!r} is not the name of a {key}, such as {example}")
    for key in ("marketing_actions", "audiences", "attributes"):
        seen: set[str] = set()
        for number, value in enumerate(getattr(destination, key)):
            if value in seen:
                yield Problem((*path, key, number), f"{key}: duplicate {value} in destination {destination.name}")
            seen.add(value)
    for number, attribute in enumerate(destination.attributes):
        if not _ATTRIBUTE.fullmatch(attribute):
            text = f"attributes: {attribute!r} is not a dotted path, such as person.name.firstName"
            yield Problem((*path, "attributes", number), text)
    doomed = {each.name for each in wanted.segments if each.delete}
    for number, audience in enumerate(destination.audiences):
        if audience in doomed:
            yield Problem((*path, "audiences", number), f"{audience}: this segment is to be deleted")
