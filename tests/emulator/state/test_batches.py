"""How records become batches, with a clock of our own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from emulator.state.batches import GROUP_SECONDS, MAX_RECORDS, Batch, Batches, Record, ulid
from emulator.state.store import Store

ORG, DATASET = "ACME@AdobeOrg", "d" * 24


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store(None)
    yield store
    store.close()


def listed(batches: Batches) -> list[Batch]:
    found = batches.list(ORG, status=None, dataset_id=None, created_after=0, created_before=2**53)
    return sorted(found, key=lambda each: each.created_ms)


def test_a_pause_ends_a_batch(store: Store) -> None:
    """A record soon after the last one joins its batch, one after a pause begins another."""
    clock = Clock()
    batches = Batches(store, clock)
    for seq, pause in enumerate([0, GROUP_SECONDS * 0.9, GROUP_SECONDS * 0.9, GROUP_SECONDS * 1.1]):
        clock.now += pause
        batches.add(ORG, DATASET, [Record(seq, b"{}")], failed=False)
    assert [each.records for each in listed(batches)] == [3, 1]


def test_a_batch_without_a_pause_ends_when_it_is_full(store: Store) -> None:
    batches = Batches(store, Clock())
    records = MAX_RECORDS // 2
    for start in range(0, 5 * records, records):
        batches.add(ORG, DATASET, [Record(seq, b"{}") for seq in range(start, start + records)], failed=True)
    assert sorted(each.records for each in listed(batches)) == [records, MAX_RECORDS, MAX_RECORDS]


def test_a_listing_ends_a_batch(store: Store) -> None:
    """What was listed does not change any more."""
    batches = Batches(store, Clock())
    batches.add(ORG, DATASET, [Record(1, b"{}")], failed=False)
    (before,) = listed(batches)
    batches.add(ORG, DATASET, [Record(2, b"{}")], failed=False)
    assert before in listed(batches)
    assert [each.records for each in listed(batches)] == [1, 1]


def test_apart_by_data_set_outcome_and_organisation(store: Store) -> None:
    batches = Batches(store, Clock())
    for seq, (org, dataset, failed) in enumerate(
        [(ORG, DATASET, False), (ORG, DATASET, True), (ORG, "e" * 24, False), ("OTHER@AdobeOrg", DATASET, False)]
    ):
        batches.add(org, dataset, [Record(seq, b"{}")], failed=failed)
    assert len(listed(batches)) == 3
    assert batches.find("OTHER@AdobeOrg", listed(batches)[0].id) is None


def test_errors_are_counted_by_record(store: Store) -> None:
    """A record with two errors of one code counts once."""
    batches = Batches(store, Clock())
    twice = [("DCVS-1104-400", "first"), ("DCVS-1104-400", "second")]
    batches.add(ORG, DATASET, [Record(1, b"[1]", twice), Record(2, b"[2]", [("DCVS-1106-400", "x")])], failed=True)
    batches.add(ORG, DATASET, [Record(3, b"[3]", [("DCVS-1104-400", "third")])], failed=True)
    (batch,) = listed(batches)
    assert {code: count for code, (_, count) in batch.errors.items()} == {"DCVS-1104-400": 2, "DCVS-1106-400": 1}
    assert (batch.records, batch.bytes) == (3, 9)
    assert list(batches.records(batch.id)) == [b"[1]", b"[2]", b"[3]"]


def test_ids() -> None:
    """ULIDs: in the order of their time, unique at one moment."""
    earlier, later = ulid(1_700_000_000_000), ulid(1_700_000_000_001)
    assert earlier < later
    assert all(re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", each) for each in (earlier, later))
    assert ulid(1_700_000_000_000) != earlier
