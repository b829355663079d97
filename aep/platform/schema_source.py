"""Schemas from the Schema Registry, kept fresh while records are validated, and schemas pinned to a digest."""

from __future__ import annotations

import logging
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import orjson

from aep.errors import AepError, NotFoundError
from aep.platform.schema_registry import Accept, SchemaRegistry
from aep.xdm.identities import with_descriptors
from aep.xdm.schema import FileSchemaSource, ResolvedSchema, SchemaError, parse_schema

_LOG = logging.getLogger(__name__)

# "Allow up to fifteen minutes for the cache to refresh" (Streaming validation guide): AEP itself is no fresher.
_LIFE_SECONDS = 900.0
# Workers that started together do not come back together: a life is shortened by up to this part of it.
_JITTER = 0.2
_RETRY_SECONDS = 60.0
_EARLIEST_SECONDS = 60.0
# An id that the registry may have given to a schema just now; any other that it does not know is a mistake.
_MADE_ID = re.compile(r"[./][0-9a-f]{32,}$")


def described_document(registry: SchemaRegistry, schema_id: str, version: int = 1) -> bytes:
    """Fetch a schema for a file: resolved, without titles and descriptions, with `meta:descriptors`.

    The bytes are the same until the schema or its descriptors change.

    Raises:
        NotFoundError: There is no such schema.
        AepError: The registry refuses or cannot be reached.
    """
    schemas = registry.schemas
    document = schemas.look_up(schema_id, accept=Accept.FULL_WITHOUT_TEXTS, version=version)
    described = schemas.look_up(schema_id, accept=Accept.FULL_WITH_DESCRIPTORS, version=version)
    return with_descriptors(document, described.get("meta:descriptors") or ())


class RegistrySchemaSource:
    """A schema of the organisation, looked up again every 15 minutes. Thread safe.

    It has no thread of its own: `current` looks it up when due, while other threads use the schema they have.
    When that fails, the old schema stays and the next try is a minute later.

    Args:
        registry: Where to look.
        schema_id: `$id` or `meta:altId`.
        version: Major version.
        held: The schema as another process has looked it up; it stays where the first look-up here fails.
        clock: Monotonic seconds.
        random_unit: Evenly from 0 to 1.
    """

    def __init__(
        self,
        registry: SchemaRegistry,
        schema_id: str,
        version: int = 1,
        held: ResolvedSchema | None = None,
        clock: Callable[[], float] = time.monotonic,
        random_unit: Callable[[], float] = random.random,
    ):
        self._registry = registry
        self._schema_id = schema_id
        self._version = version
        self._clock = clock
        self._random_unit = random_unit
        self._lock = threading.Lock()  # held while the registry is asked
        self._held = held
        self._due_at = float("-inf")
        self._asked_at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether `current` would ask the registry."""
        return self._clock() >= self._due_at

    def current(self) -> ResolvedSchema:
        """Return the schema; the same object for as long as the registry shows the same.

        Raises:
            SchemaError: The first time only: there is no such schema, or records cannot be validated with it.
            AepError: The first time only: the registry refuses or cannot be reached.
        """
        held = self._held
        if held is None:
            with self._lock:
                return self._held or self._first()
        if self.is_due and self._lock.acquire(blocking=False):
            try:
                return self._refreshed(held)
            finally:
                self._lock.release()
        return held

    def early_refresh(self) -> None:
        """Make the next look-up due, a minute after the last one at the earliest.

        Call it when many records have fields that the schema lacks, which may have been extended.
        """
        self._due_at = min(self._due_at, self._asked_at + _EARLIEST_SECONDS)

    def _first(self) -> ResolvedSchema:
        self._asked_at = self._clock()
        found = self._look_up(new=_MADE_ID.search(self._schema_id) is not None)
        self._keep(found)
        return found

    def _refreshed(self, held: ResolvedSchema) -> ResolvedSchema:
        """Return what the registry shows now, or the old schema when it cannot be had."""
        self._asked_at = self._clock()
        try:
            found = self._look_up()
        except (AepError, SchemaError) as error:
            _LOG.warning(
                "the XDM schema %s cannot be refreshed and stays at version %s: %s", held.id, held.version, error
            )
            self._due_at = self._clock() + _RETRY_SECONDS
            return held
        if found.sha256 == held.sha256:
            found = held
        else:
            _LOG.info(
                "the XDM schema %s is now at version %s (was %s)",
                found.id,
                found.version,
                held.version,
            )
        self._keep(found)
        return found

    def _keep(self, found: ResolvedSchema) -> None:
        self._due_at = self._clock() + _LIFE_SECONDS * (1 - _JITTER * self._random_unit())
        self._held = found

    def _look_up(self, *, new: bool = False) -> ResolvedSchema:
        """Return the schema as it is now; one that may be `new` is waited for."""
        schema_id, version = self._schema_id, self._version
        where = f"the Schema Registry's {schema_id} (version {version})"
        look_up = partial(described_document, self._registry, schema_id, version)
        try:
            document = self._registry.when_shown(look_up, schema_id) if new else look_up()
            schema = parse_schema(document, where)
        except NotFoundError as error:
            raise SchemaError(f"{where} does not exist in this organisation and sandbox: {error}") from None
        if schema_id not in (schema.id, orjson.loads(schema.document).get("meta:altId")):
            raise SchemaError(f"{where}: the reply is another schema, {schema.id}")
        if schema.version.partition(".")[0] != str(version):
            raise SchemaError(f"{where}: the reply is version {schema.version}")
        return schema


@dataclass(frozen=True)
class PinnedSchemaSource:
    """A resolved schema in a file, and no other.

    Attributes:
        path: Path of the file.
        sha256: Hexadecimal digest of its bytes.
        version: Version of the schema, such as "1.4"; None leaves it to the digest.
    """

    path: str
    sha256: str
    version: str | None = None

    def load(self) -> ResolvedSchema:
        """Read the file.

        Raises:
            SchemaError: The file cannot be read, is not a usable schema, or is not the one that was pinned.
        """
        schema = FileSchemaSource(self.path).load()
        if schema.sha256 != self.sha256.lower():
            raise SchemaError(
                f"{self.path}: its SHA-256 is {schema.sha256}, but {self.sha256} was pinned; "
                "put the pinned file back, or pin this one after looking at what has changed"
            )
        if self.version is not None and schema.version != self.version:
            raise SchemaError(f"{self.path}: the schema is version {schema.version}, but {self.version} was pinned")
        return schema
