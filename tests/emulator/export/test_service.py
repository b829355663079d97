"""The export, put together over a database that has something in it."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.export.service import ExportSwitches, ProfileExport
from emulator.export.worker import StreamRefusal
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
