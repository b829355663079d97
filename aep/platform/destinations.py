"""Destinations to Amazon Kinesis: the objects of Flow Service that one is made of, and what an activation changes.

Sources: "Connect to streaming destinations and activate data" (bodies), "Edit destinations" (changes), "Destinations
API". Nowhere published, and taken from the user interface: the names of the two options about audiences.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from aep.platform.flow_service import spec
from aep.platform.policies import action_of, enforcement_reference

PROFILE_STORE = "8a9c3494-9708-43d7-ae3f-cda01e5030e1"
KINESIS = "86043421-563b-46ec-8e6c-e23184711bf6"  # the source connector for Kinesis has the same
DESTINATION_FLOW = "71471eba-b620-49e4-90fd-23f1fa0174d8"

AUDIENCE_OPTIONS = ("includeSegmentNames", "includeSegmentTimestamps")
"""Options of a target connection, false where they are missing; their names are an inference."""

_TRANSFORMATION = "GeneralTransform"
_SEGMENTS, _PROFILES = "segmentSelectors", "profileSelectors"


class Audience(NamedTuple):
    """An audience to activate: the id of its segment definition, and how the dataflow describes it."""

    id: str
    name: str
    description: str = ""


class KinesisCredentials(NamedTuple):
    """An access key of AWS, and the region that it is used in."""

    access_key_id: str
    secret_access_key: str
    region: str

    def __repr__(self) -> str:
        return f"KinesisCredentials(region={self.region!r})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values to redact if an error reply repeats them."""
        return self.access_key_id, self.secret_access_key

    @property
    def params(self) -> dict[str, str]:
        """What `auth.params` of a base connection has; a change gives all of them."""
        return {"accessKeyId": self.access_key_id, "secretKey": self.secret_access_key, "region": self.region}


def profile_store_connection(name: str, description: str) -> dict[str, Any]:
    """Return a base connection to the Profile store."""
    return {"name": name, "description": description, "connectionSpec": spec(PROFILE_STORE)}


def profile_store_source(name: str, description: str, connection_id: str) -> dict[str, Any]:
    """Return the source connection over a base connection to the Profile store."""
    over = {"baseConnectionId": connection_id, "data": {"format": "json"}, "params": {}}
    return {**profile_store_connection(name, description), **over}


def kinesis_connection(name: str, description: str, credentials: KinesisCredentials) -> dict[str, Any]:
    """Return a base connection to Kinesis. It holds a secret."""
    auth = {"specName": "Aws Kinesis authentication credentials", "params": credentials.params}
    return {"name": name, "description": description, "connectionSpec": spec(KINESIS), "auth": auth}


def stream_params(stream: str, region: str, *, names: bool, timestamps: bool) -> dict[str, Any]:
    """Return the `params` of a target connection.

    Args:
        stream: Name of the stream.
        region: Of the stream.
        names: Whether records have the names of mapped audiences.
        timestamps: Whether records say when audiences were made, changed and mapped.
    """
    # What is not asked for is left out: then the body is the tutorial's.
    options = {name: True for name, wanted in zip(AUDIENCE_OPTIONS, (names, timestamps), strict=True) if wanted}
    return {"stream": stream, "region": region, **options}


def kinesis_target(name: str, description: str, connection_id: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a target connection over a base connection to Kinesis, with `stream_params`."""
    return {
        "name": name,
        "description": description,
        "baseConnectionId": connection_id,
        "connectionSpec": spec(KINESIS),
        "data": {"format": "json"},
        "params": dict(params),
    }


def destination_flow(name: str, description: str, source_id: str, target_id: str) -> dict[str, Any]:
    """Return a dataflow from the Profile store to Kinesis, which exports nothing until it is activated."""
    none: dict[str, Any] = {_PROFILES: {"selectors": []}, _SEGMENTS: {"selectors": []}}
    return {
        "name": name,
        "description": description,
        "flowSpec": spec(DESTINATION_FLOW),
        "sourceConnectionIds": [source_id],
        "targetConnectionIds": [target_id],
        "transformations": [{"name": _TRANSFORMATION, "params": none}],
    }


def audiences_of(flow: Mapping[str, Any]) -> list[str]:
    """Return the ids of the audiences that a dataflow activates, in its order."""
    return [str(value.get("id")) for value in _selected(flow, _SEGMENTS)]


def audience_names_of(flow: Mapping[str, Any]) -> dict[str, str]:
    """Return the names that a dataflow has for its audiences, by their ids."""
    return {str(value.get("id")): str(value.get("name", "")) for value in _selected(flow, _SEGMENTS)}


def attributes_of(flow: Mapping[str, Any]) -> list[str]:
    """Return the attributes that a dataflow exports, as dotted paths in its order."""
    return [str(value.get("path")) for value in _selected(flow, _PROFILES)]


def actions_of(flow: Mapping[str, Any]) -> set[str]:
    """Return the marketing actions of a dataflow, such as `core/exportToThirdParty`."""
    policy = flow.get("policy")
    references = policy.get("enforcementRefs") if isinstance(policy, Mapping) else None
    return {action_of(str(each)) for each in references or ()}


def activation(
    flow: Mapping[str, Any], audiences: Sequence[Audience], attributes: Sequence[str], actions: Collection[str]
) -> list[dict[str, Any]]:
    """Return the JSON Patch that makes a dataflow activate these audiences and attributes, and no others.

    Selectors are removed by their index, the highest first: by RFC 6902 each removal moves those behind it.

    Args:
        flow: As it was looked up.
        audiences: To be activated.
        attributes: Dotted paths to export.
        actions: Its marketing actions, as `core/NAME` or `custom/NAME`.

    Returns:
        The operations; none if nothing is to be changed.
    """
    mapped = audiences_of(flow)
    wanted = {each.id for each in audiences}
    segments = [_segment_selector(each) for each in audiences if each.id not in mapped]
    operations = _changes(flow, _SEGMENTS, [each not in wanted for each in mapped], segments)
    exported = attributes_of(flow)
    profiles = [_attribute_selector(each) for each in attributes if each not in exported]
    operations += _changes(flow, _PROFILES, [each not in attributes for each in exported], profiles)
    if actions_of(flow) != set(actions):
        policy = flow.get("policy")
        kind = "replace" if isinstance(policy, Mapping) else "add"
        references = [enforcement_reference(each) for each in sorted(actions)]
        value = {**(policy if isinstance(policy, Mapping) else {}), "enforcementRefs": references}
        operations.append({"op": kind, "path": "/policy", "value": value})
    return operations


def _changes(
    flow: Mapping[str, Any], kind: str, superfluous: Sequence[bool], added: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    path = f"/transformations/{_place(flow)}/params/{kind}/selectors"
    empty: dict[str, Any] = {"type": "PLATFORM_SEGMENT" if kind == _SEGMENTS else "JSON_PATH", "value": {}}
    gone = [index for index, each in enumerate(superfluous) if each]
    removals = [{"op": "remove", "path": f"{path}/{index}", "value": empty} for index in reversed(gone)]
    return [*removals, *({"op": "add", "path": f"{path}/-", "value": each} for each in added)]


def _segment_selector(audience: Audience) -> dict[str, Any]:
    value = {"name": audience.name, "description": audience.description, "id": audience.id}
    return {"type": "PLATFORM_SEGMENT", "value": value}


def _attribute_selector(path: str) -> dict[str, Any]:
    return {"type": "JSON_PATH", "value": {"operator": "EXISTS", "path": path}}


def _place(flow: Mapping[str, Any]) -> int:
    """Return the index of the transformation with the selectors, which the tutorial makes the only one."""
    names = [each.get("name") for each in flow.get("transformations") or () if isinstance(each, Mapping)]
    return names.index(_TRANSFORMATION) if _TRANSFORMATION in names else 0


def _selected(flow: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    """Return the values of a dataflow's selectors of one kind."""
    transformations = flow.get("transformations") or ()
    if not transformations:
        return []
    parameters = transformations[_place(flow)].get("params") or {}
    return [each.get("value") or {} for each in (parameters.get(kind) or {}).get("selectors") or ()]
