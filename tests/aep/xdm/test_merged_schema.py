"""A merged schema takes what both of its parts take, and nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from aep.xdm.merged_schema import merged
from aep.xdm.schema import compile_schema

NAMES = st.sampled_from(["a", "b", "c"])


def objects(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "object", "object", "array", ["object", "string"]]),
            "properties": st.dictionaries(NAMES, children, max_size=3),
            "additionalProperties": st.one_of(st.booleans(), children),
            "patternProperties": st.dictionaries(st.sampled_from(["a", "b|c"]), children, min_size=1, max_size=1),
            "required": st.lists(NAMES, min_size=1, max_size=2, unique=True),
            "maxProperties": st.integers(0, 2),
            "items": st.one_of(children, st.lists(children, min_size=1, max_size=2)),
            "additionalItems": st.booleans(),
            "allOf": st.lists(children, min_size=1, max_size=2),
        },
    )


leaves = st.sampled_from([{}, {"type": "string"}, {"type": "integer"}, {"pattern": "a"}, {"maxLength": 1}, {"not": {}}])
schemas = st.recursive(leaves, objects, max_leaves=8)
values = st.recursive(
    st.sampled_from(["a", "b", "ab", 1, None]),
    lambda inside: st.one_of(st.lists(inside, max_size=2), st.dictionaries(NAMES, inside, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(schemas, schemas, st.lists(values, min_size=1, max_size=10))
@example({"additionalProperties": False}, {"properties": {"a": {}}}, [{"a": 1}, {}])
@example({"properties": {"a": {"pattern": "a"}}}, {"properties": {"a": {"pattern": "b"}}}, [{"a": "a"}, {"a": "ab"}])
@example({"additionalProperties": {"type": "string"}}, {"properties": {"a": {"pattern": "a"}}}, [{"a": 1}, {"b": "b"}])
def test_it_takes_what_both_take(one: dict[str, Any], other: dict[str, Any], some: list[Any]) -> None:
    whole, both = compile_schema(merged(one, other)), [compile_schema(one), compile_schema(other)]
    for value in some:
        assert whole.is_valid(value) == all(each.is_valid(value) for each in both)


def test_what_does_not_clash_is_one_schema() -> None:
    one = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 9}}, "additionalProperties": False}
    other = {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}, "b": {}}, "required": ["a"]}
    assert merged(one, other) == {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": 9, "pattern": "x"}},
        "additionalProperties": False,
        "required": ["a"],
    }
