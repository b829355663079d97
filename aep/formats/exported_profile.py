"""The record that AEP exports of a profile to a streaming destination: its shape, and what it says of memberships.

Sources: "Amazon Kinesis connection" and "Azure Event Hubs connection", exported data, in both dialects: `realized` and
`exited`, since 2022 or so, and `realized`, `existing` and `exited` before; Segment Membership Details field group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import jsonschema_rs

from aep.xdm.pointers import pointer
from aep.xdm.rejection import Rejection, XdmError, rejection
from aep.xdm.wording import message_of

Membership = Literal["entered", "left", "changed"]

# In milliseconds since 1970; a smaller number, before September 2001, is a time in seconds, a larger one is after 9999.
_MILLISECONDS = {"minimum": 1_000_000_000_000, "maximum": 253_402_300_799_999}
# A time as the documents print it, with Z, with an offset without a colon (option Include Segment Timestamps), or in
# milliseconds.
_TIME = {"type": ["string", "integer"], "format": "date-time", **_MILLISECONDS}
# What the options Include Segment Names and Include Segment Timestamps add.
_NUMBER = {"type": "integer", **_MILLISECONDS}
_DATE_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?(?:Z|([+-]\d{2}):?(\d{2}))", re.ASCII)
_SHAPE = {
    "type": "object",
    "required": ["identityMap"],
    "properties": {
        "identityMap": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["id"],
                    "properties": {"id": {"type": "string", "minLength": 1}},
                },
            },
        },
        "segmentMembership": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "required": ["status"],
                    "properties": {
                        "status": {"enum": ["realized", "existing", "exited"]},
                        "lastQualificationTime": _TIME,
                        "createdAt": _NUMBER,
                        "updatedAt": _NUMBER,
                        "mappingCreatedAt": _NUMBER,
                        "mappingUpdatedAt": _NUMBER,
                    },
                },
            },
        },
    },
}


def _is_date_time(text: str) -> bool:
    """Return whether a text is a time of the calendar in one of the documents' forms."""
    found = _DATE_TIME.fullmatch(text)
    if not found:
        return False
    try:  # Python 3.10 reads no Z, no offset without a colon, and of fractions only some
        datetime.fromisoformat(f"{found[1]}{found[2] or '+00'}:{found[3] or '00'}")
    except ValueError:
        return False
    return True


# In place of the library's own format, which refuses an offset without a colon.
_validator = jsonschema_rs.Draft4Validator(_SHAPE, formats={"date-time": _is_date_time}, validate_formats=True)


def check_shape(profile: dict[str, Any]) -> Rejection | None:
    """Return why a record is not an exported profile, or None.

    Attributes are not looked at: they are those that the destination maps. Namespaces and ids of audiences may be any;
    in Adobe's own samples ids are not UUIDs.
    """
    if _validator.is_valid(profile):
        return None
    return rejection(
        [
            XdmError(
                error.kind.name,
                pointer(error.instance_path),
                pointer(error.schema_path),
                message_of(error.kind.name, error.kind.as_dict(), error),
            )
            for error in _validator.iter_errors(profile)
        ]
    )


def membership_of(profile: dict[str, Any]) -> Membership:
    """Return what a record that has the shape says of audiences.

    `left`: one has the status `exited`, whatever else the record has, so that nobody takes an exit for a member.
    `entered`: one is `realized`; in the dialect without `existing` also when the profile had entered before. `changed`:
    neither, so the record is about attributes or identities.
    """
    memberships = profile.get("segmentMembership", {}).values()
    statuses = {audience["status"] for audiences in memberships for audience in audiences.values()}
    if "exited" in statuses:
        return "left"
    return "entered" if "realized" in statuses else "changed"


def identities_of(profile: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return the identities of a record that has the shape, each a namespace in lower case and an id.

    AEP writes namespaces in lower case (`ecid`) whose codes are not (`ECID`).
    """
    for namespace, entries in profile["identityMap"].items():
        for entry in entries:
            yield namespace.lower(), entry["id"]
