"""Streaming connections and dataflows: what Flow Service and the older inlet API define, as inlets see it."""

from __future__ import annotations

from typing import Any

from emulator.api.mapping_sets import MappingSets
from emulator.state.datasets import Datasets, OrgDatasets
from emulator.state.destinations import Destinations
from emulator.state.inlets import FlowTarget, Inlet, Inlets
from emulator.state.mapping import read_mappings
from emulator.state.repository import Repository
from emulator.state.store import Store

HTTP_STREAMING = "bc7b00d6-623a-4dfc-9fdb-f1240aeadaeb"
DATA_LAKE = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
TRANSFORMING_FLOW = "c1a19761-d2c7-4702-b9fa-fe91f0613e81"
PLAIN_FLOW = "d8a6f005-7eaf-4153-983e-e8574508b877"


class Flows:
    """Connections, flows and older inlets, and the inlets that come of them.

    Attributes:
        connections: Base connections by id.
        source_connections: Source connections by id.
        target_connections: Target connections by id.
        flows: Dataflows by id.
        older_inlets: What the older inlet API has created, by inlet id.
        destinations: The flows among these that lead to Kinesis, for the export of profiles.
    """

    def __init__(self, store: Store, inlets: Inlets, datasets: Datasets, mapping_sets: MappingSets) -> None:
        self._inlets = inlets
        self._datasets = datasets
        self._mapping_sets = mapping_sets
        self.connections = Repository(store, "connection")
        self.source_connections = Repository(store, "source_connection")
        self.target_connections = Repository(store, "target_connection")
        self.flows = Repository(store, "flow")
        self.older_inlets = Repository(store, "older_inlet")
        self.destinations = Destinations(self.connections, self.target_connections, self.flows)
        for org_id, _, connection in self.connections:
            self.open(org_id, connection)
        for org_id, _, inlet in self.older_inlets:
            self.open_inlet(org_id, inlet)

    def open(self, org_id: str, connection: dict[str, Any]) -> None:
        """Open the inlet of a base connection, or change it to what the connection says now."""
        if (parameters := _of_inlet(connection)) is not None:
            self.open_inlet(org_id, parameters)

    def open_inlet(self, org_id: str, parameters: dict[str, Any]) -> None:
        """Open an inlet, or replace the one of the same id.

        Args:
            org_id: Organisation.
            parameters: `inletId`, `name`, `dataType`, `authenticationRequired`.
        """
        inlet_id = parameters["inletId"]
        self._inlets.add(
            Inlet(
                id=inlet_id,
                name=parameters["name"],
                org_id=org_id,
                authentication_required=parameters["authenticationRequired"],
                data_type=parameters["dataType"],
                validation="async",
                datasets=OrgDatasets(self._datasets, org_id),
                flows=lambda flow_id: self.target(org_id, inlet_id, flow_id),
            )
        )

    def close(self, connection: dict[str, Any]) -> None:
        """Close the inlet of a base connection."""
        if (parameters := _of_inlet(connection)) is not None:
            self._inlets.remove(parameters["inletId"])

    def target(self, org_id: str, inlet_id: str, flow_id: str) -> FlowTarget | None:
        """Return where a flow leads to; None unless it exists and begins at this inlet."""
        flow = self.flows.get(org_id, flow_id)
        if flow is None or inlet_id not in self.inlet_ids(org_id, flow):
            return None
        for target_id in flow.get("targetConnectionIds", ()):
            target = self.target_connections.get(org_id, target_id)
            dataset_id = target.get("params", {}).get("dataSetId") if target else None
            if dataset_id is not None:
                return FlowTarget(dataset_id, self._mappings(org_id, flow))
        return None

    def inlet_ids(self, org_id: str, flow: dict[str, Any]) -> list[str]:
        found = []
        for source_id in flow.get("sourceConnectionIds", ()):
            source = self.source_connections.get(org_id, source_id)
            base = self.connections.get(org_id, source["baseConnectionId"]) if source else None
            if base and (parameters := _of_inlet(base)) is not None:
                found.append(parameters["inletId"])
        return found

    def flow_over(self, org_id: str, connection_id: str) -> bool:
        """Return whether any flow begins or ends over a base connection."""
        over = {
            object_id
            for repository in (self.source_connections, self.target_connections)
            for object_id, each in repository.of(org_id)
            if each.get("baseConnectionId") == connection_id
        }
        return any(
            not over.isdisjoint([*flow["sourceConnectionIds"], *flow["targetConnectionIds"]])
            for _, flow in self.flows.of(org_id)
        )

    def _mappings(self, org_id: str, flow: dict[str, Any]) -> Any:
        for transformation in flow.get("transformations", ()):
            if transformation.get("name") == "Mapping":
                mapping_set = self._mapping_sets.find(org_id, transformation["params"]["mappingId"])
                return read_mappings(mapping_set["mappings"]) if mapping_set else None
        return None


def _of_inlet(connection: dict[str, Any]) -> dict[str, Any] | None:
    """Return the parameters of a base connection that has an inlet, which one to a destination has not."""
    return connection["auth"]["params"] if connection["connectionSpec"]["id"] == HTTP_STREAMING else None
