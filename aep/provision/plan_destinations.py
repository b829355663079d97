"""Changes to segments and destinations, compared with the existing ones. Pure.

A destination is found by the name of its dataflow. What an interrupted run left is found by the same name and
continued. Adobe lets audiences, attributes, marketing actions, stream, options and state be changed; credentials can
be replaced but not read back, so they are sent again only when that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aep.platform.destinations import AUDIENCE_OPTIONS, actions_of, attributes_of, audience_names_of, stream_params
from aep.platform.segments import is_streaming, rule_of
from aep.provision.checks import own_field
from aep.provision.inventory import Inventory
from aep.provision.inventory_destinations import DestinationInventory, ExistingDestination
from aep.provision.model import CLASSES, Destination, Path, Problem, Provision, Segment
from aep.provision.plan_registry import leads
from aep.provision.steps import (
    Action,
    Activate,
    AudienceToActivate,
    ChangeSegment,
    ChangeStreamTarget,
    CreatePart,
    CreateSegment,
    Part,
    Plan,
    RotateCredentials,
    SetState,
    Step,
    ambiguous,
    settle,
    text_notes,
)

# What the file calls the parameters of a target connection.
_KEYS = {
    "stream": "stream",
    "region": "region",
    **dict(zip(AUDIENCE_OPTIONS, ("include_names", "include_timestamps"), strict=True)),
}


def plan_segment(plan: Plan, segment: Segment, inventory: DestinationInventory, path: Path) -> None:
    """Plan a segment: create it, or change its rule, description and evaluation."""
    of_name = [each for each in inventory.segments if each["name"] == segment.name]
    if len(of_name) > 1:
        plan.problems.append(ambiguous("segments", segment.name, [each["id"] for each in of_name], path))
        return
    if not of_name:
        work = CreateSegment(segment)
        plan.steps.append(Step("segment", segment.name, Action.CREATE, (segment.evaluation,), work))
        return
    (there,) = of_name
    plan.ids["segment", segment.name] = str(there["id"])
    reasons, rule = [], rule_of(there)
    if rule is None or rule.strip() != (segment.rule or "").strip():
        reasons.append("changes its rule" if rule is not None else "changes its rule, which is not in PQL's text form")
    kept = {"schema"}
    if is_streaming(there) != (segment.evaluation == "streaming"):
        reasons.append(f"evaluates it as {segment.evaluation}")
    else:
        kept.add("evaluationInfo")  # which says more than a file can
    if segment.description and there.get("description") != segment.description:
        reasons.append("changes its description")
    else:
        kept.add("description")
    if reasons:
        change = ChangeSegment(str(there["id"]), segment, {name: there[name] for name in kept & there.keys()})
        plan.steps.append(Step("segment", segment.name, Action.CHANGE, tuple(reasons), change))
    settle(plan, "segment", segment.name, [], changed=bool(reasons))


def plan_destination(
    plan: Plan, wanted: Provision, destination: Destination, inventory: Inventory, path: Path, *, rotate: bool
) -> None:
    """Plan a destination: its five objects, the activation and its state.

    Args:
        plan: Gets the steps; it has those of the segments.
        wanted: The whole file.
        destination: The entry.
        inventory: The existing objects.
        path: Path of the entry.
        rotate: Whether to send the credentials again.
    """
    plan.problems += attribute_faults(wanted, destination, inventory, path)
    exports = inventory.exports
    activate = Activate(
        destination.name,
        tuple(_audiences(plan, wanted, destination, exports, path)),
        tuple(destination.attributes),
        tuple(_actions(plan, destination, exports, path)),
    )
    of_name = exports.destinations.get(destination.name, ())
    if len(of_name) > 1:
        ids = [each.flow["id"] for each in of_name]
        plan.problems.append(ambiguous("destinations", destination.name, ids, path))
    elif not of_name:
        _new(plan, destination, exports, activate, path, rotate=rotate)
    elif not of_name[0].leads_to_kinesis:
        text = f"name: the destination {destination.name} exists and does not lead to Kinesis: give another name"
        plan.problems.append(Problem((*path, "name"), text))
    else:
        _existing(plan, destination, of_name[0], activate, path, rotate=rotate)


def _new(
    plan: Plan,
    destination: Destination,
    exports: DestinationInventory,
    activate: Activate,
    path: Path,
    *,
    rotate: bool,
) -> None:
    """Plan the creations that are left, and the activation of a dataflow that has nothing yet."""
    name = destination.name
    streams = exports.streams.get(name, ())
    if len(streams) > 1:
        plan.problems.append(ambiguous("connections to Kinesis", name, [each["id"] for each in streams], path))
        return
    store, stream = _first(exports.stores.get(name, ())), _first(streams)
    parts = {
        Part.STORE: store,
        Part.SOURCE: _over(store, exports.sources.get(name, ())),
        Part.STREAM: stream,
        Part.TARGET: _over(stream, exports.targets.get(name, ())),
        Part.FLOW: None,
    }
    words = {Part.STREAM: (f"in {destination.region}",), Part.TARGET: (f"stream {destination.stream}",)}
    for part, there in parts.items():
        if there is None:
            work = CreatePart(part, destination)
            plan.steps.append(Step(part.value, name, Action.CREATE, words.get(part, ()), work))
            continue
        plan.ids[part.value, name] = str(there["id"])
        changed = 0
        if part is Part.STREAM:
            region = ((there.get("auth") or {}).get("params") or {}).get("region")
            changed = _credentials(plan, destination, str(there["id"]), region, path, rotate=rotate)
        elif part is Part.TARGET:
            changed = _target(plan, destination, there)
        settle(plan, part.value, name, [], changed=changed > 0)
    # Disabled before the activation, so that nothing is exported.
    _state(plan, destination, {"state": "enabled"})
    _activation(plan, {}, activate)


def _existing(
    plan: Plan, destination: Destination, there: ExistingDestination, activate: Activate, path: Path, *, rotate: bool
) -> None:
    name, params = destination.name, there.target.get("params") or {}
    connection_id = str(there.target.get("baseConnectionId", ""))
    plan.ids[Part.FLOW.value, name] = str(there.flow["id"])
    # Disabled before, or enabled after all other changes, so that nothing in between is exported.
    changed = 0 if destination.enabled else _state(plan, destination, there.flow)
    _credentials(plan, destination, connection_id, params.get("region"), path, rotate=rotate)
    changed += _target(plan, destination, there.target)
    changed += _activation(plan, there.flow, activate)
    changed += _state(plan, destination, there.flow) if destination.enabled else 0
    settle(plan, Part.FLOW.value, name, text_notes(there.flow, destination.description), changed=changed > 0)


def _credentials(
    plan: Plan, destination: Destination, connection_id: str, region: str | None, path: Path, *, rotate: bool
) -> int:
    """Plan to send the credentials again; return how many changes. Without it a region, if known, must be right."""
    if rotate:
        work = RotateCredentials(connection_id, destination)
        words = ("sends its credentials again",)
        plan.steps.append(Step(Part.STREAM.value, destination.name, Action.CHANGE, words, work))
    elif region not in (None, destination.region):
        text = f"region: {destination.name} is in {region}, and its credentials are needed to change it: "
        plan.problems.append(Problem((*path, "region"), f"{text}give --rotate-credentials"))
    return int(rotate)


def _target(plan: Plan, destination: Destination, there: Mapping[str, Any]) -> int:
    """Plan the change of a target connection; return the number of changes."""
    params, wanted = there.get("params") or {}, params_of(destination)
    reasons = []
    for key, name in _KEYS.items():
        old, new = (each.get(key, False if key in AUDIENCE_OPTIONS else None) for each in (params, wanted))
        if old != new:
            reasons.append(f"{name}: {_shown(old)} becomes {_shown(new)}")
    if not reasons:
        return 0
    work = ChangeStreamTarget(str(there["id"]), destination)
    plan.steps.append(Step(Part.TARGET.value, destination.name, Action.CHANGE, tuple(reasons), work))
    return 1


def _activation(plan: Plan, flow: Mapping[str, Any], activate: Activate) -> int:
    """Plan the activation of a dataflow; return the number of changes."""
    reasons = activation_reasons(flow, activate)
    if not reasons:
        return 0
    plan.steps.append(Step(Part.FLOW.value, activate.name, Action.CHANGE, reasons, activate))
    return 1


def _state(plan: Plan, destination: Destination, flow: Mapping[str, Any]) -> int:
    """Plan to enable or disable a dataflow; return the number of changes."""
    if (flow.get("state") == "disabled") != destination.enabled:
        return 0
    words = "enables it" if destination.enabled else "disables it"
    work = SetState(destination.name, destination.enabled)
    plan.steps.append(Step(Part.FLOW.value, destination.name, Action.CHANGE, (words,), work))
    return 1


def activation_reasons(flow: Mapping[str, Any], activate: Activate) -> tuple[str, ...]:
    """Return in words what an activation changes; nothing if it changes nothing."""
    mapped, exported, actions = audience_names_of(flow), attributes_of(flow), actions_of(flow)
    wanted = {each.id for each in activate.audiences}
    return (
        *(f"adds audience {each.name}" for each in activate.audiences if each.id is None or each.id not in mapped),
        *(f"removes audience {name or id_}" for id_, name in mapped.items() if id_ not in wanted),
        *(f"adds attribute {each}" for each in activate.attributes if each not in exported),
        *(f"removes attribute {each}" for each in exported if each not in activate.attributes),
        *(f"adds marketing action {each}" for each in activate.actions if each not in actions),
        *(f"removes marketing action {each}" for each in sorted(actions) if each not in activate.actions),
    )


def params_of(destination: Destination) -> dict[str, Any]:
    """Return the `params` that the target connection of a destination is to have."""
    names, timestamps = destination.include_names, destination.include_timestamps
    return stream_params(destination.stream or "", destination.region or "", names=names, timestamps=timestamps)


def attribute_faults(
    wanted: Provision, destination: Destination, inventory: Inventory, path: Path
) -> Iterator[Problem]:
    """Yield the attributes that neither the union schema of profiles has nor a schema that will take part in it."""
    schemas = [each for each in wanted.schemas if each.profile and each.class_id == CLASSES["profile"]]
    for number, attribute in enumerate(destination.attributes):
        steps = attribute.split(".")
        parts = [inventory.components.get(each, {}) for schema in schemas for each in schema.parts_elsewhere]
        if not any(leads(each, steps) for each in (inventory.exports.union, *parts)) and not any(
            own_field(wanted, schema, steps) for schema in schemas
        ):
            text = f"attributes: {attribute} is not a field of the union schema of profiles"
            yield Problem((*path, "attributes", number), text)


def _audiences(
    plan: Plan, wanted: Provision, destination: Destination, exports: DestinationInventory, path: Path
) -> Iterator[AudienceToActivate]:
    """Yield the audiences of a destination by their segment definitions, which may have to be created."""
    declared = {each.name: each for each in wanted.segments}
    seen: set[str | None] = set()
    for number, audience in enumerate(destination.audiences):
        found = [each for each in exports.segments if audience in (each["id"], each["name"])]
        place = (*path, "audiences", number)
        if audience in declared:
            segment = declared[audience]
            activated = AudienceToActivate(audience, plan.ids.get(("segment", audience)), segment.description)
        elif len(found) == 1:
            (one,) = found
            activated = AudienceToActivate(str(one["name"]), str(one["id"]), str(one.get("description") or ""))
        elif found:
            ids = ", ".join(str(each["id"]) for each in found)
            text = f"{audience}: {len(found)} audiences have this name: give the id of one ({ids})"
            plan.problems.append(Problem(place, text))
            continue
        else:
            text = f"{audience}: no audience has this name or id, and no segment of this file"
            plan.problems.append(Problem(place, text))
            continue
        if activated.id is not None and activated.id in seen:
            plan.problems.append(Problem(place, f"{audience}: duplicate audience {activated.name} ({activated.id})"))
        seen.add(activated.id)
        yield activated


def _actions(plan: Plan, destination: Destination, exports: DestinationInventory, path: Path) -> Iterator[str]:
    """Yield the marketing actions of a destination with their kind."""
    for number, action in enumerate(destination.marketing_actions):
        found = [each for each in (action, f"core/{action}", f"custom/{action}") if each in exports.actions]
        if len(found) == 1:
            yield found[0]
            continue
        known = ", ".join(sorted(each.partition("/")[2] for each in exports.actions))
        why = f"give {' or '.join(found)}" if found else f"no such marketing action (known: {known})"
        plan.problems.append(Problem((*path, "marketing_actions", number), f"{action}: {why}"))


def _first(found: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return found[0] if found else None


def _over(base: Mapping[str, Any] | None, found: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return _first([each for each in found if base is not None and each.get("baseConnectionId") == base["id"]])


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
