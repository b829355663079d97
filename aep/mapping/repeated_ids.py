"""Count different events that share an `_id` among the first ones, in little memory.

"Real-Time CDP Profile Store drops events if an event with the same _id already exists in the Profile Store" (Event
duplication), so a source that gives many events one `_id` loses all but one, and nothing refuses them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from aep.ingestion.envelope import Destination
from aep.xdm.schema import ResolvedSchema

SAMPLE_EVENTS = 5_000
"""How many events of a route a process looks at: under 2 MB and some hundredths of a second."""


class RepeatedIds(NamedTuple):
    """How many of the different events seen have an `_id` that an earlier one has."""

    repeated: int
    looked_at: int

    @property
    def warning(self) -> str:
        """The consequence and what to do, for the user; "" if there is none."""
        if not self.repeated:
            return ""
        return (
            f"{self.repeated:,} of the {self.looked_at:,} different events looked at have an _id that another one has: "
            "Profile keeps one event of each _id. Give each event its own: take the _id out of the records, or map it, "
            "and let xdm_id_from make one of what tells the events apart (offset always does)"
        )


class IdSample:
    """Looks at the first events of a destination, as they are posted. Threads may share it.

    An event that comes again as it was, in a retry or a replay, counts once.
    """

    def __init__(self, *, in_message: bool, limit: int = SAMPLE_EVENTS) -> None:
        """Take whether events are in whole messages, and how many different ones to look at."""
        self._in_message = in_message
        self._limit = limit
        self._ids: set[int] = set()
        self._events: set[int] = set()
        self._lock = threading.Lock()

    @property
    def is_full(self) -> bool:
        """Whether it has seen enough; `add` then does nothing."""
        return len(self._events) >= self._limit

    @property
    def found(self) -> RepeatedIds:
        """What was found so far."""
        return RepeatedIds(len(self._events) - len(self._ids), len(self._events))

    def add(self, bodies: Iterable[bytes]) -> RepeatedIds:
        """Look at valid events, each as the bytes to post; return what they added."""
        with self._lock:
            before = self.found
            for body in bodies:
                if self.is_full:
                    break
                identifier = self._id_of(orjson.loads(body))
                if isinstance(identifier, str):
                    # Hashes of 64 bits: two of 5,000 are the same by accident once in a trillion runs.
                    self._ids.add(hash(identifier))
                    self._events.add(hash((identifier, body)))
            found = self.found
        return RepeatedIds(found.repeated - before.repeated, found.looked_at - before.looked_at)

    def _id_of(self, record: Any) -> Any:
        return record["body"]["xdmEntity"].get("_id") if self._in_message else record.get("_id")


def sample_of(destination: Destination, schema: ResolvedSchema | None, limit: int = SAMPLE_EVENTS) -> IdSample | None:
    """Return a sample for events of a destination; None where an `_id` says nothing: profiles, and raw records."""
    if schema is None or not schema.is_event or destination.payload == "raw":
        return None
    return IdSample(in_message=destination.payload == "message", limit=limit)
