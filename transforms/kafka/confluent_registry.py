"""Confluent's Schema Registry: the Avro schemas that records refer to by id or GUID.

The reader waits for an unreachable registry, as for AEP: no record is dead-lettered because of it.
"""

from __future__ import annotations

import logging
import random
import ssl
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from aep.errors import AepError, ConfigurationError, NetworkError, StoppedError
from aep.formats.avro import CODE, AvroReader, AvroSchemaError, SchemaKey
from aep.formats.json import ParseFailure
from aep.http import secrets
from aep.http.backoff import full_jitter
from transforms.worker import metrics, process

_LOG = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30.0
# A schema that is not known now may be soon: registries that follow another are a little behind.
UNKNOWN_SECONDS = 60.0
_MAX_UNKNOWN = 10_000  # enough, unless values that only look like Avro come by the million
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
_LOG_EVERY_SECONDS = 60.0

# Subject, version, schema (Schema Registry API Reference, Errors); any other 404 is not of a registry.
_NOT_FOUND = frozenset({40401, 40402, 40403})
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class SchemaRegistry:
    """How to reach a registry.

    Attributes:
        url: Its address, or several with commas between them.
        config: Further properties of confluent-kafka's `SchemaRegistryClient`; values may be secret references,
            resolved where a client is made.
    """

    url: str
    config: Mapping[str, str]

    def reader(self, key: SchemaKey) -> AvroReader | ParseFailure:
        """Return the reader of the schema with this id or GUID, one in a process; waits while the registry is
        unreachable.

        Raises:
            ConfigurationError: The registry refuses the request or the credentials.
            StoppedError: The process was asked to end while it waited.
        """
        readers = process.shared(self._key, lambda: SchemaReaders(self))
        known = readers.known.get(key)
        if known is not None:
            return known
        with process.remember_failure():
            return readers.find(key)

    @cached_property
    def _key(self) -> Hashable:
        return ("schema_registry", repr(self))

    def check(self) -> None:
        """Resolve the secrets and read the files that a client needs; contact no registry.

        Raises:
            ConfigurationError: One of them is missing or wrong.
            NetworkError: The service that keeps a secret cannot be reached.
        """
        _client(self)


class SchemaReaders:
    """Readers by schema, each made once in a process: a schema never changes (Schema Registry, Schema ID).

    Attributes:
        known: Readers, or the problems of unusable schemas, by id or GUID.
    """

    def __init__(self, registry: SchemaRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self.known: dict[SchemaKey, AvroReader | ParseFailure] = {}
        self._registry = registry
        self._clock = clock
        self._client: Any = None
        self._unknown: dict[SchemaKey, float] = {}  # until when
        self._next_log = 0.0

    def find(self, key: SchemaKey) -> AvroReader | ParseFailure:
        """Return the reader of a schema that is not `known`. Ask for missing schemas once a minute."""
        if self._clock() < self._unknown.get(key, 0.0):
            return _missing(key)
        found = self._fetch_patiently(key)
        if found is None:
            if len(self._unknown) >= _MAX_UNKNOWN:
                self._unknown.clear()
            self._unknown[key] = self._clock() + UNKNOWN_SECONDS
            return _missing(key)
        self.known[key] = found
        return found

    def _fetch_patiently(self, key: SchemaKey) -> AvroReader | ParseFailure | None:
        number = 0
        while True:
            try:
                return self._fetch(key)
            except NetworkError as error:
                number += 1
                metrics.count(f"{metrics.RETRIES}schema_registry")
                pause = full_jitter(number, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, random.random)
                self._pause(pause, str(error))

    def _fetch(self, key: SchemaKey) -> AvroReader | ParseFailure | None:
        """Return the reader, the problem of the schema, or None if there is none with this id or GUID."""
        # Slow to import, and few runs need them.
        from confluent_kafka.schema_registry.common._httpx_compat import httpx  # httpx2 or httpx, as the client has it
        from confluent_kafka.schema_registry.error import OAuthTokenError, SchemaRegistryError

        if self._client is None:
            self._client = _client(self._registry)
        try:
            if isinstance(key, int):
                schema = self._client.get_schema(key)
            else:
                schema = self._client.get_schema_by_guid(str(UUID(bytes=key)))
            references = list(self._references(schema, set()))
        except SchemaRegistryError as error:
            if error.error_code in _NOT_FOUND:
                return None
            words = f"answers {error.http_status_code}"
            if error.http_status_code == 404 and isinstance(key, bytes):
                words += f" to GET /schemas/guids/{UUID(bytes=key)}, which Confluent Platform has from 8.1 on"
            raise self._error(error.http_status_code in _PASSING, words) from None
        except (httpx.TransportError, OAuthTokenError) as error:
            words = str(error) or type(error).__name__
            raise self._error(not _is_certificate(error), f"cannot be reached: {words}") from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise self._error(False, "does not answer as a schema registry does") from None
        if schema.schema_type not in (None, "AVRO"):
            return ParseFailure(CODE, f"the schema with the {_words(key)} is {schema.schema_type}, not Avro")
        try:
            return AvroReader(schema.schema_str, references)
        except AvroSchemaError as error:
            return ParseFailure(CODE, f"the schema with the {_words(key)} cannot be used: {error}")

    def _references(self, schema: Any, seen: set[tuple[str, int]]) -> Iterator[str]:
        """Yield the schemas that a schema refers to, dependencies first."""
        for reference in schema.references or []:
            place = (reference.subject, reference.version)
            if place not in seen:
                seen.add(place)
                found = self._client.get_version(*place, deleted=True).schema
                yield from self._references(found, seen)
                yield found.schema_str

    def _error(self, passing: bool, words: str) -> AepError:
        message = f"the schema registry {self._registry.url} {words}"
        if passing:
            return NetworkError(message)
        return ConfigurationError(f"{message}; check kafka_schema_registry_url and kafka_schema_registry_config")

    def _pause(self, seconds: float, why: str) -> None:
        now = time.monotonic()
        if now >= self._next_log:
            self._next_log = now + _LOG_EVERY_SECONDS
            _LOG.warning("%s; reading waits, trying again in %.1f s", why, seconds)
        if process.pause(seconds):
            raise StoppedError(
                f"stopped while records were waiting for their schema (last: {why}); they will be read again"
            )


def _missing(key: SchemaKey) -> ParseFailure:
    message = f"the schema registry has no schema with the {_words(key)}, or not all that it refers to"
    return ParseFailure(CODE, message)


def _words(key: SchemaKey) -> str:
    return f"id {key}" if isinstance(key, int) else f"GUID {UUID(bytes=key)}"


def _client(registry: SchemaRegistry) -> Any:
    """confluent-kafka's client, which tries once: this module tries again, without limit and able to stop."""
    from confluent_kafka.schema_registry import SchemaRegistryClient

    config: dict[str, Any] = {
        name: secrets.resolve(value) if secrets.is_reference(value) else value
        for name, value in registry.config.items()
    }
    try:
        config["timeout"] = float(config.get("timeout", TIMEOUT_SECONDS))
        return SchemaRegistryClient({**config, "url": registry.url, "max.retries": 0})
    except (ValueError, TypeError, OSError) as error:
        # The words are of a property or of a file; a value of ssl.key.password is not among them.
        raise ConfigurationError(f"kafka_schema_registry_config: {error}") from None


def _is_certificate(error: BaseException | None) -> bool:
    """Return whether a connection failed because of the registry's certificate, which does not resolve itself."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
