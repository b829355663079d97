"""Inventory of a sandbox for segments and destinations: what exists, and what they may refer to. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aep.errors import NotFoundError
from aep.platform.destinations import DESTINATION_FLOW, KINESIS, PROFILE_STORE
from aep.platform.flow_service import Entities, FlowService, first_id, spec_of
from aep.platform.policies import MarketingActions
from aep.platform.schema_registry import Accept, SchemaRegistry
from aep.platform.segments import SegmentDefinitions
from aep.provision.model import CLASSES, Provision

Document = Mapping[str, Any]

UNION = f"{CLASSES['profile']}__union"


class ExistingDestination(NamedTuple):
    """A dataflow of a destination, with its source and target connection; one that is not there is empty."""

    flow: Document
    source: Document
    target: Document

    @property
    def leads_to_kinesis(self) -> bool:
        """Whether its target is a stream. Destinations to other cloud storages have the same specification."""
        return spec_of(self.target, "connectionSpec") == KINESIS


@dataclass(frozen=True)
class DestinationInventory:
    """The existing objects that segments and destinations of a file are compared with.

    Attributes:
        segments: All segment definitions.
        actions: All marketing actions, as `core/NAME` and `custom/NAME`.
        union: The union schema of profiles, resolved; empty if there is none.
        destinations: The dataflows to destinations by name, of the names that the file has; several may have the same.
        stores, sources, streams, targets: Base, source and target connections of the same names, by name.
    """

    segments: Sequence[Document] = ()
    actions: frozenset[str] = frozenset()
    union: Document = field(default_factory=dict)
    destinations: Mapping[str, Sequence[ExistingDestination]] = field(default_factory=dict)
    stores: Mapping[str, Sequence[Document]] = field(default_factory=dict)
    sources: Mapping[str, Sequence[Document]] = field(default_factory=dict)
    streams: Mapping[str, Sequence[Document]] = field(default_factory=dict)
    targets: Mapping[str, Sequence[Document]] = field(default_factory=dict)


def look_for_destinations(
    wanted: Provision,
    registry: SchemaRegistry,
    flows: FlowService,
    segments: SegmentDefinitions,
    actions: MarketingActions,
) -> DestinationInventory:
    """Take the inventory, as far as the file declares segments or destinations.

    Raises:
        AepError: A call fails.
    """
    kept = [each for each in wanted.destinations if not each.delete]
    names = [each.name for each in wanted.destinations]
    bases = _named(flows.connections, names)
    return DestinationInventory(
        segments=list(segments.list()) if wanted.segments or any(each.audiences for each in kept) else (),
        actions=frozenset(actions.names() if any(each.marketing_actions for each in kept) else ()),
        union=_union(registry) if any(each.attributes for each in kept) else {},
        destinations={
            name: [_destination(flows, each) for each in of_name if spec_of(each, "flowSpec") == DESTINATION_FLOW]
            for name, of_name in _named(flows.flows, names).items()
        },
        stores=_of_spec(bases, PROFILE_STORE),
        sources=_of_spec(_named(flows.source_connections, names), PROFILE_STORE),
        streams=_of_spec(bases, KINESIS),
        targets=_of_spec(_named(flows.target_connections, names), KINESIS),
    )


def _named(entities: Entities, names: Sequence[str]) -> dict[str, list[Document]]:
    return {name: list(entities.named(name)) for name in names}


def _of_spec(by_name: Mapping[str, Sequence[Document]], spec: str) -> dict[str, list[Document]]:
    return {
        name: [each for each in of_name if spec_of(each, "connectionSpec") == spec] for name, of_name in by_name.items()
    }


def _union(registry: SchemaRegistry) -> Document:
    try:
        return registry.unions.look_up(UNION, accept=Accept.FULL_WITHOUT_TEXTS)
    except NotFoundError:  # no schema takes part in it yet
        return {}


def _destination(flows: FlowService, flow: Document) -> ExistingDestination:
    source = flows.source_connections.find(first_id(flow, "sourceConnectionIds"))
    return ExistingDestination(flow, source, flows.target_connections.find(first_id(flow, "targetConnectionIds")))
