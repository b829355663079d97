"""Keep the records waiting to be written to streams, and counts of earlier ones, in the emulator's database.

They are queued in the transaction in which the profile changes and deleted once the stream has them, so that a kill of
the process loses none; between the two it can send one again. A run counts what was queued in one hour: in = out +
failed + still waiting. Adobe does not say how long the runs of a streaming destination are.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from emulator.export.records import Export
from emulator.state.store import Store

RUN_MS = 3_600_000
_TABLES = """
CREATE TABLE IF NOT EXISTS export_runs (
    id TEXT PRIMARY KEY, org_id TEXT NOT NULL, flow_id TEXT NOT NULL, started_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL, records_in INTEGER NOT NULL, records_out INTEGER NOT NULL, failed INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, errors BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS export_runs_of_flows ON export_runs (flow_id, started_ms);
CREATE TABLE IF NOT EXISTS exports (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, org_id TEXT NOT NULL, flow_id TEXT NOT NULL, run_id TEXT NOT NULL,
    partition_key TEXT NOT NULL, data BLOB NOT NULL, tries INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS exports_of_flows ON exports (flow_id, seq);
"""


class Waiting(NamedTuple):
    """A record that waits. `tries` counts the puts that failed."""

    seq: int
    run_id: str
    partition_key: str
    data: bytes
    tries: int


class Failure(NamedTuple):
    """A record that is not tried again, and why."""

    record: Waiting
    code: str
    message: str


class Run(NamedTuple):
    """The results of the records that a dataflow queued in an hour. `errors` has a number and an example by code."""

    id: str
    org_id: str
    flow_id: str
    started_ms: int
    updated_ms: int
    records_in: int
    records_out: int
    failed: int
    bytes_in: int
    bytes_out: int
    errors: Mapping[str, tuple[int, str]]


class ExportQueue:
    """The queue of all dataflows.

    Args:
        store: The emulator's database.
        clock: Seconds since the epoch.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._db = store.db
        self._store = store
        self._clock = clock
        store.add_tables(_TABLES, forgotten=("exports", "export_runs"))

    def add(self, exports: Iterable[Export]) -> None:
        """Queue records, in the transaction of the caller."""
        for org_id, flow_id, key, data in exports:
            run_id = self._run(org_id, flow_id)
            self._db.execute(
                """UPDATE export_runs SET records_in = records_in + 1, bytes_in = bytes_in + ?, updated_ms = ?
                WHERE id = ?""",
                (len(data), self._now_ms(), run_id),
            )
            self._db.execute(
                "INSERT INTO exports VALUES (NULL, ?, ?, ?, ?, ?, 0)", (org_id, flow_id, run_id, key, data)
            )

    def flows(self) -> list[tuple[str, str]]:
        """Return the organisations and ids of the dataflows that have records waiting."""
        return list(
            self._db.execute("SELECT DISTINCT org_id, flow_id FROM export_runs WHERE records_in > records_out + failed")
        )

    def oldest(self, flow_id: str, limit: int) -> list[Waiting]:
        """Return the records of a dataflow that have waited longest."""
        rows = self._db.execute(
            "SELECT seq, run_id, partition_key, data, tries FROM exports WHERE flow_id = ? ORDER BY seq LIMIT ?",
            (flow_id, limit),
        )
        return [Waiting(*row) for row in rows]

    def waiting(self) -> int:
        """Return how many records wait."""
        (waiting,) = self._db.execute("SELECT total(records_in - records_out - failed) FROM export_runs").fetchone()
        return int(waiting)

    def settle(self, sent: Sequence[Waiting], again: Sequence[Waiting], failed: Sequence[Failure]) -> None:
        """Store the results of a put: records written, to be tried again, and failed."""
        ended = [*sent, *(failure.record for failure in failed)]
        with self._store.transaction():
            self._db.executemany("UPDATE exports SET tries = tries + 1 WHERE seq = ?", [(each.seq,) for each in again])
            self._db.executemany("DELETE FROM exports WHERE seq = ?", [(each.seq,) for each in ended])
            for run_id in {each.run_id for each in ended}:
                self._count(
                    run_id,
                    [each for each in sent if each.run_id == run_id],
                    [each for each in failed if each.record.run_id == run_id],
                )

    def runs(self, org_id: str) -> list[Run]:
        """Return the runs of an organisation, the newest first."""
        rows = self._db.execute("SELECT * FROM export_runs WHERE org_id = ? ORDER BY started_ms DESC, id", (org_id,))
        return [_run(row) for row in rows]

    def _run(self, org_id: str, flow_id: str) -> str:
        """Return the id of the run of this hour."""
        now_ms = self._now_ms()
        started_ms = now_ms - now_ms % RUN_MS
        row = self._db.execute(
            "SELECT id FROM export_runs WHERE flow_id = ? AND started_ms = ?", (flow_id, started_ms)
        ).fetchone()
        if row:
            return str(row[0])
        run_id = str(uuid.uuid4())
        self._db.execute(
            "INSERT INTO export_runs VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, 0, ?)",
            (run_id, org_id, flow_id, started_ms, now_ms, b"{}"),
        )
        return run_id

    def _count(self, run_id: str, sent: Sequence[Waiting], failed: Sequence[Failure]) -> None:
        row = self._db.execute("SELECT * FROM export_runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:  # a reset came while the records were being put
            return
        run = _run(row)
        errors = dict(run.errors)
        for failure in failed:
            errors[failure.code] = (errors.get(failure.code, (0, ""))[0] + 1, failure.message)
        self._db.execute(
            """UPDATE export_runs SET updated_ms = ?, records_out = records_out + ?, bytes_out = bytes_out + ?,
            failed = failed + ?, errors = ? WHERE id = ?""",
            (
                self._now_ms(),
                len(sent),
                sum(len(each.data) for each in sent),
                len(failed),
                orjson.dumps(errors),
                run_id,
            ),
        )

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _run(row: Sequence[Any]) -> Run:
    errors = {code: (number, message) for code, (number, message) in orjson.loads(row[10]).items()}
    return Run._make([*row[:10], errors])
