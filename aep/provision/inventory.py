"""Inventory of a sandbox: the existing objects that a provision file declares, found by title or name. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aep.errors import NotFoundError
from aep.platform.catalog import Catalog, DataSet
from aep.platform.client import PlatformClient
from aep.platform.destinations import DESTINATION_FLOW, KINESIS, PROFILE_STORE
from aep.platform.flow_service import (
    DATA_LAKE,
    HTTP_STREAMING,
    MAPPING_FLOW,
    PLAIN_FLOW,
    Entities,
    FlowService,
    first_id,
    inlet_of,
    spec_of,
)
from aep.platform.inlets import Inlet, InletApi
from aep.platform.policies import MarketingActions
from aep.platform.schema_registry import Accept, Container, Resources, SchemaRegistry
from aep.platform.segments import SegmentDefinitions
from aep.provision.inventory_destinations import DestinationInventory, look_for_destinations
from aep.provision.model import STANDARD, Connection, DataSetEntry, Destination, Flow, Provision
from aep.xdm.identities import IDENTITY


class Services(NamedTuple):
    """The APIs that provisioning calls."""

    registry: SchemaRegistry
    catalog: Catalog
    flows: FlowService
    inlets: InletApi
    segments: SegmentDefinitions
    actions: MarketingActions

    @classmethod
    def of(cls, client: PlatformClient) -> Services:
        """Return all of one organisation and sandbox."""
        return cls(
            SchemaRegistry(client),
            Catalog(client),
            FlowService(client),
            InletApi(client),
            SegmentDefinitions(client),
            MarketingActions(client),
        )


class ExistingFlow(NamedTuple):
    """An existing dataflow.

    Attributes:
        id: Its id.
        source_id, target_id: Ids of its source and target connection.
        connection_id, dataset_id: What they lead to.
        mappings: None if they could not be read.
        is_streaming: Whether it is from a streaming connection; a dataflow of any other source may have the same name.
        state: Such as `enabled`; empty if Flow Service does not say.
    """

    id: str
    source_id: str
    target_id: str
    connection_id: str
    dataset_id: str
    mappings: frozenset[tuple[str, str]] | None
    is_streaming: bool = True
    state: str = ""


@dataclass(frozen=True)
class Inventory:
    """The existing objects.

    Attributes:
        titles: Titles of all resources of the organisation, with the kind and the `$id` of each.
        field_groups: Those of the file by title, unresolved.
        schemas: Those of the file by title, unresolved.
        components: The classes and the undeclared field groups of the schemas by `$id`, resolved.
        descriptors: The identity descriptors of all schemas.
        datasets, connections, inlets, sources, targets, flows: Those whose name the file has, by name; several may have
            the same.
        all_datasets: All datasets; looked at only if a schema is to be deleted.
        users: Ids of the objects of Flow Service that are made of another one, or lead to a dataset, by its id; looked
            at only if one is to be deleted.
        exports: What segments and destinations are compared with.
    """

    titles: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    field_groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    descriptors: Sequence[Mapping[str, Any]] = ()
    datasets: Mapping[str, Sequence[DataSet]] = field(default_factory=dict)
    connections: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    inlets: Mapping[str, Sequence[Inlet]] = field(default_factory=dict)
    sources: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    targets: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    flows: Mapping[str, Sequence[ExistingFlow]] = field(default_factory=dict)
    all_datasets: Sequence[DataSet] = ()
    users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    exports: DestinationInventory = field(default_factory=DestinationInventory)


def look(wanted: Provision, services: Services) -> Inventory:
    """Take the inventory; `wanted` has the tenant id in it.

    Raises:
        AepError: A call fails.
    """
    registry, flows = services.registry, services.flows
    groups, schemas = [each.title for each in wanted.field_groups], [each.title for each in wanted.schemas]
    titles = _titles(registry) if groups or schemas else {}
    older = [each.name for each in wanted.connections if each.api == "inlet"]
    newer = [each.name for each in wanted.connections if each.api == "flow_service"]
    names = [each.name for each in wanted.flows]
    used: list[Flow | Connection | Destination | DataSetEntry]
    used = [*wanted.flows, *wanted.connections, *wanted.destinations, *wanted.datasets]
    return Inventory(
        titles=titles,
        field_groups={
            title: _listed(registry, registry.field_groups, titles[title][1])
            for title in groups
            if titles.get(title, ("", ""))[0] == "field group"
        },
        schemas={
            title: _listed(registry, registry.schemas, titles[title][1])
            for title in schemas
            if titles.get(title, ("", ""))[0] == "schema"
        },
        components=_components(wanted, registry),
        descriptors=[each for each in registry.descriptors.list() if each.get("@type") == IDENTITY] if schemas else [],
        datasets={name: list(services.catalog.datasets(name)) for name in [each.name for each in wanted.datasets]},
        connections={
            name: [each if inlet_of(each) else flows.connections.find(str(each["id"])) or each for each in of_name]
            for name, of_name in _of_spec(_named(flows.connections, newer), HTTP_STREAMING).items()
        },
        inlets=_inlets(services.inlets, older),
        sources=_of_spec(_named(flows.source_connections, names), HTTP_STREAMING),
        targets=_of_spec(_named(flows.target_connections, names), DATA_LAKE),
        flows={
            name: [read_flow(flows, each) for each in of_name] for name, of_name in _named(flows.flows, names).items()
        },
        all_datasets=list(services.catalog.datasets()) if any(each.delete for each in wanted.schemas) else (),
        users=_users(flows) if any(each.delete for each in used) else {},
        exports=look_for_destinations(wanted, registry, flows, services.segments, services.actions),
    )


def _titles(registry: SchemaRegistry) -> dict[str, tuple[str, str]]:
    kinds = (
        ("class", registry.classes),
        ("data type", registry.data_types),
        ("field group", registry.field_groups),
        ("schema", registry.schemas),
    )
    return {str(each.get("title")): (kind, str(each["$id"])) for kind, resources in kinds for each in resources.list()}


def _listed(registry: SchemaRegistry, resources: Resources, resource_id: str) -> dict[str, Any]:
    """Return a resource that a list had: there, though perhaps so new that look-ups do not show it yet."""
    return registry.when_shown(lambda: resources.look_up(resource_id, accept=Accept.RAW), resource_id)


def _components(wanted: Provision, registry: SchemaRegistry) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for schema in wanted.schemas:
        if schema.delete:
            continue
        for component_id in schema.parts_elsewhere:
            resources = registry.classes if component_id == schema.class_id else registry.field_groups
            container = Container.GLOBAL if component_id.startswith(f"{STANDARD}xdm/") else Container.TENANT
            if component_id not in found:
                try:
                    found[component_id] = resources.look_up(component_id, container, Accept.FULL_WITHOUT_TEXTS)
                except NotFoundError:
                    continue
    return found


def _named(resources: Entities, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Return what has one of the names, but what belongs to a destination: that may have the same."""
    return {name: [each for each in resources.named(name) if not _of_a_destination(each)] for name in names}


def _of_a_destination(entity: Mapping[str, Any]) -> bool:
    specs = (spec_of(entity, "connectionSpec"), spec_of(entity, "flowSpec"))
    return not {PROFILE_STORE, KINESIS, DESTINATION_FLOW}.isdisjoint(specs)


def _of_spec(by_name: Mapping[str, Sequence[dict[str, Any]]], wanted: str) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [each for each in of_name if spec_of(each, "connectionSpec") == wanted]
        for name, of_name in by_name.items()
    }


def _users(flows: FlowService) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for user, used in _uses(flows):
        found.setdefault(used, set()).add(user)
    return {used: frozenset(users) for used, users in found.items()}


def _uses(flows: FlowService) -> Iterator[tuple[str, str]]:
    """Yield (user, used), by their ids."""
    for flow in flows.flows.list():
        for key in ("sourceConnectionIds", "targetConnectionIds"):
            yield from ((str(flow["id"]), str(each)) for each in flow.get(key) or ())
    for entities in (flows.source_connections, flows.target_connections):
        for each in entities.list():
            yield str(each["id"]), str(each.get("baseConnectionId", ""))
            yield str(each["id"]), dataset_of(each)


def _inlets(api: InletApi, names: Sequence[str]) -> dict[str, list[Inlet]]:
    found = list(api.list()) if names else []
    return {name: [each for each in found if each.name == name] for name in names}


def read_flow(flows: FlowService, flow: Mapping[str, Any]) -> ExistingFlow:
    """Return a dataflow as Flow Service tells it, with what its source and target connection tell.

    Raises:
        AepError: A call fails.
    """
    source_id, target_id = first_id(flow, "sourceConnectionIds"), first_id(flow, "targetConnectionIds")
    source, target = flows.source_connections.find(source_id), flows.target_connections.find(target_id)
    return ExistingFlow(
        str(flow["id"]),
        source_id,
        target_id,
        str(source.get("baseConnectionId", "")),
        dataset_of(target),
        _mappings(flows, flow),
        spec_of(source, "connectionSpec") == HTTP_STREAMING or spec_of(flow, "flowSpec") in (PLAIN_FLOW, MAPPING_FLOW),
        str(flow.get("state", "")),
    )


def dataset_of(target: Mapping[str, Any]) -> str:
    """Return id of the dataset that a target connection leads to, empty if it has none."""
    parameters = target.get("params")
    return str(parameters.get("dataSetId", "")) if isinstance(parameters, Mapping) else ""


def _mappings(flows: FlowService, flow: Mapping[str, Any]) -> frozenset[tuple[str, str]] | None:
    for step in flow.get("transformations") or ():
        parameters = step.get("params") or {}
        if step.get("name") == "Mapping" and parameters.get("mappingId"):
            try:
                found = flows.mapping_sets.look_up(str(parameters["mappingId"]))
            except NotFoundError:
                return None
            return frozenset(
                (
                    str(each.get("sourceAttribute") or each.get("source")),
                    str(each.get("destinationXdmPath") or each.get("destination")),
                )
                for each in found.get("mappings") or ()
            )
    return frozenset()
