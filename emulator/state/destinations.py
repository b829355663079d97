"""Destinations to Amazon Kinesis, as Flow Service keeps them and as the export of profiles needs them.

A destination is a flow with the specification `DESTINATION_FLOW`, from a source connection over the Profile store to a
target connection over a base connection to Kinesis ("Connect to streaming destinations and activate data").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from emulator.state.repository import Repository

KINESIS = "86043421-563b-46ec-8e6c-e23184711bf6"
PROFILE_STORE = "8a9c3494-9708-43d7-ae3f-cda01e5030e1"
DESTINATION_FLOW = "71471eba-b620-49e4-90fd-23f1fa0174d8"

SEGMENT_SELECTORS = "segmentSelectors"
PROFILE_SELECTORS = "profileSelectors"


class MappedAudience(NamedTuple):
    """An audience that a destination activates.

    Attributes:
        id: Id of the segment definition.
        name: As the activation named it.
        created_s: When it was mapped, in seconds since the epoch.
        updated_s: When its mapping was last changed.
    """

    id: str
    name: str
    created_s: int
    updated_s: int


class Destination(NamedTuple):
    """An enabled dataflow to Kinesis, with all that an export needs.

    Attributes:
        flow_id: Flow id of the dataflow.
        org_id: The organisation.
        name: Name of the dataflow.
        audiences: The mapped audiences, by their ids, in the order in which they were mapped.
        attributes: The mapped attributes as dotted XDM paths, such as `person.name.firstName`.
        include_names: The option "Include Segment Names".
        include_timestamps: The option "Include Segment Timestamps".
        stream: Name of the stream.
        region: Region of the stream, such as `eu-west-1`.
        access_key_id: Access key id of the base connection.
        secret_key: Secret key of the base connection.
    """

    flow_id: str
    org_id: str
    name: str
    audiences: Mapping[str, MappedAudience]
    attributes: tuple[str, ...]
    include_names: bool
    include_timestamps: bool
    stream: str
    region: str
    access_key_id: str
    secret_key: str


class Destinations:
    """The destinations among the objects of Flow Service.

    Args:
        connections: Base connections.
        targets: Target connections.
        flows: Dataflows.
    """

    def __init__(self, connections: Repository, targets: Repository, flows: Repository) -> None:
        self._connections = connections
        self._targets = targets
        self._flows = flows

    def enabled(self, org_id: str) -> Iterator[Destination]:
        """Yield the enabled destinations of an organisation in the order of their creation.

        The answer is of now: a destination that was changed, disabled or deleted since the last call is so here. One
        without audiences is among them; so is one whose credentials or stream no longer work.
        """
        for flow_id, flow in self._flows.of(org_id):
            if flow["flowSpec"]["id"] != DESTINATION_FLOW or flow["state"] != "enabled":
                continue
            target = self._targets.get(org_id, flow["targetConnectionIds"][0])
            base = self._connections.get(org_id, target["baseConnectionId"]) if target else None
            if target is None or base is None:  # deleted by itself
                continue
            where, access = target["params"], base["auth"]["params"]
            yield Destination(
                flow_id=flow_id,
                org_id=org_id,
                name=flow["name"],
                audiences={
                    each["id"]: MappedAudience(
                        each["id"], each.get("name", ""), int(each["createTime"]), int(each["updateTime"])
                    )
                    for each in selected(flow, SEGMENT_SELECTORS)
                },
                attributes=tuple(each["path"] for each in selected(flow, PROFILE_SELECTORS)),
                include_names=where.get("includeSegmentNames", False),
                include_timestamps=where.get("includeSegmentTimestamps", False),
                stream=where["stream"],
                region=where["region"],
                access_key_id=access["accessKeyId"],
                secret_key=access["secretKey"],
            )

    def everywhere(self) -> Iterator[Destination]:
        """Yield the enabled destinations of all organisations."""
        for org_id in self._flows.organisations():
            yield from self.enabled(org_id)

    def activates(self, org_id: str, segment_id: str) -> bool:
        """Return whether an audience is mapped to a destination, enabled or not."""
        return any(
            each["id"] == segment_id
            for _, flow in self._flows.of(org_id)
            if flow["flowSpec"]["id"] == DESTINATION_FLOW
            for each in selected(flow, SEGMENT_SELECTORS)
        )

    def on_change(self, notify: Callable[[], None]) -> None:
        """Have something called after each change of a dataflow."""
        self._flows.on_change = notify


def selected(flow: Mapping[str, Any], selectors: str) -> list[dict[str, Any]]:
    """Return the values of a flow's selectors of one kind."""
    found = flow["transformations"][0]["params"][selectors]["selectors"]
    return [each["value"] for each in found]
