from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.api.envelope import Envelope, Refusal, check_raw, check_xdm, schema_major
from emulator.state.inlets import Inlet, InletRequest, make_inlet
from tests.emulator.conftest import SCHEMA, SCHEMA_REF, make_message

INLET: Inlet = make_inlet(InletRequest.model_validate({"dataset_id": "d" * 24, "schema": SCHEMA}), "f" * 64)
OTHER_SCHEMA = {**SCHEMA, "$id": "https://ns.adobe.com/acme/schemas/other"}
START = f"inletId: [{'f' * 64}] imsOrgId: [ACME@AdobeOrg] "
UNKNOWN_FORMAT = START + "Message has unknown xdm format"
WRONG_ORG = START + "Message has an absent or wrong ims org in the header"
WRONG_DATASET = START + "Message has an absent or wrong dataset in the header"
NO_ENTITY = START + "Payload body is missing xdmEntity"
NO_HEADER = "The 'header' field is mandatory. Provide a valid 'header' value and try again."
NO_BODY = "The 'body' field is mandatory. Provide a valid 'body' value and try again."


def good() -> dict[str, Any]:
    message = make_message({"orgId": "ACME@AdobeOrg", "datasetId": "d" * 24}, "a")
    return dict(orjson.loads(orjson.dumps(message)))  # with two schemaRefs, not one object twice


def without(*path: str) -> dict[str, Any]:
    message = good()
    holder = message
    for step in path[:-1]:
        holder = holder[step]
    del holder[path[-1]]
    return message


def having(value: object, *path: str) -> dict[str, Any]:
    message = without(*path)
    holder = message
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return message


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (None, NO_HEADER),
        ("text", NO_HEADER),
        ([], NO_HEADER),
        (without("header"), NO_HEADER),
        (having("x", "header"), NO_HEADER),
        (without("body"), NO_BODY),
        (having("OTHER@AdobeOrg", "header", "imsOrgId"), WRONG_ORG),
        (having(None, "header", "imsOrgId"), WRONG_ORG),
        (without("header", "schemaRef"), UNKNOWN_FORMAT),
        (without("header", "schemaRef", "id"), UNKNOWN_FORMAT),
        (without("header", "schemaRef", "contentType"), UNKNOWN_FORMAT),
        (having("text/plain", "header", "schemaRef", "contentType"), UNKNOWN_FORMAT),
        (without("body", "xdmMeta"), UNKNOWN_FORMAT),
        (without("body", "xdmMeta", "schemaRef"), UNKNOWN_FORMAT),
        (having("https://ns.adobe.com/acme/schemas/x", "body", "xdmMeta", "schemaRef", "id"), UNKNOWN_FORMAT),
        (without("header", "datasetId"), WRONG_DATASET),
        (having("e" * 24, "header", "datasetId"), WRONG_DATASET),
        (having(["d" * 24], "header", "datasetId"), WRONG_DATASET),
        (without("body", "xdmEntity"), NO_ENTITY),
        (having("text", "body", "xdmEntity"), NO_ENTITY),
    ],
)
def test_refused(message: object, text: str) -> None:
    assert check_xdm(message, INLET) == Refusal(text)


def test_schema_that_both_places_name_but_the_dataset_does_not_have() -> None:
    message = good()
    message["header"]["schemaRef"]["id"] = message["body"]["xdmMeta"]["schemaRef"]["id"] = OTHER_SCHEMA["$id"]
    assert check_xdm(message, INLET) == Refusal(UNKNOWN_FORMAT)


def test_version_that_the_dataset_does_not_have() -> None:
    message = good()
    content_type = "application/vnd.adobe.xed-full+json;version=2"
    for holder in (message["header"], message["body"]["xdmMeta"]):
        holder["schemaRef"]["contentType"] = content_type
    assert check_xdm(message, INLET) == Refusal(UNKNOWN_FORMAT)


def test_accepted() -> None:
    message = good()
    message["header"]["flowId"] = "flow-1"
    assert check_xdm(message, INLET) == Envelope(message["body"]["xdmEntity"], "d" * 24, "flow-1")


def test_organisation_may_be_absent() -> None:
    assert isinstance(check_xdm(without("header", "imsOrgId"), INLET), Envelope)


def test_each_dataset_has_its_schema() -> None:
    definition = {
        "schemas": [{"dataset_id": "1" * 24, "schema": SCHEMA}, {"dataset_id": "2" * 24, "schema": OTHER_SCHEMA}]
    }
    inlet = make_inlet(InletRequest.model_validate(definition), "f" * 64)
    assert isinstance(check_xdm(having("1" * 24, "header", "datasetId"), inlet), Envelope)
    assert check_xdm(having("2" * 24, "header", "datasetId"), inlet) == Refusal(UNKNOWN_FORMAT)


def test_dataset_without_schema_takes_any() -> None:
    inlet = make_inlet(InletRequest(dataset_id="d" * 24), "f" * 64)
    message = good()
    message["header"]["schemaRef"]["id"] = message["body"]["xdmMeta"]["schemaRef"]["id"] = OTHER_SCHEMA["$id"]
    assert isinstance(check_xdm(message, inlet), Envelope)
    message["header"]["schemaRef"]["id"] = SCHEMA_REF["id"]
    assert check_xdm(message, inlet) == Refusal(UNKNOWN_FORMAT)


@pytest.mark.parametrize(
    ("content_type", "major"),
    [
        ("application/vnd.adobe.xed-full+json;version=1", "1"),
        ("application/vnd.adobe.xed-full+json;version=1.0", "1"),
        ("application/vnd.adobe.xed-full+json;version=1.3", "1"),
        ("application/vnd.adobe.xed-full-notext+json; version=1.0", "1"),
        ("application/vnd.adobe.xed-full+json;1", "1"),
        ("application/vnd.adobe.xed-full+json; version=12", "12"),
        ("application/vnd.adobe.xed+json", ""),
        ("application/json", None),
        ("application/vnd.adobe.xed-full+json;version=", None),
        ("", None),
    ],
)
def test_content_type(content_type: str, major: str | None) -> None:
    assert schema_major(content_type) == major


def test_raw() -> None:
    inlet = make_inlet(InletRequest(data_type="raw", dataset_id="d" * 24), "f" * 64)
    entity = {"name": "Jane"}
    assert check_raw(entity, inlet, "flow-1", None) == Envelope(entity, "d" * 24, "flow-1")
    assert check_raw(entity, inlet, None, None) == Refusal(START + "Raw message without x-adobe-flow-id")
    assert check_raw(entity, inlet, "flow-1", "e" * 24) == Refusal(WRONG_DATASET)
    assert check_raw([1], inlet, "flow-1", None) == Refusal(START + "Message is invalid")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_no_json_value_anywhere_makes_it_raise(data: st.DataObject) -> None:
    request: dict[str, Any] = {"message": good()}
    holder, key = request, "message"
    for _ in range(data.draw(st.integers(0, 4))):
        if not isinstance(holder[key], dict) or not holder[key]:
            break
        holder, key = holder[key], data.draw(st.sampled_from(sorted(holder[key])))
    holder[key] = data.draw(json_values)
    assert isinstance(check_xdm(request["message"], INLET), Envelope | Refusal)
