"""Policy Service, as far as destinations meet it: `/data/foundation/dulepolicy`, and the labels of datasets.

Marketing actions, custom policies, and `/data/foundation/dataset/datasets/{id}/labels`. Core policies, labels of fields
and the evaluation of constraints are not served. Sources: "Marketing actions endpoint", "Policies endpoint", "Manage
data usage labels using APIs"; Policy Service API (OpenAPI) for the 404.
"""

from __future__ import annotations

import secrets
import time
import uuid
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from emulator.api.gateway import Call, Gateway
from emulator.api.problems import json_response
from emulator.state.datasets import Datasets
from emulator.state.errors import ApiError, bad_request
from emulator.state.policies import CORE_ACTIONS, Policies, is_expression

BASE = "/data/foundation/dulepolicy"
DATASETS = "/data/foundation/dataset/datasets"
STATUSES = ("DRAFT", "ENABLED", "DISABLED")


class PolicyService:
    """Marketing actions, policies and labels over HTTP."""

    def __init__(self, policies: Policies, datasets: Datasets) -> None:
        self._policies = policies
        self._datasets = datasets

    def routes(self, gateway: Gateway) -> list[Route]:
        return [
            *gateway.routes(
                BASE,
                [
                    ("GET", "/marketingActions/core", self._list_core),
                    ("GET", "/marketingActions/core/{name}", self._look_up_core),
                    ("GET", "/marketingActions/custom", self._list_custom),
                    ("GET", "/marketingActions/custom/{name}", self._look_up_custom),
                    ("PUT", "/marketingActions/custom/{name}", self._put_custom),
                    ("DELETE", "/marketingActions/custom/{name}", self._delete_custom),
                    ("GET", "/policies/custom", self._list_policies),
                    ("POST", "/policies/custom", self._create_policy),
                    ("GET", "/policies/custom/{id}", self._look_up_policy),
                    ("PUT", "/policies/custom/{id}", self._replace_policy),
                    ("DELETE", "/policies/custom/{id}", self._delete_policy),
                ],
            ),
            *gateway.routes(
                DATASETS,
                [("GET", "/{id}/labels", self._look_up_labels), ("PUT", "/{id}/labels", self._put_labels)],
            ),
        ]

    def _list_core(self, call: Call) -> Response:
        return _listed(call, "marketingActions/core", [_core(call, name) for name in CORE_ACTIONS])

    def _look_up_core(self, call: Call) -> Response:
        if call.path("name") not in CORE_ACTIONS:
            raise _not_found(f"marketingActions/core/{call.path('name')}")
        return json_response(_core(call, call.path("name")))

    def _list_custom(self, call: Call) -> Response:
        return _listed(call, "marketingActions/custom", self._policies.custom_actions(call.org_id))

    def _look_up_custom(self, call: Call) -> Response:
        return json_response(self._custom(call))

    def _put_custom(self, call: Call) -> Response:
        body, name = call.json_object(), call.path("name")
        if body.get("name") != name:
            raise bad_request(f"name must be {name!r}, as in the path")
        old = self._policies.custom_action(call.org_id, name)
        place = f"marketingActions/custom/{name}"
        self._policies.put_action(call.org_id, {**body, **_about(call, place, old)})
        return json_response(self._custom(call), 200 if old else 201)

    def _delete_custom(self, call: Call) -> Response:
        name = self._custom(call)["name"]
        using = [each["id"] for each in self._policies.policies_of(call.org_id, f"custom/{name}")]
        if using:
            raise bad_request(f"the marketing action {name} is referenced by the policies {', '.join(using)}")
        self._policies.remove_action(call.org_id, name)
        return Response(status_code=200)

    def _custom(self, call: Call) -> dict[str, Any]:
        found = self._policies.custom_action(call.org_id, call.path("name"))
        if found is None:
            raise _not_found(f"marketingActions/custom/{call.path('name')}")
        return found

    def _list_policies(self, call: Call) -> Response:
        return _listed(call, "policies/custom", [each for _, each in self._policies.policies.of(call.org_id)])

    def _create_policy(self, call: Call) -> Response:
        return json_response(self._keep_policy(call, secrets.token_hex(12), None), 201)

    def _look_up_policy(self, call: Call) -> Response:
        return json_response(self._policy(call))

    def _replace_policy(self, call: Call) -> Response:
        old = self._policy(call)
        return json_response(self._keep_policy(call, old["id"], old))

    def _delete_policy(self, call: Call) -> Response:
        self._policies.policies.remove(self._policy(call)["id"])
        return Response(status_code=200)

    def _policy(self, call: Call) -> dict[str, Any]:
        found = self._policies.policies.get(call.org_id, call.path("id"))
        if found is None:
            raise _not_found(f"policies/custom/{call.path('id')}")
        return found

    def _keep_policy(self, call: Call, policy_id: str, old: dict[str, Any] | None) -> dict[str, Any]:
        body = call.json_object()
        if not isinstance(body.get("name"), str) or body.get("status") not in STATUSES:
            raise bad_request(f"a policy needs a name and a status of {', '.join(STATUSES)}")
        references = body.get("marketingActionRefs")
        if not isinstance(references, list) or not references:
            raise bad_request("marketingActionRefs must list marketing actions")
        for each in references:
            if not self._policies.knows(call.org_id, str(each)):
                raise bad_request(f"marketingActionRefs: {each!r} does not exist")
        if not is_expression(body.get("deny")):
            raise bad_request("deny must be {label} or {operator: AND or OR, operands}")
        kept = {**body, **_about(call, f"policies/custom/{policy_id}", old), "id": policy_id}
        self._policies.policies.put(call.org_id, policy_id, kept)
        return kept

    def _look_up_labels(self, call: Call) -> Response:
        found = self._policies.labels.get(call.org_id, self._dataset_id(call)) or {"labels": [], "optionalLabels": []}
        return self._shown_labels(call, found)

    def _put_labels(self, call: Call) -> Response:
        dataset_id, body = self._dataset_id(call), call.json_object()
        old = self._policies.labels.get(call.org_id, dataset_id)
        if old and call.request.headers.get("if-match") != old["etag"]:
            raise ApiError(412, {"status": 412, "title": "PreconditionFailed", "detail": "If-Match is not the etag"})
        labels = body.get("labels", [])
        if isinstance(labels, list) and labels and all(isinstance(each, list) for each in labels):
            labels = [label for each in labels for label in each]  # as older documents write it
        if not isinstance(labels, list) or not all(isinstance(each, str) for each in labels):
            raise bad_request("labels must list labels such as C1")
        kept = {"labels": labels, "optionalLabels": body.get("optionalLabels", []), "etag": f'"{uuid.uuid4()}"'}
        self._policies.labels.put(call.org_id, dataset_id, kept)
        return self._shown_labels(call, kept)

    def _dataset_id(self, call: Call) -> str:
        if self._datasets.find(call.org_id, call.path("id")) is None:
            raise ApiError(404, {"status": 404, "title": "NotFoundError", "detail": f"no dataset {call.path('id')}"})
        return call.path("id")

    def _shown_labels(self, call: Call, kept: dict[str, Any]) -> Response:
        shown = {"imsOrg": call.org_id, **{name: kept[name] for name in ("labels", "optionalLabels")}}
        headers = {"ETag": kept["etag"]} if "etag" in kept else {}
        return json_response({f"AEP:dataset:{call.path('id')}": shown}, headers=headers)


def _core(call: Call, name: str) -> dict[str, Any]:
    place = {"self": {"href": f"{call.base_url}{BASE}/marketingActions/core/{name}"}}
    return {"name": name, "description": CORE_ACTIONS[name], "_links": place}


def _about(call: Call, place: str, old: dict[str, Any] | None) -> dict[str, Any]:
    now = int(time.time() * 1000)
    created = old or {"created": now, "createdClient": call.client_id, "createdUser": call.client_id}
    return {
        "imsOrg": call.org_id,
        **{name: created[name] for name in ("created", "createdClient", "createdUser")},
        "updated": now,
        "updatedClient": call.client_id,
        "updatedUser": call.client_id,
        "_links": {"self": {"href": f"{call.base_url}{BASE}/{place}"}},
    }


def _listed(call: Call, place: str, found: list[dict[str, Any]]) -> Response:
    link = {"href": f"{call.base_url}{BASE}/{place}?{{?limit,start,property}}", "templated": True}
    return json_response({"_page": {"count": len(found)}, "_links": {"page": link}, "children": found})


def _not_found(place: str) -> ApiError:
    return ApiError(404, {"detail": f"https://platform.adobe.io:443/{place} not found"})
