"""What the Real-Time Customer Profile store makes of ingested messages.

Sources: "Event duplication" (an event whose `_id` the store has is dropped), "Guardrails for Real-Time Customer
Profile" (events of more than 10 KB and records of more than 100 KB are dropped), "Send partial row updates" (create,
merge, delete), "Ingest streaming record data". Nothing that is dropped is reported to anyone.

A record is kept for its dataset and primary identity. `create` replaces it, `merge` writes over its fields. A
profile is all that is kept for the identities that are linked: those that were seen together, at most 50 of them, the
latest change winning. An identity that leaves a full graph keeps what was sent for it, as a profile of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import orjson

from emulator.state.identities import MAX_GRAPH_IDENTITIES, Named, identity_map, merge_into, surplus
from emulator.state.store import Store

MAX_EVENT_BYTES = 10_240
MAX_RECORD_BYTES = 102_400

Operation = Literal["create", "merge", "delete"]

_TABLES = """
CREATE TABLE IF NOT EXISTS profile_identities (
    org_id TEXT, namespace TEXT, value TEXT, xid TEXT NOT NULL, cluster INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (org_id, namespace, value)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS profile_clusters ON profile_identities (cluster);
CREATE INDEX IF NOT EXISTS profile_xids ON profile_identities (org_id, xid);
CREATE TABLE IF NOT EXISTS profile_records (
    org_id TEXT, namespace TEXT, value TEXT, dataset_id TEXT, entity BLOB NOT NULL, xaction_id TEXT NOT NULL,
    seq INTEGER NOT NULL, modified_ms INTEGER NOT NULL, PRIMARY KEY (org_id, namespace, value, dataset_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS profile_events (
    org_id TEXT, event_id TEXT, seq INTEGER NOT NULL, namespace TEXT, value TEXT, timestamp_ms INTEGER,
    entity BLOB, modified_ms INTEGER, PRIMARY KEY (org_id, event_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS profile_event_owners ON profile_events (org_id, namespace, value);
"""


class Source(NamedTuple):
    """Where an entity comes from: the message's number and transaction id, its dataset, and when it was received."""

    org_id: str
    dataset_id: str
    seq: int
    xaction_id: str
    received_ms: int


class Profile(NamedTuple):
    """A profile as it can be looked up. `tags` are the transaction ids of the messages it is made of."""

    identities: Sequence[Named]
    entity: dict[str, Any]
    sources: Sequence[str]
    tags: Sequence[str]
    modified_ms: int


class Fragment(NamedTuple):
    """A record that is kept: for a dataset and its owner, the identity it was sent for; `seq` is its last message."""

    seq: int
    dataset_id: str
    owner: Named
    entity: dict[str, Any]
    xaction_id: str
    modified_ms: int


class Event(NamedTuple):
    """An event of a profile; `owner` is the identity it was sent for."""

    id: str
    owner: Named
    timestamp_ms: int
    entity: dict[str, Any]
    modified_ms: int


class ProfileStore:
    """The profiles and events of all organisations. Changes belong into a transaction of the caller."""

    def __init__(self, store: Store) -> None:
        self._db = store.db
        store.add_tables(_TABLES, forgotten=("profile_identities", "profile_records", "profile_events"))
        columns = {name for _, name, *_ in self._db.execute("PRAGMA table_info(profile_identities)")}
        if "seq" not in columns:  # a state file from before graphs had a limit
            self._db.execute("ALTER TABLE profile_identities ADD COLUMN seq INTEGER NOT NULL DEFAULT 0")
        self._folded: dict[str, int] = {}

    def take_record(
        self, source: Source, identities: Sequence[Named], entity: dict[str, Any], size: int, operation: Operation
    ) -> bool:
        """Keep a record for the first of its identities, and link them all; return whether it was taken."""
        if not identities or size > MAX_RECORD_BYTES:
            return False
        primary = identities[0]
        key = (source.org_id, *primary, source.dataset_id)
        if operation == "delete":
            self._db.execute(
                "DELETE FROM profile_records WHERE org_id = ? AND namespace = ? AND value = ? AND dataset_id = ?", key
            )
            return True
        self._link(source, identities)
        if operation == "merge":
            row = self._db.execute(
                """SELECT entity FROM profile_records
                WHERE org_id = ? AND namespace = ? AND value = ? AND dataset_id = ?""",
                key,
            ).fetchone()
            base = orjson.loads(row[0]) if row else {}
            merge_into(base, entity)
            entity = base
        self._db.execute(
            "REPLACE INTO profile_records VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*key, orjson.dumps(entity), source.xaction_id, source.seq, source.received_ms),
        )
        return True

    def take_event(
        self, source: Source, identities: Sequence[Named], entity: dict[str, Any], size: int, timestamp_ms: int
    ) -> bool:
        """Keep an event for the first of its identities, unless its `_id` is known; return whether it is new."""
        if not identities or size > MAX_EVENT_BYTES:
            return False
        self._link(source, identities)
        inserted = self._db.execute(
            "INSERT OR IGNORE INTO profile_events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                source.org_id,
                entity["_id"],
                source.seq,
                *identities[0],
                timestamp_ms,
                orjson.dumps(entity),
                source.received_ms,
            ),
        )
        return inserted.rowcount > 0

    def profile_id(self, org_id: str, identity: Named) -> int | None:
        """Return the number of the profile that an identity belongs to; a merged profile keeps its lowest."""
        row = self._db.execute(
            "SELECT cluster FROM profile_identities WHERE org_id = ? AND namespace = ? AND value = ?",
            (org_id, *identity),
        ).fetchone()
        return row and int(row[0])

    def profile_ids(self, org_id: str, *, after: int, limit: int) -> list[int]:
        """Return the next profiles of an organisation in the order of their numbers."""
        rows = self._db.execute(
            # + keeps the index of the identities from being used, which would go through all of them
            """SELECT DISTINCT cluster FROM profile_identities WHERE +org_id = ? AND cluster > ?
            ORDER BY cluster LIMIT ?""",
            (org_id, after, limit),
        )
        return [profile_id for (profile_id,) in rows]

    def identities(self, profile_id: int) -> list[Named]:
        rows = self._db.execute(
            "SELECT namespace, value FROM profile_identities WHERE cluster = ? ORDER BY namespace, value", (profile_id,)
        )
        return [Named(*row) for row in rows]

    def identity(self, org_id: str, xid: str) -> Named | None:
        row = self._db.execute(
            "SELECT namespace, value FROM profile_identities WHERE org_id = ? AND xid = ?", (org_id, xid)
        ).fetchone()
        return Named(*row) if row else None

    def some_identities(self, limit: int) -> Sequence[tuple[str, Named]]:
        """Return a few identities with their organisations, to look up."""
        rows = self._db.execute("SELECT org_id, namespace, value FROM profile_identities LIMIT ?", (limit,))
        return [(org_id, Named(namespace, value)) for org_id, namespace, value in rows]

    def linked(self, org_id: str, identity: Named) -> list[Named]:
        """Return an identity and all that belong to the same profile; an empty list if it was never seen."""
        profile_id = self.profile_id(org_id, identity)
        return [] if profile_id is None else self.identities(profile_id)

    def profile(self, org_id: str, identities: Sequence[Named]) -> Profile | None:
        """Return the profile of linked identities; None if no record is kept for any of them."""
        fragments = self.fragments(org_id, identities)
        if not fragments:
            return None
        entity: dict[str, Any] = {}
        for each in fragments:
            merge_into(entity, each.entity)
        entity["identityMap"] = identity_map(identities)
        return Profile(
            identities,
            entity,
            list(dict.fromkeys(each.dataset_id for each in fragments)),
            [each.xaction_id for each in fragments],
            max(each.modified_ms for each in fragments),
        )

    def fragments(self, org_id: str, identities: Sequence[Named]) -> list[Fragment]:
        """Return the records of linked identities, the earliest change first."""
        found = [
            Fragment(seq, dataset_id, identity, orjson.loads(entity), xaction_id, modified_ms)
            for identity in identities
            for seq, dataset_id, entity, xaction_id, modified_ms in self._db.execute(
                """SELECT seq, dataset_id, entity, xaction_id, modified_ms FROM profile_records
                WHERE org_id = ? AND namespace = ? AND value = ?""",
                (org_id, *identity),
            )
        ]
        return sorted(found, key=lambda each: (each.seq, each.dataset_id))

    def events(self, org_id: str, identities: Sequence[Named]) -> list[Event]:
        """Return the events of linked identities, the earliest first."""
        found = [
            Event(event_id, identity, timestamp_ms, orjson.loads(entity), modified_ms)
            for identity in identities
            for event_id, timestamp_ms, entity, modified_ms in self._db.execute(
                """SELECT event_id, timestamp_ms, entity, modified_ms FROM profile_events
                WHERE org_id = ? AND namespace = ? AND value = ?""",
                (org_id, *identity),
            )
        ]
        return sorted(found, key=lambda event: (event.timestamp_ms, event.id))

    def forget(self, org_id: str, identities: Sequence[Named]) -> None:
        """Delete the profile of linked identities with its events."""
        for identity in identities:
            for table in ("profile_records", "profile_events", "profile_identities"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE org_id = ? AND namespace = ? AND value = ?",  # noqa: S608 - as above
                    (org_id, *identity),
                )

    def take_in(self, org_id: str, inlet_ids: Iterable[str]) -> None:
        """Give the Profile store the messages of inlets without a dataset of the Catalog.

        They are taken in when someone asks, not as they arrive, so that the collection service is not slowed down.
        No message may be waiting for its validation. Nothing is kept of them but their `_id`.
        """
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()
        for inlet_id in inlet_ids:
            self._db.execute(
                """INSERT OR IGNORE INTO profile_events (org_id, event_id, seq)
                SELECT ?, entity_id, seq FROM messages LEFT JOIN failures USING (seq)
                WHERE seq > ? AND inlet_id = ? AND entity_id IS NOT NULL AND errors IS NULL AND length(entity) <= ?
                ORDER BY seq""",
                (org_id, self._folded.get(inlet_id, 0), inlet_id, MAX_EVENT_BYTES),
            )
            self._folded[inlet_id] = last

    def event_ids(self, org_id: str) -> dict[str, int]:
        """Return each `_id` among the events of an organisation, with the number of events that have it."""
        rows = self._db.execute(
            "SELECT event_id, count(*) FROM profile_events WHERE org_id = ? GROUP BY event_id", (org_id,)
        )
        return dict(rows)

    def _link(self, source: Source, identities: Sequence[Named]) -> None:
        """Let identities belong to one profile, with all that they belonged together with before."""
        org_id = source.org_id
        found = {self.profile_id(org_id, identity) for identity in identities}
        clusters = {each for each in found if each is not None}
        target = min(clusters) if clusters else self._new_profile_id()
        for cluster in clusters - {target}:
            self._db.execute("UPDATE profile_identities SET cluster = ? WHERE cluster = ?", (target, cluster))
        self._db.executemany(
            "INSERT INTO profile_identities VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq",
            [(org_id, *identity, identity.xid, target, source.seq) for identity in identities],
        )
        self._make_room(org_id, target, identities)

    def _make_room(self, org_id: str, profile_id: int, newest: Sequence[Named]) -> None:
        """Take out of a profile the identities that are too many for it; each becomes a profile of its own."""
        rows = self._db.execute("SELECT namespace, value, seq FROM profile_identities WHERE cluster = ?", (profile_id,))
        linked = {Named(namespace, value): seq for namespace, value, seq in rows}
        if len(linked) <= MAX_GRAPH_IDENTITIES:
            return
        for identity in surplus(linked, newest):
            self._db.execute(
                "UPDATE profile_identities SET cluster = ? WHERE org_id = ? AND namespace = ? AND value = ?",
                (self._new_profile_id(), org_id, *identity),
            )

    def _new_profile_id(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(cluster), 0) + 1 FROM profile_identities").fetchone()[0])
