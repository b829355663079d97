"""What becomes of a record that is prepared for the post: it is refused, dropped or ready."""

from __future__ import annotations

from typing import Literal, NamedTuple

from aep.xdm.schema import ResolvedSchema
from aep.xdm.validate import XdmError
from transforms.records.route import Route
from transforms.records.stages import Stage


class Refusal(NamedTuple):
    """Why a record is not posted.

    Attributes:
        stage: The step that refuses it.
        route: Name of its route; "" while that is not known.
        code: The kind of reason, fit for counting and filtering.
        message: The reason in words.
        pointer: JSON pointer to the first offending field, "" for the whole record.
        errors: All the violations of the schema and of the rules beyond it that were kept; none for other reasons.
        error_count: How many there were.
        schema: What it was checked against; None where that is not the reason.
    """

    stage: Stage
    route: str
    code: str
    message: str
    pointer: str = ""
    errors: tuple[XdmError, ...] = ()
    error_count: int = 1
    schema: ResolvedSchema | None = None

    @property
    def violations(self) -> tuple[XdmError, ...]:
        """The errors; for a reason that is none of the schema's, that one."""
        return self.errors or (XdmError(self.code, self.pointer, "", self.message),)


class Dropped(NamedTuple):
    """A record that is left out on purpose: neither posted nor dead-lettered, only counted.

    Attributes:
        reason: `tombstone`, for one without a value where these are skipped; `drop`, where it fits the conditions
            under which its route drops records; `transform`, where its route's function does.
        route: Name of the route that drops it; "" for a tombstone.
    """

    reason: Literal["tombstone", "drop", "transform"]
    route: str = ""


class Prepared(NamedTuple):
    """A record that can be posted: its route, and the bytes that go into the destination's envelope."""

    route: Route
    body: bytes


class Followed(NamedTuple):
    """A record at each step of its preparation, as JSON; None for steps that it did not come to.

    Attributes:
        parsed: As it was parsed.
        mapped: After the map, the transform, the `_id`, and what its destination makes of it.
        outcome: What becomes of it.
        route: Name of the route that it takes; "" where it takes none, or is a tombstone that is skipped.
    """

    parsed: bytes | None
    mapped: bytes | None
    outcome: Prepared | Refusal | Dropped
    route: str
