from __future__ import annotations

from typing import Any

import orjson
import pytest

from aep.formats.json import ParsedObject, ParseFailure
from aep.ingestion.envelope import Destination
from aep.mapping.upserts import (
    UpsertEnvelope,
    attributes_to_delete,
    check_operations,
    operations_fault,
    operations_of,
)

MERGE = {"data": "merge", "identity": "create", "identityDatasetId": "5f1"}


@pytest.mark.parametrize("operations", [{}, {"data": "create"}, {"data": "delete"}, MERGE])
def test_operations_of_the_streaming_upserts_page(operations: dict[str, str]) -> None:
    assert operations_fault(operations) is None
    message = {"header": {"operations": operations}, "body": {"a": 1}}
    assert operations_of(message) == operations
    assert check_operations(message) is None


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ({"data": "upsert"}, "operations.data must be one of create, merge, delete"),
        ({"data": None}, "operations.data must be one of"),
        ({"identity": "merge"}, "operations.identity must be create"),
        ({"identity": "create"}, "needs operations.identityDatasetId"),
        ({"date": "merge"}, "unknown key date"),
    ],
)
def test_operations_that_aep_does_not_know(operations: dict[str, Any], words: str) -> None:
    assert words in str(operations_fault(operations))
    found = check_operations({"header": {"operations": operations}, "body": {}})
    assert found is not None
    assert (found.code, found.pointer) == ("operations", "/header/operations")


def test_an_upsert_needs_a_body() -> None:
    found = check_operations({"header": {"operations": MERGE}, "name": "x"})
    assert found is not None
    assert "the object body" in found.message


@pytest.mark.parametrize("message", [{}, {"header": "x"}, {"header": {}}, {"header": {"operations": "merge"}}])
def test_other_raw_records_are_no_upserts(message: dict[str, Any]) -> None:
    assert operations_of(message) is None


def test_the_envelope_is_that_of_the_streaming_upserts_page() -> None:
    destination = Destination(
        "http://aep.test/collection/x", "raw", org_id="ACME@AdobeOrg", dataset_id="d1", flow_id="f1"
    )
    attributes = {"memberId": "a-1", "points": 7}
    message, body = UpsertEnvelope(destination, MERGE).wrap(attributes, orjson.dumps(attributes))
    assert orjson.loads(body) == message
    assert message == {
        "header": {"flowId": "f1", "imsOrgId": "ACME@AdobeOrg", "datasetId": "d1", "operations": MERGE},
        "body": attributes,
    }


def test_what_is_not_known_is_left_out_of_the_header() -> None:
    envelope = UpsertEnvelope(Destination("http://aep.test/collection/x", "raw"), {"data": "merge"})
    assert envelope.wrap({}, b"{}")[1] == b'{"header":{"operations":{"data":"merge"}},"body":{}}'


def test_the_key_says_what_to_delete() -> None:
    assert attributes_to_delete(b"a-1", "memberId") == ParsedObject({"memberId": "a-1"}, b'{"memberId":"a-1"}')
    assert attributes_to_delete(b'{"memberId": "a-1"}', None) == ParsedObject(
        {"memberId": "a-1"}, b'{"memberId":"a-1"}'
    )


@pytest.mark.parametrize(("key", "field"), [(None, "id"), (b"", "id"), (b"\xff", "id"), (b"a-1", None), (b"7", None)])
def test_a_key_that_does_not_say_it(key: bytes | None, field: str | None) -> None:
    found = attributes_to_delete(key, field)
    assert isinstance(found, ParseFailure)
    assert found.code == "tombstone"
