"""The segment definitions of the organisations: audiences with their rules.

Sources: "Segment definitions endpoint" and the OpenAPI document of the Segmentation Service. A definition without
`evaluationInfo` is a batch one, as the newest edition says ("Streaming segmentation" says that it is streaming-enabled
where its rule allows). There is one merge policy for each organisation; a definition may name another, and audiences
of different merge policies are kept apart in exports.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from emulator.segments.memberships import Segment
from emulator.segments.parser import parse_rule
from emulator.segments.tokens import RuleError
from emulator.state.errors import ApiError
from emulator.state.repository import Repository
from emulator.state.store import Store

PROFILE_SCHEMA = "_xdm.context.profile"
EVALUATIONS = ("batch", "continuous", "synchronous")
# What the service decides itself.
_DECIDED = ("id", "imsOrgId", "sandbox", "creationTime", "updateTime", "updateEpoch")


class Segments:
    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._repository = Repository(store, "segment")
        self._clock = clock
        self._ready: dict[str, tuple[Segment, ...]] = {}

    def definitions(self, org_id: str) -> list[dict[str, Any]]:
        """Return the definitions of an organisation in the order of their creation."""
        return [each for _, each in self._repository.of(org_id)]

    def organisations(self) -> set[str]:
        return self._repository.organisations()

    def find(self, org_id: str, segment_id: str) -> dict[str, Any] | None:
        return self._repository.get(org_id, segment_id)

    def ready(self, org_id: str) -> tuple[Segment, ...]:
        """Return the audiences of an organisation, ready to be evaluated."""
        if org_id not in self._ready:
            self._ready[org_id] = tuple(_segment(each) for each in self.definitions(org_id))
        return self._ready[org_id]

    def create(self, org_id: str, sandbox: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a definition.

        Raises:
            ApiError: It is not valid (400), or one of this name exists (422).
        """
        now_ms = int(self._clock() * 1000)
        created = {
            "id": str(uuid.uuid4()),
            "schema": {"name": PROFILE_SCHEMA},
            "ttlInDays": 30,
            "imsOrgId": org_id,
            "sandbox": {"sandboxId": sandbox, "sandboxName": sandbox, "type": "production", "default": True},
            "description": "",
            "mergePolicyId": default_merge_policy(org_id),
            "dataGovernancePolicy": {"excludeOptOut": True},
            **{key: value for key, value in body.items() if key not in _DECIDED},
            "creationTime": now_ms,
        }
        return self._keep(org_id, created, now_ms)

    def change(self, org_id: str, old: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """Change the fields of a definition that a body names.

        Raises:
            ApiError: It would not be valid (400), or take the name of another (422).
        """
        changed = {**old, **{key: value for key, value in body.items() if key not in _DECIDED}}
        # a change of the same millisecond is a change
        return self._keep(org_id, changed, max(int(self._clock() * 1000), old["updateTime"] + 1))

    def delete(self, org_id: str, segment_id: str) -> None:
        self._repository.remove(segment_id)
        self._ready.pop(org_id, None)

    def _keep(self, org_id: str, definition: dict[str, Any], now_ms: int) -> dict[str, Any]:
        checked = {**definition, "evaluationInfo": _evaluation_info(definition.get("evaluationInfo"))}
        _check(checked)
        for other in self.definitions(org_id):
            if other["name"] == checked["name"] and other["id"] != checked["id"]:
                text = f"A segment definition named {checked['name']!r} exists already: {other['id']}. Use PATCH."
                raise refused(422, text)
        kept = {**checked, "updateEpoch": now_ms // 1000, "updateTime": now_ms}
        self._repository.put(org_id, kept["id"], kept)
        self._ready.pop(org_id, None)
        return kept


def default_merge_policy(org_id: str) -> str:
    """Return the id of an organisation's merge policy."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"merge policy of {org_id}"))


def refused(status: int, message: str) -> ApiError:
    """Return a refusal in the form that the OpenAPI document prints for audiences; it prints none for definitions."""
    errors = {str(status): [{"code": str(status), "message": message}]}
    return ApiError(status, {"requestId": uuid.uuid4().hex, "errors": errors, "title": message, "status": status})


def _segment(definition: Mapping[str, Any]) -> Segment:
    info = definition["evaluationInfo"]
    return Segment(
        definition["id"],
        definition["name"],
        parse_rule(definition["expression"]["value"]),
        definition["mergePolicyId"],
        info["continuous"]["enabled"] or info["synchronous"]["enabled"],
        definition["creationTime"],
        definition["updateTime"],
    )


def _evaluation_info(info: object) -> dict[str, dict[str, bool]]:
    """Return all three ways of evaluation, each with whether it is enabled; batch if none is named."""
    given = info or {"batch": {"enabled": True}}
    if not isinstance(given, Mapping):
        raise refused(400, "evaluationInfo must be an object")
    enabled = {}
    for name in EVALUATIONS:
        way = given.get(name, {"enabled": False})
        value = way.get("enabled", False) if isinstance(way, Mapping) else None
        if not isinstance(value, bool):
            raise refused(400, f'evaluationInfo.{name} must be {{"enabled": true}} or {{"enabled": false}}')
        enabled[name] = {"enabled": value}
    if unknown := given.keys() - set(EVALUATIONS):
        raise refused(400, f"evaluationInfo has no {', '.join(sorted(unknown))}, only {', '.join(EVALUATIONS)}")
    if not any(each["enabled"] for each in enabled.values()):
        raise refused(400, f"evaluationInfo must enable one of {', '.join(EVALUATIONS)}")
    return enabled


def _check(definition: Mapping[str, Any]) -> None:
    if not isinstance(definition.get("name"), str) or not definition["name"].strip():
        raise refused(400, "name is required")
    if not isinstance(definition["description"], str):
        raise refused(400, "description must be a string")
    if not isinstance(definition["mergePolicyId"], str) or not definition["mergePolicyId"]:
        raise refused(400, "mergePolicyId must be a string")
    if definition["schema"] != {"name": PROFILE_SCHEMA}:
        raise refused(400, f'schema must be {{"name": "{PROFILE_SCHEMA}"}}')
    expression = definition.get("expression")
    if not isinstance(expression, Mapping) or not isinstance(expression.get("value"), str):
        raise refused(400, "expression with type, format and value is required")
    if expression.get("type") != "PQL" or expression.get("format") != "pql/text":
        raise refused(400, 'expression.type must be "PQL" and expression.format "pql/text"')
    try:
        parse_rule(expression["value"])
    except RuleError as error:
        raise refused(400, f"expression.value cannot be evaluated here: {error}") from error
