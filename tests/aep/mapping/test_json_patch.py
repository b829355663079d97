"""JSON Patch: the examples of RFC 6902, appendix A, what operations are refused, and that faults lose nothing."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.mapping.entries import EntriesError
from aep.mapping.json_patch import Patch, PatchFault, compile_patch

# Document, operations, what they make of it; None where the RFC says that they must fail.
APPENDIX_A: dict[str, tuple[Any, list[Any], Any]] = {
    "A.1": ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    "A.2": (
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    "A.3": ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    "A.4": ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    "A.5": (
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    "A.6": (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    "A.7": (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    "A.8": (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    "A.9": ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], None),
    "A.10": (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    "A.11": ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}], {"foo": "bar", "baz": "qux"}),
    "A.12": ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], None),
    "A.14": ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    "A.15": ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], None),
    "A.16": (
        {"foo": ["bar"]},
        [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]},
    ),
}


@pytest.mark.parametrize("example", APPENDIX_A)
def test_the_examples_of_the_rfc(example: str) -> None:
    document, operations, expected = APPENDIX_A[example]
    made = compile_patch(operations, "rfc6902").apply(document)
    assert isinstance(made, PatchFault) if expected is None else made == expected


@pytest.mark.parametrize(
    ("record", "operation", "words"),
    [
        (
            {"a": 1},
            {"op": "test", "path": "/a", "value": True},
            "operation 1 of the patch (test /a) does not apply: the",
        ),
        ({"a": [1]}, {"op": "test", "path": "/a", "value": [True]}, "the value differs"),
        ({}, {"op": "test", "path": "/a", "value": None}, "the value differs or is absent"),
        ({}, {"op": "remove", "path": "/a"}, "(remove /a) does not apply: the record has no such path"),
        ({}, {"op": "replace", "path": "/a", "value": 1}, "no such path"),
        ({}, {"op": "move", "from": "/b", "path": "/a"}, "(move /a from /b) does not apply"),
        ({}, {"op": "copy", "from": "/b", "path": "/a"}, "no such path"),
        ({"a": "s"}, {"op": "add", "path": "/a/0", "value": 1}, "no such path"),
        ({"a": None}, {"op": "add", "path": "/a/b", "value": 1}, "no such path"),
        ({"a": [1]}, {"op": "add", "path": "/a/2", "value": 1}, "no such path"),
        ({"a": [1]}, {"op": "add", "path": "/a/01", "value": 1}, "no such path"),
        ({"a": [1]}, {"op": "add", "path": "/a/-1", "value": 1}, "no such path"),
        ({"a": [1]}, {"op": "remove", "path": "/a/-"}, "no such path"),
        ({"a": [1]}, {"op": "replace", "path": "/a/-", "value": 1}, "no such path"),
        ({"a": [1]}, {"op": "copy", "from": "/a/-", "path": "/b"}, "no such path"),
        ({"a": [1]}, {"op": "remove", "path": "/a/" + "9" * 5_000}, "no such path"),
    ],
)
def test_what_does_not_apply_is_told_with_its_operation_and_place(
    record: dict[str, Any], operation: dict[str, Any], words: str
) -> None:
    patch = compile_patch([{"op": "add", "path": "/first", "value": 1}, operation], "rfc6902")
    fault = patch.apply(record)
    assert isinstance(fault, PatchFault)
    assert fault.pointer == operation["path"]
    assert words in fault.message


def test_what_is_left_must_be_an_object() -> None:
    made = compile_patch([{"op": "replace", "path": "", "value": [1]}], "rfc6902").apply({})
    assert made == PatchFault("", "the patch turns the record into something that is not a JSON object")
    assert compile_patch([{"op": "move", "from": "/a", "path": ""}], "rfc6902").apply({"a": {"b": 1}}) == {"b": 1}


def test_1_and_1_point_0_are_equal_and_the_root_can_be_tested() -> None:
    assert compile_patch([{"op": "test", "path": "", "value": {"a": [1.0]}}], "rfc6902").apply({"a": [1]}) == {"a": [1]}


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("add", "must be a mapping"),
        ({}, "has no op"),
        ({"path": "/a"}, "has no op"),
        ({"op": "append", "path": "/a"}, "op must be one of add, remove, replace, move, copy, test"),
        ({"op": ["add"], "path": "/a"}, "op must be one of"),
        ({"op": "remove"}, "remove needs path"),
        ({"op": "add", "path": "/a"}, "add needs value"),
        ({"op": "copy", "path": "/a"}, "copy needs from"),
        ({"op": "copy", "path": "/a", "from": 5}, "from must be a JSON pointer"),
        ({"op": "remove", "path": "a"}, "path must be a JSON pointer"),
        ({"op": "remove", "path": "/a~2"}, "path must be a JSON pointer"),
        ({"op": "remove", "path": ""}, "can't remove the whole record"),
        ({"op": "move", "from": "/a", "path": "/a/b"}, "can't move a value into itself"),
        ({"op": "move", "from": "", "path": "/a"}, "can't move a value into itself"),
        ({"op": "add", "path": "/a", "value": 2**64}, "can't be written as JSON"),
    ],
)
def test_operations_that_are_none_are_told_with_their_index(operation: Any, words: str) -> None:
    with pytest.raises(EntriesError) as caught:
        compile_patch([{"op": "remove", "path": "/ok"}, operation, {"op": "no"}], "rfc6902")
    assert list(caught.value.entries) == ["1", "2"]
    assert caught.value.entries["1"].startswith("operation 1: ")
    assert words in caught.value.entries["1"]


def test_a_patch_does_not_change_from_record_to_record() -> None:
    patch = compile_patch(
        [{"op": "add", "path": "/a", "value": {}}, {"op": "add", "path": "/a/b", "value": [1]}], "rfc6902"
    )
    first = patch.apply({})
    assert isinstance(first, dict)
    first["a"]["b"].append(2)
    assert patch.apply({}) == {"a": {"b": [1]}}


names = st.sampled_from(["a", "b", "c/d", "~"])
places = st.lists(st.sampled_from(["a", "b", "c~1d", "~0", "0", "1", "-"]), max_size=3).map(
    lambda steps: "".join(f"/{step}" for step in steps)
)
documents = st.dictionaries(
    names,
    st.recursive(
        st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=2),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(names, below, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)
operations = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": places, "from": places}
        | {"value": documents | st.integers(0, 3)}
    ),
    max_size=4,
)


@given(documents, operations)
def test_any_patch_applies_as_a_whole_or_not(document: dict[str, Any], given_operations: list[dict[str, Any]]) -> None:
    try:
        patch = compile_patch(given_operations, "rfc6902")
    except EntriesError:
        return
    before = orjson.dumps(given_operations)
    made = patch.apply(copy.deepcopy(document))
    assert isinstance(made, dict | PatchFault)
    assert patch == Patch(before, "rfc6902")
    if isinstance(made, dict):
        assert orjson.loads(orjson.dumps(made)) == made
        # One operation after the other makes the same.
        step: Any = copy.deepcopy(document)
        for operation in given_operations:
            step = compile_patch([operation], "rfc6902").apply(step)
            if not isinstance(step, dict):
                return  # something else than an object stood in between
        assert step == made


@given(documents, names, documents)
def test_added_and_removed_again_is_as_before(document: dict[str, Any], name: str, value: Any) -> None:
    document.pop(name, None)
    place = "/" + name.replace("~", "~0").replace("/", "~1")
    patch = compile_patch(
        [
            {"op": "add", "path": place, "value": value},
            {"op": "test", "path": place, "value": value},
            {"op": "remove", "path": place},
        ],
        "rfc6902",
    )
    assert patch.apply(copy.deepcopy(document)) == document
