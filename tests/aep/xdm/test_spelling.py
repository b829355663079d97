from __future__ import annotations

from typing import Any

import pytest

from aep.xdm.spelling import MAX_HINTS, is_message, spelling_hints


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"header": {}, "body": {"xdmEntity": {}}}, True),
        ({"header": {}, "body": {"xdmEntity": None}}, True),
        ({"header": {}, "body": {"id": 1}}, False),
        ({"body": {"xdmEntity": {}}}, False),
        ({"header": [], "body": {"xdmEntity": {}}}, False),
        ({"header": {}, "body": []}, False),
    ],
)
def test_a_whole_message_has_a_header_and_an_entity_in_its_body(record: dict[str, Any], expected: bool) -> None:
    assert is_message(record) is expected


def test_names_of_published_examples_and_a_bare_tenant_are_recognised_at_any_depth() -> None:
    assert spelling_hints({"acme": {"items": [{"@id": "a"}]}, "xdm:timestamp": 1}, "_acme") == [
        "the tenant namespace has an underscore: write _acme, not acme",
        "@id is the spelling of Adobe's published examples: Platform takes _id",
        "xdm:timestamp is the spelling of Adobe's published examples: Platform takes timestamp",
    ]


def test_what_is_spelled_right_gives_no_hint() -> None:
    assert spelling_hints({"_acme": {"@context": "", "xdm": 1, "at@id": 2}, "_id": "@id"}, "_acme") == []
    assert spelling_hints({"acme": 1}, None) == []


def test_a_record_full_of_such_names_gives_a_few_hints() -> None:
    assert len(spelling_hints({f"xdm:{number}": 1 for number in range(1_000)}, None)) == MAX_HINTS
    assert len(spelling_hints({"list": [{"xdm:name": 1}] * 1_000}, None)) == 1
