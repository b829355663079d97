"""A route's look at the `_id`s of its first events in this process: counted, and said once in the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from aep.mapping.repeated_ids import IdSample
from transforms.records.route import Route
from transforms.worker import metrics, process

_LOG = logging.getLogger(__name__)

_MANY = 100  # repeated _ids after which the log says so; fewer are said once the sample is complete


class IdWatch:
    """What a route's records share of `_id`s; one for a route, a run and a process."""

    def __init__(self, route: str, sample: IdSample) -> None:
        self._route = route
        self._sample = sample
        self._warned = False

    @classmethod
    def of(cls, run: str, route: Route) -> IdWatch | None:
        """Return the process's one for the route in a run; None for a route whose `_id`s say nothing."""
        return process.shared(("repeated ids", run, route.name), lambda: cls._make(route))

    @classmethod
    def _make(cls, route: Route) -> IdWatch | None:
        sample = route.destination.id_sample(route.schema)
        return None if sample is None else cls(route.name, sample)

    def look_at(self, bodies: Sequence[bytes]) -> None:
        """Look at valid records, in the bundle's thread; it costs nothing once it has seen enough."""
        if self._sample.is_full:
            return
        added = self._sample.add(bodies)
        metrics.count(f"{metrics.IDS_LOOKED_AT}{self._route}", added.looked_at)
        metrics.count(f"{metrics.REPEATED_IDS}{self._route}", added.repeated)
        found = self._sample.found
        if not self._warned and found.repeated and (found.repeated >= _MANY or self._sample.is_full):
            self._warned = True
            _LOG.warning("route %s: %s", self._route, found.warning)
