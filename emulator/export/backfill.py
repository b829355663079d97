"""Export the members that an audience had before it was mapped; Adobe does so within about an hour.

Source: "Profile export behavior for different destination types" (the first export after an activation includes the
profiles that qualified before). A dataflow that is enabled again, or an audience that is mapped again, begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import orjson

from emulator.export.profile_updates import CHUNK, ProfileUpdates
from emulator.state.destinations import Destination
from emulator.state.memberships import MembershipStore
from emulator.state.store import Store

_TABLES = """
CREATE TABLE IF NOT EXISTS export_mappings (
    flow_id TEXT, segment_id TEXT, PRIMARY KEY (flow_id, segment_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS export_backfills (
    id INTEGER PRIMARY KEY, org_id TEXT NOT NULL, flow_id TEXT NOT NULL, segment_ids BLOB NOT NULL,
    mapped_ms REAL NOT NULL, after INTEGER NOT NULL
);
"""


class _Backfill(NamedTuple):
    id: int
    org_id: str
    flow_id: str
    segment_ids: list[str]
    mapped_ms: float
    after: int


class Backfills:
    """The audiences that were mapped and whose members are still to be exported.

    Args:
        store: The emulator's database.
        memberships: Who belongs to the audiences.
        updates: Exports them.
        clock: Seconds since the epoch.
        delay: Returns how many seconds after the activation the members are exported.
    """

    def __init__(
        self,
        store: Store,
        memberships: MembershipStore,
        updates: ProfileUpdates,
        clock: Callable[[], float],
        delay: Callable[[], float],
    ) -> None:
        self._store = store
        self._db = store.db
        self._memberships = memberships
        self._updates = updates
        self._clock = clock
        self._delay = delay
        store.add_tables(_TABLES, forgotten=("export_backfills",))

    def look(self, destinations: Iterable[Destination]) -> None:
        """Record which audiences were mapped or unmapped since the last call; call after each change of a dataflow."""
        mapped = {each.flow_id: each for each in destinations}
        known: dict[str, set[str]] = {}
        for flow_id, segment_id in self._db.execute("SELECT flow_id, segment_id FROM export_mappings"):
            known.setdefault(flow_id, set()).add(segment_id)
        with self._store.transaction():
            for flow_id in known.keys() - mapped.keys():
                self._db.execute("DELETE FROM export_backfills WHERE flow_id = ?", (flow_id,))
            for flow_id in known.keys() | mapped.keys():
                wanted = mapped[flow_id].audiences.keys() if flow_id in mapped else set()
                gone = known.get(flow_id, set()) - wanted
                self._db.executemany(
                    "DELETE FROM export_mappings WHERE flow_id = ? AND segment_id = ?",
                    [(flow_id, each) for each in gone],
                )
                new = sorted(wanted - known.get(flow_id, set()))
                if not new:
                    continue
                self._db.executemany("INSERT INTO export_mappings VALUES (?, ?)", [(flow_id, each) for each in new])
                self._db.execute(
                    "INSERT INTO export_backfills VALUES (NULL, ?, ?, ?, ?, 0)",
                    (mapped[flow_id].org_id, flow_id, orjson.dumps(new), self._clock() * 1000),
                )

    def step(self) -> bool:
        """Queue the next members of an audience whose backfill is due; return whether there was one."""
        due_ms = (self._clock() - self._delay()) * 1000
        row = self._db.execute(
            "SELECT * FROM export_backfills WHERE mapped_ms <= ? ORDER BY id LIMIT 1", (due_ms,)
        ).fetchone()
        if row is None:
            return False
        number, org_id, flow_id, segment_ids, mapped_ms, after = row
        backfill = _Backfill(number, org_id, flow_id, orjson.loads(segment_ids), mapped_ms, after)
        with self._store.transaction():
            self._queue_some(backfill)
        return True

    def waiting(self) -> int:
        """Return how many activations have members that are still to be exported."""
        return int(self._db.execute("SELECT count(*) FROM export_backfills").fetchone()[0])

    def wait_seconds(self) -> float | None:
        """Return the seconds until the next backfill is due; None if none is waiting."""
        (mapped_ms,) = self._db.execute("SELECT min(mapped_ms) FROM export_backfills").fetchone()
        return None if mapped_ms is None else max(0.0, mapped_ms / 1000 + self._delay() - self._clock())

    def _queue_some(self, backfill: _Backfill) -> None:
        profile_ids = sorted(
            {
                profile_id
                for segment_id in backfill.segment_ids
                for profile_id in self._memberships.members(
                    segment_id, until_ms=backfill.mapped_ms, after=backfill.after, limit=CHUNK
                )
            }
        )[:CHUNK]
        for profile_id in profile_ids:
            self._updates.export(backfill.org_id, backfill.flow_id, profile_id, backfill.segment_ids)
        if profile_ids:
            self._db.execute("UPDATE export_backfills SET after = ? WHERE id = ?", (profile_ids[-1], backfill.id))
        else:
            self._db.execute("DELETE FROM export_backfills WHERE id = ?", (backfill.id,))
