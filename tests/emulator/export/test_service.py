"""The export, put together over a database that has something in it."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.export.service import ExportSwitches, ProfileExport
from emulator.export.worker import StreamRefusal
from emulator.segments.memberships import Segment, evaluate
from emulator.segments.parser import parse_rule
from emulator.state.destinations import Destination
from emulator.state.profile_store import ProfileStore
from emulator.state.segments import Segments
from emulator.state.store import Store
from tests.emulator.export.test_profile_updates import make_destinations


class NoWriter:
    async def put(self, destination: Destination, records: Sequence[tuple[str, bytes]]) -> list[StreamRefusal | None]:
        raise AssertionError(destination)


def test_an_activation_just_before_a_kill_is_found_at_the_next_start() -> None:
    """The dataflow was kept, and the process ended before the export saw it."""
    store = Store(None)
    destinations = make_destinations(store, ["gold"])
    switches = ExportSwitches(dialect=lambda: "realized/exited", backfill_seconds=lambda: 0)
    parts = (ProfileStore(store), Segments(store), destinations, NoWriter(), switches)
    assert ProfileExport(store, *parts).backfills() == 1
    assert ProfileExport(store, *parts).backfills() == 1


def test_who_joins_within_the_millisecond_of_a_mapping_is_exported_once() -> None:
    """Members of before by the backfill, those of later by their change, which it must not repeat."""
    mapped = 1_700_000_000.0004
    store = Store(None)
    destinations = make_destinations(store, ["gold"])
    switches = ExportSwitches(dialect=lambda: "realized/exited", backfill_seconds=lambda: 3600)
    parts = (ProfileStore(store), Segments(store), destinations, NoWriter(), switches)
    memberships = ProfileExport(store, *parts, clock=lambda: mapped).memberships
    segment = Segment("gold", "Gold", parse_rule("vip = true"), "", on_arrival=True, created_ms=0, updated_ms=0)
    for profile_id, since in ((1, mapped - 0.0002), (2, mapped + 0.0002)):
        memberships.save(profile_id, evaluate([segment], {"vip": True}, [], {}, since * 1000))
    (until_ms,) = store.db.execute("SELECT mapped_ms FROM export_backfills").fetchone()
    assert memberships.members("gold", until_ms=until_ms, after=0, limit=9) == [1]
