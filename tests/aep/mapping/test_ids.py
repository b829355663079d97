from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.mapping.ids import OFFSET, IdRule, MissingField, Place, fill_id, make_id

PLACE = Place("orders", 3, 42)
BY_FIELDS: IdRule = ("/order/id", "/at")
RECORD = {"order": {"id": 7}, "at": "2026-01-01T00:00:00Z", "more": 1}

entities = st.dictionaries(st.text(max_size=5).filter("_id".__ne__), st.integers(-(2**53), 2**53) | st.text(max_size=5))


def test_by_place() -> None:
    assert make_id({}, (OFFSET,), PLACE) == "orders-3-42"


def test_by_fields_it_depends_on_them_alone() -> None:
    made = make_id(RECORD, BY_FIELDS, PLACE)
    assert made == make_id({**RECORD, "more": 2}, BY_FIELDS, Place("other", 0, 0))
    assert made != make_id({**RECORD, "at": "2026-01-01T00:00:01Z"}, BY_FIELDS, PLACE)
    assert made != make_id(RECORD, BY_FIELDS[::-1], PLACE)
    assert isinstance(made, str)
    assert len(made) == 32


def test_fields_that_run_together_are_told_apart() -> None:
    rule = ("/a", "/b")
    assert make_id({"a": "1", "b": "23"}, rule, PLACE) != make_id({"a": "12", "b": "3"}, rule, PLACE)
    assert make_id({"a": "1", "b": 1}, rule, PLACE) != make_id({"a": 1, "b": "1"}, rule, PLACE)


def test_an_object_is_the_same_whatever_the_order_of_its_members() -> None:
    assert make_id({"a": {"x": 1, "y": 2}}, ("/a",), PLACE) == make_id({"a": {"y": 2, "x": 1}}, ("/a",), PLACE)


@pytest.mark.parametrize("entity", [{"at": "x"}, {"order": {"id": None}, "at": "x"}, {"order": 1, "at": "x"}])
def test_a_field_that_is_missing_is_told(entity: dict[str, Any]) -> None:
    assert fill_id(entity, orjson.dumps(entity), BY_FIELDS, PLACE) == MissingField("/order/id")
    assert "_id" not in entity


@pytest.mark.parametrize("given_id", ["mine", "", 0, False])
def test_a_record_that_has_one_keeps_it(given_id: object) -> None:
    entity = {"_id": given_id}
    body = orjson.dumps(entity)
    assert fill_id(entity, body, (OFFSET,), PLACE) is body
    assert entity == {"_id": given_id}


@given(entities, st.sampled_from(["absent", "null first", "null last"]))
def test_the_json_is_that_of_the_entity(entity: dict[str, Any], kind: str) -> None:
    if kind != "absent":
        entity = {"_id": None, **entity} if kind == "null first" else {**entity, "_id": None}
    filled = fill_id(entity, orjson.dumps(entity), (OFFSET,), PLACE)
    assert not isinstance(filled, MissingField)
    assert orjson.loads(filled) == entity
    assert entity["_id"] == "orders-3-42"
    assert filled == orjson.dumps(orjson.loads(filled))
