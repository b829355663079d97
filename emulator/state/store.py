"""State of the emulator in SQLite: definitions, counts, accepted and failed messages.

All calls come from the server's event loop, one short transaction each, and never from a thread: a writer thread
would fight the loop for the interpreter lock at every row. A reply is sent after its transaction, so whatever was
confirmed outlives a kill of the process (not a power cut: `synchronous` is off).
"""

from __future__ import annotations

import dataclasses
import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

_TABLES = """
CREATE TABLE IF NOT EXISTS definitions (
    kind TEXT, name TEXT, json BLOB NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, inlet_id TEXT NOT NULL, dataset_id TEXT, flow_id TEXT, entity_id TEXT,
    xaction_id TEXT NOT NULL, received_ms INTEGER NOT NULL, entity BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS pending (seq INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS failures (seq INTEGER PRIMARY KEY, errors BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS ids (
    inlet_id TEXT, entity_id TEXT, times INTEGER NOT NULL, PRIMARY KEY (inlet_id, entity_id)
) WITHOUT ROWID;
"""


@dataclass
class Counts:
    """What happened at one inlet. messages = accepted + rejected + deferred.

    Attributes:
        requests: All requests, also those that were refused or dropped as a whole.
        bytes: Bytes of their bodies, as received.
        messages: Messages in the requests that were read.
        accepted: Messages confirmed with a 200 or an element without an error status.
        rejected: Messages refused for good (400).
        deferred: Batch elements that a fault answered with 429 or 5xx.
        invalid: Accepted messages that failed the asynchronous validation.
        statuses: Requests by the HTTP status they were answered with; `reset` for dropped connections.
    """

    requests: int = 0
    bytes: int = 0
    messages: int = 0
    accepted: int = 0
    rejected: int = 0
    deferred: int = 0
    invalid: int = 0
    statuses: dict[str, int] = field(default_factory=dict)


class AcceptedMessage(NamedTuple):
    """An accepted message as it is stored. `entity` is its JSON; `pending` asks for asynchronous validation."""

    inlet_id: str
    dataset_id: str | None
    flow_id: str | None
    entity_id: str | None
    xaction_id: str
    received_ms: int
    entity: bytes
    pending: bool


class PendingMessage(NamedTuple):
    """An accepted message that the asynchronous validation has not seen yet."""

    seq: int
    inlet_id: str
    dataset_id: str | None
    flow_id: str | None
    xaction_id: str
    received_ms: int
    entity: bytes


class NewMessage(NamedTuple):
    """An accepted message. `errors` is what its validation found; `pending`, 0 or 1, says whether it is yet to come."""

    seq: int
    inlet_id: str
    dataset_id: str | None
    entity_id: str | None
    received_ms: int
    entity: bytes
    errors: bytes | None
    pending: int


State = Literal["accepted", "invalid", "pending"]
"""What became of a message in the asynchronous validation."""

_MESSAGE = """SELECT seq, inlet_id, dataset_id, entity_id, received_ms, entity, errors, pending.seq IS NOT NULL
            FROM messages LEFT JOIN failures USING (seq) LEFT JOIN pending USING (seq)"""
_OF: Mapping[State | None, str] = {
    None: "TRUE",
    "accepted": "errors IS NULL AND pending.seq IS NULL",
    "invalid": "errors IS NOT NULL",
    "pending": "pending.seq IS NOT NULL",
}


class StateFileError(ValueError):
    """A state file that cannot be used; the message names it, says why and what to do."""


class Store:
    """The database: a file that survives restarts, or a private temporary file that goes with the process.

    A new file can be read by its owner alone; one that is there keeps its mode.
    """

    def __init__(self, path: Path | None) -> None:
        try:
            if path is not None:
                # It holds access keys and personal data. SQLite gives the files next to it the same mode.
                path.touch(mode=0o600)
            self._db = sqlite3.connect(str(path) if path else "", timeout=1, isolation_level=None)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # a second emulator on the same file fails to start
            self._db.execute(f"PRAGMA journal_mode = {'WAL' if path else 'MEMORY'}")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            if "locked" in str(error):
                advice = "another emulator has it open: stop that one, or use another file here"
            else:
                advice = "name a writable file, or remove this one"
            raise StateFileError(f"state file {path}: {getattr(error, 'strerror', None) or error}; {advice}") from error
        self._last_seq: int = self._db.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()[0]
        self._forgotten = ["messages", "pending", "failures", "ids"]
        self._counts: dict[str, Counts] = {}
        for inlet_id, saved in self.definitions("counts"):
            self._counts[inlet_id] = Counts(**saved)

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, for the modules that keep tables of their own in the same file."""
        return self._db

    @property
    def last_seq(self) -> int:
        """The number of the message that was accepted last."""
        return self._last_seq

    def add_tables(self, script: str, *, forgotten: Sequence[str]) -> None:
        """Create the tables of another module; `forgotten` names those that `reset` empties."""
        self._db.executescript(script)
        self._forgotten += forgotten

    def close(self) -> None:
        """Save the counts and close the database."""
        with self.transaction():
            for inlet_id in self._counts:
                self._save_counts(inlet_id)
        self._db.close()

    def define(self, kind: str, name: str, value: Any) -> None:
        """Keep a definition (an inlet, a client, ...) under its kind and name, replacing an older one."""
        self._db.execute("REPLACE INTO definitions VALUES (?, ?, ?)", (kind, name, orjson.dumps(value)))

    def undefine(self, kind: str, name: str | None = None) -> None:
        """Forget one definition of a kind, or all of them."""
        self._db.execute("DELETE FROM definitions WHERE kind = ? AND name = coalesce(?, name)", (kind, name))

    def definitions(self, kind: str) -> list[tuple[str, Any]]:
        """Return all definitions of a kind as (name, value)."""
        rows = self._db.execute("SELECT name, json FROM definitions WHERE kind = ?", (kind,))
        return [(name, orjson.loads(value)) for name, value in rows]

    def counts(self, inlet_id: str) -> Counts:
        """Return the living counts of an inlet: change them, then `record` or `close` saves them."""
        if inlet_id not in self._counts:
            self._counts[inlet_id] = Counts()
        return self._counts[inlet_id]

    def set_counts(self, inlet_id: str, counts: Counts) -> None:
        """Replace the living counts of an inlet."""
        self._counts[inlet_id] = counts

    def record(self, inlet_id: str, messages: Sequence[AcceptedMessage] = ()) -> None:
        """Store the accepted messages of one request and the inlet's counts, in one transaction."""
        first = self._last_seq + 1
        with self.transaction():
            self._save_counts(inlet_id)
            self._db.executemany(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(seq, *message[:7]) for seq, message in enumerate(messages, first)],
            )
            self._db.executemany(
                "INSERT INTO ids VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
                [(inlet_id, message.entity_id) for message in messages if message.entity_id is not None],
            )
            self._db.executemany(
                "INSERT INTO pending VALUES (?)",
                [(seq,) for seq, message in enumerate(messages, first) if message.pending],
            )
        self._last_seq += len(messages)

    def pending(self, limit: int) -> list[PendingMessage]:
        """Return the oldest messages that wait for asynchronous validation."""
        rows = self._db.execute(
            """SELECT seq, inlet_id, dataset_id, flow_id, xaction_id, received_ms, entity
            FROM pending JOIN messages USING (seq) ORDER BY seq LIMIT ?""",
            (limit,),
        )
        return [PendingMessage(*row) for row in rows]

    def oldest_pending(self) -> int | None:
        """Return the number of the message that has waited longest for asynchronous validation; None if none waits."""
        found: int | None = self._db.execute("SELECT min(seq) FROM pending").fetchone()[0]
        return found

    def pending_count(self) -> int:
        """Return how many messages wait for asynchronous validation."""
        return int(self._db.execute("SELECT count(*) FROM pending").fetchone()[0])

    def settle(self, validated: Iterable[PendingMessage], errors: dict[int, Any]) -> None:
        """End the asynchronous validation of messages, in the transaction of the caller.

        Args:
            validated: The messages.
            errors: What Adobe's failed batches show of those that failed, by sequence number.
        """
        failed_inlets = []
        for message in validated:
            self._db.execute("DELETE FROM pending WHERE seq = ?", (message.seq,))
            if message.seq in errors:
                self.counts(message.inlet_id).invalid += 1
                failed_inlets.append(message.inlet_id)
        self._db.executemany(
            "INSERT INTO failures VALUES (?, ?)", [(seq, orjson.dumps(found)) for seq, found in errors.items()]
        )
        for inlet_id in set(failed_inlets):
            self._save_counts(inlet_id)

    def stats(self) -> dict[str, dict[str, Any]]:
        """Return the counts by inlet, with the unique and repeated `_id`s of the accepted messages."""
        by_inlet = {
            inlet_id: {**counts, "unique_ids": 0, "duplicates": 0} for inlet_id, counts in self.living_counts().items()
        }
        for inlet_id, unique, times in self._db.execute(
            "SELECT inlet_id, count(*), sum(times) FROM ids GROUP BY inlet_id"
        ):
            by_inlet[inlet_id].update(unique_ids=unique, duplicates=times - unique)
        return by_inlet

    def living_counts(self) -> dict[str, dict[str, Any]]:
        return {inlet_id: dataclasses.asdict(counts) for inlet_id, counts in self._counts.items()}

    def ids(self, inlet_id: str) -> Iterator[tuple[str, int]]:
        """Yield each `_id` accepted by an inlet, with the number of times."""
        yield from self._db.execute("SELECT entity_id, times FROM ids WHERE inlet_id = ?", (inlet_id,))

    def messages(self, inlet_id: str, *, failed: bool, after: int, limit: int) -> list[dict[str, Any]]:
        """Return accepted messages of an inlet in order of arrival, or those that failed validation."""
        rows = self._db.execute(
            f"""SELECT seq, dataset_id, flow_id, xaction_id, received_ms, entity, errors
            FROM messages {"" if failed else "LEFT"} JOIN failures USING (seq)
            WHERE inlet_id = ? AND seq > ? ORDER BY seq LIMIT ?""",  # noqa: S608 - no text of a caller in it
            (inlet_id, after, limit),
        )
        return [
            {
                "seq": seq,
                "datasetId": dataset_id,
                "flowId": flow_id,
                "xactionId": xaction_id,
                "receivedTimeMs": received_ms,
                "entity": orjson.Fragment(entity),
                **({"_validationErrors": orjson.Fragment(errors)} if errors is not None else {}),
            }
            for seq, dataset_id, flow_id, xaction_id, received_ms, entity, errors in rows
        ]

    def newest(
        self, *, among: int, dataset_id: str | None = None, inlet_id: str | None = None, state: State | None = None
    ) -> Iterator[NewMessage]:
        """Yield the newest accepted messages, the last one first.

        Args:
            among: How far back to look, in messages, so that a look costs the same however many there are.
            dataset_id: Only those for a dataset.
            inlet_id: Only those of an inlet.
            state: Only those of which this became.
        """
        rows = self._db.execute(
            f"""{_MESSAGE}
            WHERE seq > ? AND coalesce(dataset_id = ?, ? IS NULL) AND coalesce(inlet_id = ?, ? IS NULL) AND {_OF[state]}
            ORDER BY seq DESC""",
            (self._last_seq - among, dataset_id, dataset_id, inlet_id, inlet_id),
        )
        return itertools.starmap(NewMessage, rows)

    def message(self, seq: int) -> NewMessage | None:
        """Return one accepted message; None if there is none of this number."""
        if seq > self._last_seq:  # or more than SQLite has bits for
            return None
        row = self._db.execute(f"{_MESSAGE} WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else NewMessage(*row)

    def reset(self) -> None:
        """Forget counts, messages and what came of them; definitions stay."""
        self._counts.clear()
        with self.transaction():
            for table in self._forgotten:
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names above
            self.undefine("counts")

    def _save_counts(self, inlet_id: str) -> None:
        self.define("counts", inlet_id, self.counts(inlet_id))

    def transaction(self) -> _Transaction:
        """Return one transaction for a `with` block."""
        return _Transaction(self._db)


class _Transaction:
    """`with`: BEGIN, then COMMIT, or ROLLBACK when the block or the COMMIT raises."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN")

    def __exit__(self, error_type: object, *_: object) -> None:
        try:
            if error_type is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # SQLite itself rolls back where the disk is full
                self._db.execute("ROLLBACK")
