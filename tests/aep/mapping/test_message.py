from __future__ import annotations

from typing import Any

import pytest

from aep.ingestion.envelope import Destination
from aep.mapping.message import unwrap
from aep.xdm.rejection import Rejection

SCHEMA_ID = "https://ns.adobe.com/acme/schemas/loyalty-event"
CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"
REF = {"id": SCHEMA_ID, "contentType": CONTENT_TYPE}
ENTITY = {"_id": "1", "timestamp": "2026-01-02T03:04:05Z"}
INLET = "https://dcs.adobedc.net/collection/abc"

ROUTE = Destination(INLET, "message", SCHEMA_ID, org_id="ACME@AdobeOrg", dataset_id="5f0")
ANY = Destination(INLET, "message")


def message(**changes: Any) -> dict[str, Any]:
    """Return a good message; `header__imsOrgId=...` changes a part, None takes it out."""
    whole: dict[str, Any] = {
        "header": {"schemaRef": REF, "imsOrgId": "ACME@AdobeOrg", "datasetId": "5f0", "source": {"name": "shop"}},
        "body": {"xdmMeta": {"schemaRef": REF}, "xdmEntity": ENTITY},
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        holder = whole
        for name in parents:
            holder[name] = dict(holder[name])
            holder = holder[name]
        if value is None:
            del holder[last]
        else:
            holder[last] = value
    return whole


@pytest.mark.parametrize("destination", [ROUTE, ANY])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"header__imsOrgId": None},
        {"header__source": None},
        {"header__msgId": "1553542044760:1153:5"},
        {"header__schemaRef": {**REF, "contentType": "application/vnd.adobe.xed-full+json;version=1.0"}},
        {"header__schemaRef": {**REF, "contentType": "application/vnd.adobe.xed-full-notext+json; version=1.3"}},
        {"header__schemaRef": {**REF, "contentType": "application/vnd.adobe.xed-full+json;1"}},
        {"body__xdmEntity": {}},
    ],
)
def test_a_message_that_fits_gives_its_entity(destination: Destination, changes: dict[str, Any]) -> None:
    whole = message(**changes)
    assert unwrap(whole, destination) is whole["body"]["xdmEntity"]


def test_an_unknown_route_takes_any_schema_and_data_set() -> None:
    other = {"id": "https://ns.adobe.com/acme/schemas/other", "contentType": CONTENT_TYPE}
    whole = message(header__schemaRef=other, body__xdmMeta__schemaRef=other, header__datasetId=None)
    assert unwrap(whole, ANY) == ENTITY


@pytest.mark.parametrize(
    ("changes", "code", "pointer", "words"),
    [
        ({"header": None}, "envelope", "", "header and body"),
        ({"header": "x"}, "envelope", "", "header and body"),
        ({"body": None}, "envelope", "", "header and body"),
        ({"body": []}, "envelope", "", "header and body"),
        ({"body__xdmEntity": None}, "envelope", "/body/xdmEntity", "xdmEntity"),
        ({"body__xdmEntity": [1]}, "envelope", "/body/xdmEntity", "xdmEntity"),
        ({"header__schemaRef": None}, "schema_ref", "/header/schemaRef", "needs header.schemaRef"),
        ({"header__schemaRef": "x"}, "schema_ref", "/header/schemaRef", "needs header.schemaRef"),
        ({"header__schemaRef": {"id": SCHEMA_ID}}, "schema_ref", "/header/schemaRef", "contentType"),
        (
            {"header__schemaRef": {"id": 7, "contentType": CONTENT_TYPE}},
            "schema_ref",
            "/header/schemaRef",
            "needs header.schemaRef",
        ),
        ({"body__xdmMeta": None}, "schema_ref", "/body/xdmMeta/schemaRef", "differ"),
        ({"body__xdmMeta": "x"}, "schema_ref", "/body/xdmMeta/schemaRef", "differ"),
        ({"body__xdmMeta__schemaRef": None}, "schema_ref", "/body/xdmMeta/schemaRef", "differ"),
        (
            {"body__xdmMeta__schemaRef": {**REF, "contentType": CONTENT_TYPE.replace("1", "2")}},
            "schema_ref",
            "/body/xdmMeta/schemaRef",
            "differ",
        ),
        ({"header__datasetId": "other"}, "dataset", "/header/datasetId", "datasetId is 5f0"),
        ({"header__datasetId": None}, "dataset", "/header/datasetId", "datasetId is 5f0"),
        ({"header__imsOrgId": "OTHER@AdobeOrg"}, "org", "/header/imsOrgId", "imsOrgId is ACME@AdobeOrg"),
    ],
)
def test_a_message_that_does_not_fit_is_refused(changes: dict[str, Any], code: str, pointer: str, words: str) -> None:
    refused = unwrap(message(**changes), ROUTE)
    assert isinstance(refused, Rejection)
    assert (refused.code, refused.pointer, refused.error_count) == (code, pointer, 1)
    assert words in refused.message


@pytest.mark.parametrize(
    "reference",
    [
        {**REF, "id": "https://ns.adobe.com/acme/schemas/other"},
        {**REF, "contentType": "application/vnd.adobe.xed-full+json;version=2"},
    ],
)
def test_another_schema_or_major_version_than_the_routes_is_refused(reference: dict[str, str]) -> None:
    refused = unwrap(message(header__schemaRef=reference, body__xdmMeta__schemaRef=reference), ROUTE)
    assert isinstance(refused, Rejection)
    assert (refused.code, refused.pointer) == ("schema_ref", "/header/schemaRef")
    assert f"{SCHEMA_ID}, version 1" in refused.message
