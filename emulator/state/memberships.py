"""The memberships of profiles in audiences, and by which identity a profile is known outside."""

from __future__ import annotations

from collections.abc import Mapping

from emulator.segments.memberships import Membership
from emulator.state.identities import Named
from emulator.state.store import Store

_TABLES = """
CREATE TABLE IF NOT EXISTS memberships (
    profile_id INTEGER, segment_id TEXT, status TEXT, since_ms REAL NOT NULL, had_event INTEGER NOT NULL,
    PRIMARY KEY (profile_id, segment_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS segment_members ON memberships (segment_id, status, profile_id);
CREATE TABLE IF NOT EXISTS profile_keys (profile_id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, value TEXT NOT NULL);
"""


class MembershipStore:
    """The memberships of all profiles. Changes belong in a transaction of the caller."""

    def __init__(self, store: Store) -> None:
        self._db = store.db
        store.add_tables(_TABLES, forgotten=("memberships", "profile_keys"))

    def of(self, profile_id: int) -> dict[str, Membership]:
        """Return the memberships of a profile by the id of the segment."""
        rows = self._db.execute(
            "SELECT segment_id, status, since_ms, had_event FROM memberships WHERE profile_id = ?", (profile_id,)
        )
        return {segment_id: Membership(status, since_ms, bool(had)) for segment_id, status, since_ms, had in rows}

    def save(self, profile_id: int, memberships: Mapping[str, Membership]) -> None:
        """Keep memberships of a profile, in place of those in the same segments."""
        self._db.executemany(
            "REPLACE INTO memberships VALUES (?, ?, ?, ?, ?)",
            [(profile_id, segment_id, *membership) for segment_id, membership in memberships.items()],
        )

    def key(self, profile_id: int, primary: Named) -> Named:
        """Return the primary identity that a profile was first seen with: this one, unless it had one before."""
        self._db.execute("INSERT OR IGNORE INTO profile_keys VALUES (?, ?, ?)", (profile_id, *primary))
        row = self._db.execute(
            "SELECT namespace, value FROM profile_keys WHERE profile_id = ?", (profile_id,)
        ).fetchone()
        return Named(*row)

    def forget(self, profile_id: int) -> None:
        """Forget a profile that was deleted, or has become part of another."""
        for table in ("memberships", "profile_keys"):
            self._db.execute(f"DELETE FROM {table} WHERE profile_id = ?", (profile_id,))  # noqa: S608 - as above

    def forget_segment(self, segment_id: str) -> None:
        """Forget who belonged to a segment that was deleted."""
        self._db.execute("DELETE FROM memberships WHERE segment_id = ?", (segment_id,))

    def forget_events(self, segment_id: str) -> None:
        """Forget whose events met the condition of a segment whose rule has changed."""
        self._db.execute("UPDATE memberships SET had_event = 0 WHERE segment_id = ?", (segment_id,))

    def members(self, segment_id: str, *, until_ms: float, after: int, limit: int) -> list[int]:
        """Return the next profiles that have belonged to a segment since before a time, in the order of their ids."""
        rows = self._db.execute(
            """SELECT profile_id FROM memberships
            WHERE segment_id = ? AND status = 'realized' AND profile_id > ? AND since_ms <= ?
            ORDER BY profile_id LIMIT ?""",
            (segment_id, after, until_ms, limit),
        )
        return [profile_id for (profile_id,) in rows]

    def counts(self) -> dict[str, int]:
        """Return the number of members of each segment that has any."""
        rows = self._db.execute("SELECT segment_id, count(*) FROM memberships WHERE status = 'realized' GROUP BY 1")
        return dict(rows)
