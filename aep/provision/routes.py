"""What a pipeline must be told to send to what was provisioned: the values of each route, and the schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import orjson

from aep.errors import ConfigurationError
from aep.platform.flow_service import inlet_of
from aep.platform.inlets import Inlet
from aep.platform.schema_source import described_document
from aep.provision.inventory import Services
from aep.provision.model import Connection, Provision
from aep.xdm.identities import identities


class Document(NamedTuple):
    """A resolved schema, and the name of the file that it should have."""

    file: str
    content: bytes


class RouteValues(NamedTuple):
    """The values of a route by the keys of a routes file; `schema_file` is the name of a document, or None."""

    values: Mapping[str, Any]
    schema_file: str | None


def schema_files(wanted: Provision) -> dict[str, str]:
    """Return title of each schema that a route needs to the name of its file."""
    schemas = {each.name: each.schema_ or "" for each in wanted.datasets}
    connections = {each.name: each for each in wanted.connections}
    ends = [wanted.ends_of(route) for route in wanted.routes]
    titles = {schemas[dataset] for connection, dataset in ends if connections[connection].data_type == "xdm"}
    files: dict[str, str] = {}
    for title in sorted(titles):
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "schema"
        taken = sum(file.startswith(f"{slug}.") for file in files.values())  # titles may differ in signs only
        files[title] = f"{slug}.{taken + 1}.schema.json" if taken else f"{slug}.schema.json"
    return files


def read_documents(wanted: Provision, services: Services, ids: Mapping[tuple[str, str], str]) -> Iterator[Document]:
    """Yield the schemas of the routes as the registry resolves them, with their descriptors.

    Raises:
        ConfigurationError: The registry does not show an identity yet, so the file would not enforce it.
        AepError: A call fails.
    """
    declared = {each.title: [one.field for one in each.identities] for each in wanted.schemas}
    for title, file in schema_files(wanted).items():
        registry, schema_id = services.registry, ids["schema", title]
        # The schema may be new, and its descriptors or field groups with it.
        look_up = partial(described_document, registry, schema_id)
        content = registry.when_shown(look_up, schema_id)
        shown = {each.pointer for each in identities(orjson.loads(content))}
        for place in declared[title]:
            if place not in shown:
                raise ConfigurationError(
                    f"the registry does not show the identity {place} of schema {title} yet: run this again in a minute"
                )
        yield Document(file, content)


def route_values(
    wanted: Provision, services: Services, ids: Mapping[tuple[str, str], str], org_id: str, auth: str
) -> list[RouteValues]:
    """Return the routes of the file, with the addresses and ids that it leaves to be found out.

    Args:
        wanted: The file, with the tenant id in it.
        services: The APIs.
        ids: Ids of all that the file declares.
        org_id: The organisation.
        auth: How routes authenticate whose inlet asks for it, `oauth` or `token`.

    Raises:
        AepError: A call fails.
    """
    connections = {each.name: each for each in wanted.connections}
    datasets = {each.name: each for each in wanted.datasets}
    files = schema_files(wanted)
    inlets: dict[str, Inlet] = {}
    routes = []
    for route in wanted.routes:
        name, dataset = wanted.ends_of(route)
        connection = connections[name]
        inlet = inlets.setdefault(name, inlets.get(name) or _inlet(connection, services, ids))
        values: dict[str, Any] = {
            "name": route.name,
            **(route.model_extra or {}),
            "inlet_url": inlet.url,
            "auth": auth if inlet.authentication_required else "none",
        }
        if route.flow is not None:
            values["flow_id"] = ids["dataflow", route.flow]
        title = datasets[dataset].schema_ or ""
        if connection.data_type == "raw":
            # The dataflow says where its records go; the dataset, where its failed batches are.
            values |= {"payload": "raw", "dataset_id": ids["dataset", dataset]}
            routes.append(RouteValues(values, None))
            continue
        values |= {
            "payload": route.payload or "entity",
            "org_id": org_id,
            "dataset_id": ids["dataset", dataset],
            "source_name": inlet.source_id,
            "schema_id": ids["schema", title],
        }
        routes.append(RouteValues(values, files[title]))
    return routes


def _inlet(connection: Connection, services: Services, ids: Mapping[tuple[str, str], str]) -> Inlet:
    object_id = ids["connection", connection.name]
    if connection.api == "inlet":
        found = next((each for each in services.inlets.list() if each.id == object_id), None)
    else:
        found = inlet_of(services.flows.connections.look_up(object_id))
    if found is None:
        raise ConfigurationError(f"connection {connection.name} ({object_id}) has no inletUrl")
    return found
