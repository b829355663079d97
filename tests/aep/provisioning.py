"""Provision files for tests, as parsed YAML, and what carries them out."""

from __future__ import annotations

from typing import Any

from aep.errors import ReplyError
from aep.http.transport import Reply, Request, Transport
from aep.provision.apply import Ids, apply
from aep.provision.checks import check
from aep.provision.inventory import Services, look
from aep.provision.model import Provision
from aep.provision.plan import make_plan
from aep.provision.steps import Plan
from tests.aep.management import Organisation

IDENTITY_MAP = "https://ns.adobe.com/xdm/context/identitymap"
PERSONAL = "https://ns.adobe.com/xdm/context/profile-personal-details"


def sample() -> dict[str, Any]:
    """Return one of each, and two connections: of either API."""
    member = {"type": "string", "required": True}
    loyalty = {"type": "object", "fields": {"memberId": member, "points": "int", "tags": _list_of("string")}}
    return {
        "field_groups": [
            {
                "title": "Member details",
                "classes": ["profile"],
                "fields": {"_{TENANT_ID}": {"type": "object", "fields": {"loyalty": loyalty}}},
            }
        ],
        "schemas": [
            {
                "title": "Member",
                "class": "profile",
                "field_groups": ["Member details", PERSONAL],
                "profile": True,
                "identities": [
                    {"field": "/_{TENANT_ID}/loyalty/memberId", "namespace": "Loyalty", "primary": True},
                    {"field": "/personalEmail/address", "namespace": "Email"},
                ],
            }
        ],
        "datasets": [{"name": "Members", "schema": "Member", "profile": True}],
        "connections": [
            {"name": "Stream", "authentication_required": True},
            {"name": "Raw", "data_type": "raw"},
            {"name": "Older", "api": "inlet", "source_id": "older"},
        ],
        "flows": [
            {"name": "Members", "connection": "Stream", "dataset": "Members"},
            {
                "name": "Raw members",
                "connection": "Raw",
                "dataset": "Members",
                "mappings": [{"source": "id", "destination": "_{TENANT_ID}.loyalty.memberId"}],
            },
        ],
        "routes": [
            {"name": "members", "flow": "Members", "topics": ["members"]},
            {"name": "raw", "flow": "Raw members", "topics": ["raw"]},
            {"name": "older", "connection": "Older", "dataset": "Members", "topics": ["older"]},
        ],
    }


def _list_of(kind: str) -> dict[str, Any]:
    return {"type": "array", "items": kind}


def parsed(document: dict[str, Any], tenant: str = "acme") -> Provision:
    """Return a file that passes its checks, with the tenant id in it."""
    wanted = Provision.model_validate(document)
    assert list(check(wanted)) == []
    return wanted.with_tenant(tenant)


def planned(document: dict[str, Any], organisation: Organisation, *, prune: bool = False) -> Plan:
    """Return the plan for an organisation."""
    wanted = parsed(document, organisation.name)
    return make_plan(wanted, look(wanted, services_of(organisation)), organisation.name, prune=prune)


def carried_out(document: dict[str, Any], organisation: Organisation, *, prune: bool = False) -> Ids:
    """Return what `apply` returns, of a plan without problems."""
    plan = planned(document, organisation, prune=prune)
    assert plan.problems == []
    return apply(plan, services_of(organisation), lambda step, object_id: None)


def services_of(organisation: Organisation, transport: Transport | None = None) -> Services:
    """Return the APIs; a client that never waits."""
    client = organisation.client_by(transport or organisation.transport, wait=lambda seconds: False)
    return Services.of(client)


class Severed:
    """A network that goes away at a call, which may still arrive."""

    def __init__(self, transport: Transport, at: int, *, arrives: bool):
        self.methods: list[str] = []
        self._transport = transport
        self._at = at
        self._arrives = arrives

    def send(self, request: Request) -> Reply:
        self.methods.append(request.method)
        if len(self.methods) < self._at:
            return self._transport.send(request)
        if len(self.methods) == self._at and self._arrives:
            self._transport.send(request)
        raise ReplyError("the network is gone")
