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


def planned(document: dict[str, Any], organisation: Organisation, *, prune: bool = False, rotate: bool = False) -> Plan:
    """Return the plan for an organisation."""
    wanted = parsed(document, organisation.name)
    inventory = look(wanted, services_of(organisation))
    return make_plan(wanted, inventory, organisation.name, prune=prune, rotate=rotate)


def carried_out(
    document: dict[str, Any], organisation: Organisation, *, prune: bool = False, rotate: bool = False
) -> Ids:
    """Return what `apply` returns, of a plan without problems."""
    plan = planned(document, organisation, prune=prune, rotate=rotate)
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


def exporting() -> dict[str, Any]:
    """Return a schema for Profile, a segment and a destination to a stream."""
    document = {key: value for key, value in sample().items() if key in ("field_groups", "schemas")}
    destination = {
        "name": "Members to Kinesis",
        "description": "for the warehouse",
        "stream": "members",
        "region": "eu-west-1",
        "access_key_id": "env:STREAM_KEY_ID",
        "secret_access_key": "env:STREAM_SECRET",
        "marketing_actions": ["exportToThirdParty"],
        "audiences": ["Rich", "Acme"],
        "attributes": ["personalEmail.address", "_{TENANT_ID}.loyalty.points"],
        "include_names": True,
    }
    rich = {"name": "Rich", "description": "many points", "rule": "_{TENANT_ID}.loyalty.points > 100"}
    acme = {"name": "Acme", "rule": 'personalEmail.address.contains("@acme.com")', "evaluation": "batch"}
    return {**document, "segments": [rich, acme], "destinations": [destination]}
