"""From options to the schemas that routes take from Experience Platform's Schema Registry."""

from __future__ import annotations

from dataclasses import dataclass

from aep.errors import AepError
from aep.platform.schema_registry import SchemaRegistry
from aep.platform.schema_source import RegistrySchemaSource
from aep.xdm.schema import SchemaError
from pipelines.options.platform_access import platform_client
from pipelines.options.settings import Settings
from transforms.records.live_schema import RegistrySchema


@dataclass(frozen=True)
class RegistryAccess:
    """Makes clients of the registry, here and on workers, by the options: secrets are references in them."""

    settings: Settings

    def __call__(self) -> SchemaRegistry:
        """Return a client.

        Raises:
            ConfigurationError: `aep_platform_url` is not an address of a gateway.
        """
        return SchemaRegistry(platform_client(self.settings))


def registry_schema(route: str, schema_id: str, settings: Settings) -> RegistrySchema:
    """Look up a route's schema.

    Raises:
        SchemaError: It cannot be had: what, why, and what to do.
    """
    access = RegistryAccess(settings)
    try:
        first = RegistrySchemaSource(access(), schema_id).current()
    except (AepError, SchemaError) as error:
        raise SchemaError(
            f"the schema of route {route} cannot be taken from the Schema Registry: {error}. Check its schema_id, "
            "aep_platform_url, aep_org_id, aep_sandbox and the credentials, or give a schema_file"
        ) from None
    return RegistrySchema(schema_id, access, first)
