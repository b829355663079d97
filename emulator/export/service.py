"""The parts of the profile export, connected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from emulator.export.backfill import Backfills
from emulator.export.profile_updates import Evaluated, ProfileUpdates
from emulator.export.queue import ExportQueue
from emulator.export.records import Dialect
from emulator.export.worker import Exporter, StreamWriter
from emulator.state.destinations import Destinations
from emulator.state.memberships import MembershipStore
from emulator.state.profile_store import ProfileStore
from emulator.state.segments import Segments
from emulator.state.store import Store


class ExportSwitches(NamedTuple):
    """The switches of the export, read at each use.

    Attributes:
        dialect: The statuses of memberships.
        backfill_seconds: How long after the activation of an audience its members are exported.
    """

    dialect: Callable[[], Dialect]
    backfill_seconds: Callable[[], float]


class ProfileExport:
    """Audiences and the export to destinations, over the Profile store.

    Args:
        store: The emulator's database.
        profiles: The Profile store.
        segments: The audiences.
        destinations: Where profiles are exported to.
        writer: Writes to their streams.
        switches: Read at each use.
        clock: Seconds since the epoch.

    Attributes:
        memberships: Who belongs to which audience.
        queue: What waits and what was sent.
        updates: Stores records and events, evaluates audiences and queues exports.
        exporter: The worker that writes what is queued.
    """

    def __init__(
        self,
        store: Store,
        profiles: ProfileStore,
        segments: Segments,
        destinations: Destinations,
        writer: StreamWriter,
        switches: ExportSwitches,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._segments = segments
        self._destinations = destinations
        self.memberships = MembershipStore(store)
        self.queue = ExportQueue(store, clock)
        self.updates = ProfileUpdates(
            profiles, segments, self.memberships, destinations, self.queue, switches.dialect, clock, self.notify
        )
        self._backfills = Backfills(store, self.memberships, self.updates, clock, switches.backfill_seconds)
        self.exporter = Exporter(self.queue, self._backfills, destinations, writer, time.monotonic)
        destinations.on_change(self._look)
        self._look()  # the process may have been killed between a change and this call

    def notify(self) -> None:
        """Wake the worker: something was queued."""
        self.exporter.notify()

    def backfills(self) -> int:
        """Return how many activations have members that are still to be exported."""
        return self._backfills.waiting()

    async def evaluate(self) -> Evaluated:
        """Evaluate all audiences for all profiles; other requests are served in between."""
        total = Evaluated()
        for org_id in sorted(self._segments.organisations()):
            after: int | None = 0
            while after is not None:
                with self._store.transaction():
                    after, found = self.updates.evaluate_some(org_id, after)
                total = Evaluated(*map(sum, zip(total, found, strict=True)))
                await asyncio.sleep(0)
        return total

    def _look(self) -> None:
        self._backfills.look(self._destinations.everywhere())
        self.notify()
