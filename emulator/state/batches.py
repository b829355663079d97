"""Batches: the validated messages of a dataset in groups, good ones and failed ones apart.

Sources: "Streaming validation guide" (invalid messages go to an error batch of the dataset), "Retrieving failed
batches", "Error diagnostics". AEP closes the batches of a stream every few minutes; here one ends when no record
came for `GROUP_SECONDS`, when it has `MAX_RECORDS`, or when someone asks for batches.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from emulator.state.store import Store

GROUP_SECONDS = 1.0
MAX_RECORDS = 20_000  # its file is in memory as a whole when someone reads it

_BASE_32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TABLES = """
CREATE TABLE IF NOT EXISTS batches (
    id TEXT PRIMARY KEY, org_id TEXT NOT NULL, dataset_id TEXT NOT NULL, failed INTEGER NOT NULL,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL,
    errors BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch_records (
    batch_id TEXT, seq INTEGER, record BLOB NOT NULL, PRIMARY KEY (batch_id, seq)
) WITHOUT ROWID;
"""


class Record(NamedTuple):
    """A message in a batch: its JSON as it can be read back, and its errors as (code, text) if it failed."""

    seq: int
    content: bytes
    errors: Sequence[tuple[str, str]] = ()


class Batch(NamedTuple):
    """A batch. `errors` has a description and the number of records for each code."""

    id: str
    org_id: str
    dataset_id: str
    failed: bool
    created_ms: int
    updated_ms: int
    records: int
    bytes: int
    errors: Mapping[str, tuple[str, int]]


class Batches:
    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._db = store.db
        self._clock = clock
        store.add_tables(_TABLES, forgotten=("batches", "batch_records"))
        self._open: dict[tuple[str, str, bool], Batch] = {}

    def add(self, org_id: str, dataset_id: str, records: Sequence[Record], *, failed: bool) -> None:
        """Put records into the open batch of their dataset, in the transaction of the caller."""
        if not records:
            return
        key = (org_id, dataset_id, failed)
        now = int(self._clock() * 1000)
        batch = self._open.get(key)
        ended = batch is not None and (
            now - batch.updated_ms > GROUP_SECONDS * 1000 or batch.records + len(records) > MAX_RECORDS
        )
        if batch is None or ended:
            batch = Batch(ulid(now), org_id, dataset_id, failed, now, now, 0, 0, {})
        errors = dict(batch.errors)
        for record in records:
            for code, text in dict(record.errors).items():
                errors[code] = (errors.get(code, (text, 0))[0], errors.get(code, (text, 0))[1] + 1)
        batch = batch._replace(
            updated_ms=now,
            records=batch.records + len(records),
            bytes=batch.bytes + sum(len(record.content) for record in records),
            errors=errors,
        )
        self._open[key] = batch
        self._db.execute(
            "REPLACE INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*batch[:8], orjson.dumps(batch.errors))
        )
        self._db.executemany(
            "INSERT INTO batch_records VALUES (?, ?, ?)", [(batch.id, each.seq, each.content) for each in records]
        )

    def forget(self) -> None:
        """Forget which batches are open: what they hold is gone."""
        self._open.clear()

    def list(
        self,
        org_id: str,
        *,
        status: str | None,
        dataset_id: str | None,
        created_after: int,
        created_before: int,
    ) -> list[Batch]:
        """Return the batches of an organisation that pass a filter. Closes the open ones.

        Args:
            org_id: Organisation.
            status: `success` or `failed`; None for both. Any other status has no batches.
            dataset_id: Dataset; None for all.
            created_after: Epoch milliseconds; later ones only.
            created_before: Epoch milliseconds; earlier ones only.
        """
        self._open.clear()
        rows = self._db.execute(
            """SELECT * FROM batches WHERE org_id = ? AND created_ms > ? AND created_ms < ?
            AND dataset_id = coalesce(?, dataset_id)""",
            (org_id, created_after, created_before, dataset_id),
        )
        found = [_batch(row) for row in rows]
        return [each for each in found if status is None or status == ("failed" if each.failed else "success")]

    def find(self, org_id: str, batch_id: str) -> Batch | None:
        """Return the batch of this id. Closes the open ones."""
        self._open.clear()
        row = self._db.execute("SELECT * FROM batches WHERE id = ? AND org_id = ?", (batch_id, org_id)).fetchone()
        return _batch(row) if row else None

    def newest(self, org_id: str, dataset_id: str, limit: int) -> Sequence[Batch]:
        """Return the newest batches of a dataset, the last one first. Open ones stay open."""
        rows = self._db.execute(
            "SELECT * FROM batches WHERE org_id = ? AND dataset_id = ? ORDER BY created_ms DESC, id DESC LIMIT ?",
            (org_id, dataset_id, limit),
        )
        return [_batch(row) for row in rows]

    def totals(self) -> dict[tuple[str, str, bool], tuple[int, int]]:
        """Return numbers of batches and of their records, by organisation, dataset, and whether they failed."""
        rows = self._db.execute(
            "SELECT org_id, dataset_id, failed, count(*), sum(records) FROM batches GROUP BY 1, 2, 3"
        )
        return {(org_id, dataset_id, bool(failed)): (count, sent) for org_id, dataset_id, failed, count, sent in rows}

    def records(self, batch_id: str) -> Iterator[bytes]:
        """Return the records of a batch in the order of their arrival, each as JSON."""
        rows = self._db.execute("SELECT record FROM batch_records WHERE batch_id = ? ORDER BY seq", (batch_id,))
        return (record for (record,) in rows)


def ulid(now_ms: int) -> str:
    """Return a batch id in AEP's form: 26 characters, the first 10 the time in milliseconds."""
    number = (now_ms << 80) | secrets.randbits(80)
    return "".join(_BASE_32[(number >> shift) & 31] for shift in range(125, -1, -5))


def _batch(row: Any) -> Batch:
    errors = {code: (text, count) for code, (text, count) in orjson.loads(row[8]).items()}
    batch_id, org_id, dataset_id, failed, created_ms, updated_ms, records, size, _ = row
    return Batch(batch_id, org_id, dataset_id, bool(failed), created_ms, updated_ms, records, size, errors)
