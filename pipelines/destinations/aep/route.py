"""From the options and keys of AEP to what the transforms take: routes with their schemas, and the connection."""

from __future__ import annotations

from dataclasses import replace

from aep.http.auth import OAuthClient
from aep.ingestion.decision import RetryPolicy
from aep.platform.schema_source import PinnedSchemaSource
from aep.xdm.rules import XdmRules
from aep.xdm.schema import FileSchemaSource, ResolvedSchema
from pipelines.destinations.aep.keys import OWN_RULES, AepRouteKeys
from pipelines.destinations.aep.registry_schema import registry_schema
from pipelines.options.make_route import route_to
from pipelines.options.platform_access import missing_login, network_of, timeouts_of
from pipelines.options.settings import Settings
from pipelines.options.yaml_files import OptionsError
from transforms.aep.connection import AepConnection
from transforms.aep.inlet import AepInlet
from transforms.records.route import Route


def make_route(keys: AepRouteKeys, settings: Settings) -> Route:
    """Make a route to an inlet, with its schema.

    Raises:
        OptionsError: The file of a mapping or of an Avro schema, or what the Schema Registry needs is not given.
        SchemaError: The schema, in a file or in the registry.
    """
    schema, registered = _schema_file(keys), None
    if schema is None and keys.schema_id:
        because = f"for the schema of route {keys.name}, which has a schema_id and no schema_file"
        if missing := [f"{text}, {because}" for _, text in missing_login(settings)]:
            raise OptionsError(missing)
        registered = registry_schema(keys.name, keys.schema_id, settings)
        schema = registered.first
    inlet = AepInlet(
        inlet_url=keys.inlet_url,
        payload=keys.payload,
        schema_id=keys.schema_id or (schema.id if schema else None),
        content_type=schema.content_type if schema else AepInlet.content_type,
        org_id=keys.org_id,
        dataset_id=keys.dataset_id,
        flow_id=keys.flow_id,
        source_name=keys.source_name,
        headers=keys.headers,
        auth=keys.auth,
        operations=keys.operations,
        key_field=keys.key_field,
    )
    return replace(
        route_to(inlet, keys, settings),
        schema=schema,
        id_from=keys.id_from,
        registered=registered,
        rules=_own_rules(keys, settings),
    )


def offline_keys(keys: AepRouteKeys) -> tuple[AepRouteKeys, str]:
    """Return the keys without a schema that only the Schema Registry has, and say so; see `DestinationKind`."""
    if keys.schema_id is None or keys.schema_file is not None:
        return keys, ""
    return keys.model_copy(update={"schema_id": None}), f"its schema, {keys.schema_id}, is in the Schema Registry"


def _own_rules(keys: AepRouteKeys, settings: Settings) -> XdmRules | None:
    """Return the rules of a route that sets its own identity rules; the others come from the options."""
    stated = {key: getattr(keys, key) for key in OWN_RULES}
    stated = {key: value for key, value in stated.items() if value is not None}
    return replace(settings.xdm.rules(), **stated) if stated else None


def _schema_file(keys: AepRouteKeys) -> ResolvedSchema | None:
    if keys.schema_file is None:
        return None
    if keys.schema_sha256 is None:
        return FileSchemaSource(keys.schema_file).load()
    return PinnedSchemaSource(keys.schema_file, keys.schema_sha256).load()


def make_connection(settings: Settings) -> AepConnection:
    aep = settings.aep
    return AepConnection(
        oauth=OAuthClient(aep.ims_url, aep.client_id, aep.client_secret, aep.scopes)
        if aep.client_id and aep.client_secret
        else None,
        token=aep.token,
        timeouts=timeouts_of(aep),
        network=network_of(aep),
        policy=RetryPolicy(
            transient_statuses=frozenset(aep.retry_statuses),
            max_seconds=aep.retry_max_delay_seconds,
            budget_seconds=aep.retry_budget_seconds,
            max_first_refusals=aep.max_first_refusals,
        ),
        max_in_flight=aep.max_in_flight,
        max_messages_per_second=aep.max_messages_per_second,
        order=aep.order,
    )
