"""Schemas from Experience Platform's Schema Registry, as a worker has them: the process's one source for each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from aep.platform.schema_registry import SchemaRegistry
from aep.platform.schema_source import RegistrySchemaSource
from aep.platform.unknown_fields import Refusals, after_refusals
from aep.xdm.schema import ResolvedSchema
from transforms.worker import process

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegistrySchema:
    """A schema of the registry: what a route carries to the workers.

    Attributes:
        schema_id: Its `$id`.
        registry: Makes a client. Compared by value, and sent to workers: it holds references to secrets only.
        first: The schema as it was when the plan was made, for a worker that starts while the registry is down.
    """

    schema_id: str
    registry: Callable[[], SchemaRegistry]
    first: ResolvedSchema

    def live(self) -> LiveSchema:
        key = ("registered schema", repr((self.schema_id, self.registry)), self.first.sha256)
        return process.shared(
            key, lambda: LiveSchema(RegistrySchemaSource(self.registry(), self.schema_id, held=self.first))
        )


class LiveSchema:
    """A schema that is looked up again while records are validated with it. Thread safe.

    Only the first look-up in a process is waited for, since a job may start again long after its plan was made. Later
    ones go on beside the bundles: a registry that hangs holds nothing up.

    Args:
        source: Has a schema already.
        clock: Monotonic seconds.
    """

    def __init__(self, source: RegistrySchemaSource, clock: Callable[[], float] = time.monotonic):
        self._source = source
        self._clock = clock
        self._held: ResolvedSchema | None = None
        self._asking = threading.Lock()
        self._counting = threading.Lock()
        self._refusals = Refusals()

    def current(self) -> ResolvedSchema:
        """Return the schema as far as it is known now; a newer one is on its way where that is due."""
        if self._held is None:
            with self._asking:
                self._held = self._held or self._source.current()
        elif self._source.is_due and self._asking.acquire(blocking=False):
            threading.Thread(target=self._look_up, name="look-up-schema", daemon=True).start()
        return self._held

    def refused(self, records: int) -> None:
        """So many records were refused for fields that the schema does not know: many may mean that it is old."""
        with self._counting:
            self._refusals, burst = after_refusals(self._refusals, records, self._clock())
        if burst:
            _LOG.info("many records have fields that their XDM schema does not know: it is looked up early")
            self._source.early_refresh()

    def _look_up(self) -> None:
        try:
            self._held = self._source.current()
        finally:
            self._asking.release()
