"""Whether Platform's side fits the routes: inlets, datasets, schemas and dataflows, through the management APIs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import NamedTuple

from aep.errors import AepError, ForbiddenError, InvalidRequestError, NetworkError, NotFoundError, UnavailableError
from aep.platform.catalog import Catalog, DataSet
from aep.platform.client import PlatformClient
from aep.platform.flow_service import FlowService, inlet_of
from aep.platform.inlets import Inlet, InletApi
from aep.platform.schema_registry import Accept, SchemaRegistry
from aep.provision.inventory import ExistingFlow, read_flow
from aep.xdm.identities import Identity, identities
from aep.xdm.schema import ResolvedSchema
from pipelines.options.readiness import Check, Result
from transforms.aep.inlet import AepInlet, as_inlet
from transforms.records.route import Route


class Known(NamedTuple):
    """An inlet, and the organisation and the id of its connection, empty if the API does not return them."""

    inlet: Inlet
    org_id: str
    connection_id: str


class PlatformChecks:
    """Looks Platform's objects up and compares routes with them. Changes nothing.

    Args:
        client: Calls the gateway.
        where: The organisation and the sandbox, for people.
    """

    def __init__(self, client: PlatformClient, where: str):
        self._catalog = Catalog(client)
        self._registry = SchemaRegistry(client)
        self._flows = FlowService(client)
        self._older = InletApi(client)
        self._where = where
        self._lost: str | None = None

    def of(self, route: Route) -> Iterator[Check]:
        """Yield the checks of a route, each by itself: where one fails the others go on, unless nothing
        answers there.
        """
        to, schema = as_inlet(route.destination), route.schema
        yield self._checked(f"{route.name}: inlet", partial(self._inlet, to))
        if to.dataset_id:
            yield self._checked(f"{route.name}: dataset", partial(self._dataset, to, to.dataset_id))
        if schema is not None:
            yield self._checked(f"{route.name}: schema", partial(self._schema, route, schema))
        if to.flow_id:
            yield self._checked(f"{route.name}: dataflow", partial(self._flow, to, to.flow_id))
        elif not names_flow(to):
            check = self._checked(f"{route.name}: dataflow", partial(self._no_flow, to))
            if check.state != "ok":
                yield check

    def _checked(self, subject: str, look: Callable[[], Result]) -> Check:
        if self._lost is not None:
            return Check(subject, "not checked", self._lost, failed=True)
        try:
            return Check(subject, *look())
        except NetworkError as error:
            self._lost = str(error)  # each of the others would be tried as often, and wait as long
            return Check(subject, "not checked", self._lost, failed=True)
        except UnavailableError as error:
            return Check(subject, "not checked", str(error), failed=True)
        except ForbiddenError as error:
            return Check(subject, "not checked", str(error))
        except AepError as error:
            return Check(subject, "wrong", str(error))

    def _inlet(self, to: AepInlet) -> Result:
        known = self._inlets.get(to.inlet_id)
        if known is None:
            return Result("wrong", f"no connection of {self._where} has the inlet {to.inlet_id}; check inlet_url")
        return inlet_found(known, to)

    @cached_property
    def _inlets(self) -> dict[str, Known]:
        """All of the organisation's, by id, from both APIs; asked for when first needed, and again after a failure."""
        found = {}
        try:
            for inlet in self._older.list():
                found[inlet.id] = Known(inlet, "", "")
        except (NotFoundError, ForbiddenError, InvalidRequestError):
            pass  # Flow Service has taken this API's place
        for connection in self._flows.connections.list():
            connected = inlet_of(connection)
            if connected is not None:
                found[connected.id] = Known(
                    connected, str(connection.get("imsOrgId") or ""), str(connection.get("id") or "")
                )
        return found

    def _dataset(self, to: AepInlet, dataset_id: str) -> Result:
        try:
            dataset = self._catalog.dataset(dataset_id)
        except NotFoundError:
            return Result("wrong", f"{self._where} has no dataset {dataset_id}; check dataset_id")
        return dataset_found(dataset, to)

    def _schema(self, route: Route, schema: ResolvedSchema) -> Result:
        if route.registered is not None:
            return Result("ok", f"version {schema.version}, from the registry")
        major = int(schema.version.partition(".")[0] or 1)
        try:
            document = self._registry.schemas.look_up(schema.id, accept=Accept.FULL_WITH_DESCRIPTORS, version=major)
        except NotFoundError:
            return Result("wrong", f"{self._where} has no schema {schema.id} of version {major}, as {schema.where} is")
        return schema_found(schema, str(document.get("version", "")), identities(document))

    def _flow(self, to: AepInlet, flow_id: str) -> Result:
        try:
            flow = self._flows.flows.look_up(flow_id)
        except NotFoundError:
            return Result("wrong", f"{self._where} has no dataflow {flow_id}; check flow_id")
        state = str(flow.get("state", ""))
        if state not in ("", "enabled"):
            return Result("wrong", state)
        known = self._inlets.get(to.inlet_id)
        return flow_found(read_flow(self._flows, flow), known, to, state)

    def _no_flow(self, to: AepInlet) -> Result:
        known = self._inlets.get(to.inlet_id)
        flow_ids = self._flow_ids.get(known.connection_id, []) if known else []
        return no_flow_found(flow_ids, to)

    @cached_property
    def _flow_ids(self) -> dict[str, list[str]]:
        """The ids of the dataflows that lead from each connection."""
        connections = {
            str(source["id"]): str(source.get("baseConnectionId") or "")
            for source in self._flows.source_connections.list()
        }
        found: dict[str, list[str]] = {}
        for flow in self._flows.flows.list():
            for source_id in flow.get("sourceConnectionIds") or ():
                found.setdefault(connections.get(str(source_id), ""), []).append(str(flow["id"]))
        return found


def names_flow(to: AepInlet) -> bool:
    """Return whether requests can name a dataflow without a `flow_id`: ready-made messages may, and so may a header."""
    header = any(name.lower() == "x-adobe-flow-id" for name in to.headers)
    return to.payload == "message" or (to.payload == "raw" and header)


def inlet_found(known: Known, to: AepInlet) -> Result:
    """Compare an inlet with the route that posts to it ("Create a streaming connection for HTTP API")."""
    inlet = known.inlet
    data_type = "raw" if to.payload == "raw" else "xdm"
    faults = []
    if inlet.data_type != data_type:
        faults.append(f"it takes data of type {inlet.data_type}, and payload={to.payload} is {data_type}")
    if known.org_id and to.org_id and known.org_id != to.org_id:
        faults.append(f"it is of the organisation {known.org_id}, and org_id is {to.org_id}")
    if inlet.authentication_required and to.auth == "none":
        faults.append("it requires authentication, and auth is none")
    if faults:
        return Result("wrong", "; ".join(faults))
    if not inlet.authentication_required and to.auth != "none":
        auth = to.auth
        return Result("warning", f"it requires no authentication, and auth is {auth}: the token is not needed")
    return Result("ok", f"connection {inlet.name}, data of type {inlet.data_type}")


def dataset_found(dataset: DataSet, to: AepInlet) -> Result:
    """Compare a dataset with the route into it: messages must name its schema (Streaming Ingestion API)."""
    wanted = to.schema_id
    if wanted and dataset.schema_id != wanted:
        return Result("wrong", f"its schema is {dataset.schema_id}, and the route's is {wanted}")
    given, major = major_of(dataset.content_type), major_of(to.content_type)
    if wanted and given and given != major:
        return Result("wrong", f"its schema is of version {given}, and the route's of version {major}")
    return Result("ok", f"{dataset.name}, {'enabled' if dataset.for_profile else 'not enabled'} for Profile")


def flow_found(flow: ExistingFlow, known: Known | None, to: AepInlet, state: str) -> Result:
    """Compare a dataflow with its route: it must lead from the route's connection into its dataset."""
    faults = []
    if known and known.connection_id and flow.connection_id and flow.connection_id != known.connection_id:
        faults.append(f"it starts from another connection, {flow.connection_id}: check flow_id and inlet_url")
    wanted = to.dataset_id
    if wanted and flow.dataset_id and flow.dataset_id != wanted:
        faults.append(f"it leads into another dataset, {flow.dataset_id}: check flow_id and dataset_id")
    return Result("wrong", "; ".join(faults)) if faults else Result("ok", state or "there")


def no_flow_found(flow_ids: Sequence[str], to: AepInlet) -> Result:
    """Return what a route without a flow id misses ("Create a streaming connection for HTTP API": it is required for
    XDM too).

    Connections from before there were dataflows need none.
    """
    there = f"{', '.join(flow_ids)} {'lead' if len(flow_ids) > 1 else 'leads'} from its connection"
    if to.payload == "raw":
        return Result("wrong", f"flow_id: missing: raw records need it; {there if flow_ids else 'create a dataflow'}")
    if flow_ids:
        return Result("warning", f"flow_id: missing: Adobe requires it where a connection has a dataflow; {there}")
    return Result("ok", "none needed")


def schema_found(schema: ResolvedSchema, version: str, known: Sequence[Identity]) -> Result:
    """Compare a schema file with the version and the identity descriptors that the registry shows."""
    again = "get the file again, or give schema_id without schema_file"
    if version != schema.version:
        shown = version or "unknown"
        return Result("warning", f"{schema.where} is version {schema.version}, and the registry's is {shown}: {again}")
    if set(known) != set(schema.identities):
        shown = ", ".join(each.pointer for each in known) or "none"
        return Result("warning", f"the identities in {schema.where} differ from the registry's ({shown}): {again}")
    return Result("ok", f"version {version}, in {schema.where} as in the registry")


def major_of(content_type: str) -> str:
    """Return the major version of a `contentType`: `;version=1`, `; version=1.0`, `;1`."""
    found = re.search(r";\s*(?:version=)?(\d+)", content_type)
    return found[1] if found else ""
