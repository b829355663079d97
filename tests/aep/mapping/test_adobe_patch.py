"""JSON Patch as Adobe's transform applies it: held against the library that the transform uses."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest

from aep.mapping.adobe_patch import differences
from aep.mapping.entries import EntriesError
from aep.mapping.json_patch import PatchFault, compile_patch
from testing.services.pytest_support import require
from testing.services.zjsonpatch import PatchFailedError, Zjsonpatch


@pytest.fixture(scope="module")
def library() -> Iterator[Zjsonpatch]:
    with require(Zjsonpatch()) as started:
        yield started


FAILS = object()
RECORD = {"a": 1, "b": {"c": [1, 2.0, {"d": None}]}, "": "empty", "x/y": 1, "~1": 2}

# Operations, and what they make of RECORD: entries that are added or, by an ellipsis, taken away; or FAILS.
CASES: list[tuple[list[dict[str, Any]], Any]] = [
    ([{"op": "remove", "path": "/absent"}], {}),
    ([{"op": "remove", "path": "/absent"}, {"op": "add", "path": "/n", "value": 1}], {"n": 1}),
    ([{"op": "remove", "path": "/absent/below"}], FAILS),
    ([{"op": "remove", "path": "/b/c/3"}], FAILS),
    ([{"op": "remove", "path": ""}], {"": ...}),
    ([{"op": "move", "from": "/absent", "path": "/n"}], {"n": None}),
    ([{"op": "copy", "from": "/absent", "path": "/n"}], {"n": None}),
    ([{"op": "copy", "from": "/b/c/9", "path": "/n"}], {"n": None}),
    ([{"op": "move", "from": "/b/c/9", "path": "/n"}], FAILS),
    ([{"op": "copy", "from": "/b/c/-", "path": "/n"}], FAILS),
    ([{"op": "copy", "from": "/a/below", "path": "/n"}], {"n": None}),
    ([{"op": "move", "from": "/a/below", "path": "/n"}], FAILS),
    ([{"op": "move", "from": "", "path": "/body"}], {"": ..., "body": "empty"}),
    ([{"op": "copy", "from": "", "path": "/body"}], {"body": "empty"}),
    ([{"op": "move", "from": "/absent", "path": ""}], FAILS),
    ([{"op": "move", "from": "/absent", "path": ""}, {"op": "replace", "path": "", "value": {}}], FAILS),
    ([{"op": "replace", "path": "", "value": None}, {"op": "replace", "path": "", "value": RECORD}], {}),
    ([{"op": "test", "path": "/a", "value": 1.0}], FAILS),
    ([{"op": "test", "path": "/b/c", "value": [1, 2, {"d": None}]}], FAILS),
    ([{"op": "test", "path": "/b/c", "value": [1, 2.0, {"d": None}]}], {}),
    ([{"op": "test", "path": "/b/c/-", "value": {"d": None}}], {}),
    ([{"op": "test", "path": "/absent", "value": None}], FAILS),
    ([{"op": "test", "path": "/a", "value": True}], FAILS),
    ([{"op": "ADD", "path": "/n", "value": 1}], {"n": 1}),
    ([{"op": "Move", "path": "/n", "from": "/a"}], {"a": ..., "n": 1}),
    ([{"op": "add", "path": "n", "value": 1}], {"n": 1}),
    ([{"op": "add", "path": "passed over/n", "value": 1}], {"n": 1}),
    ([{"op": "remove", "path": "/x~1y"}], {"x/y": ...}),
    ([{"op": "remove", "path": "/x~01y"}], {"x/y": ...}),
    ([{"op": "add", "path": "/b/c/+1", "value": 9}, {"op": "remove", "path": "/b/c/01"}], {}),
    ([{"op": "add", "path": "/b/c/3", "value": 9}, {"op": "remove", "path": "/b/c/3"}], {}),
    ([{"op": "add", "path": "/b/c/4", "value": 9}], FAILS),
    ([{"op": "replace", "path": "/b/c/-", "value": 9}], FAILS),
    ([{"op": "replace", "path": "/absent", "value": 9}], FAILS),
    ([{"op": "add", "path": "/a/b", "value": 9}], FAILS),
    ([{"op": "add", "path": "/n", "value": None}], {"n": None}),
    ([{"op": "replace", "path": "", "value": [1]}], FAILS),
    ([{"op": "move", "from": "/b", "path": "/b/c"}], FAILS),
    ([{"op": "copy", "from": "/b/c/" + "9" * 5_000, "path": "/n"}], FAILS),
    ([{"op": "copy", "from": "/b/c/2147483647", "path": "/n"}], {"n": None}),
    ([{"op": "copy", "from": "/b/c/2147483648", "path": "/n"}], FAILS),
    ([{"op": "add", "path": '/q"uote', "value": 1}], {"q\\uote": 1}),
]


def applied(operations: list[dict[str, Any]], record: dict[str, Any]) -> Any:
    """Return what our patch makes of the record; FAILS for a fault."""
    made = compile_patch(operations, "adobe").apply(copy.deepcopy(record))
    return FAILS if isinstance(made, PatchFault) else made


def applied_by_adobe(library: Zjsonpatch, operations: list[dict[str, Any]], record: dict[str, Any]) -> Any:
    """Return what the library makes of it; FAILS also for what is not an object, which AEP cannot take."""
    try:
        made = library.apply(operations, record)
    except PatchFailedError:
        return FAILS
    return made if isinstance(made, dict) else FAILS


def same(one: Any, other: Any) -> bool:
    """Return equality that tells 1 from 1.0, as JSON's text does."""
    if one is FAILS or other is FAILS:
        return one is other
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize(("operations", "changes"), CASES)
def test_what_adobes_transform_makes_of_a_record(operations: list[dict[str, Any]], changes: Any) -> None:
    expected = FAILS if changes is FAILS else {k: v for k, v in {**RECORD, **changes}.items() if v is not ...}
    assert same(applied(operations, RECORD), expected)


@pytest.mark.zjsonpatch
def test_the_library_makes_the_same_of_it(library: Zjsonpatch) -> None:
    for operations, _ in CASES:
        assert same(applied(operations, RECORD), applied_by_adobe(library, operations, RECORD)), operations


class Generator:
    """Records and operations by a seed: names are few, so that paths often meet what is there."""

    NAMES = ("a", "b", "", "0", "1", "-", "c/d", "~", "~1", "/", "q", "q\\", "\\\\", "é")
    STEPS = (
        "a",
        "b",
        "0",
        "1",
        "-",
        "",
        "+1",
        "01",
        "-1",
        "-0",
        "c~1d",
        "~0",
        "~01",
        'q"',
        "\\",
        "é",
        "9999999999",
        "٣",
    )
    SCALARS = (None, True, False, 0, 1, 1.0, 0.0, -0.0, 2**31, 2**63, -(2**63), 1e300, "", "1", "a\U0001f600")

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, depth: int = 2) -> Any:
        kind = self.random.random()
        if depth and kind < 0.3:
            return [self.value(depth - 1) for _ in range(self.random.randrange(4))]
        return self.record(depth - 1) if depth and kind < 0.6 else self.few(self.SCALARS)

    def record(self, depth: int = 2) -> dict[str, Any]:
        return {self.few(self.NAMES): self.value(depth) for _ in range(self.random.randrange(4))}

    def path(self, document: Any) -> str:
        """Return a place in the document, or any path."""
        if self.random.random() < 0.5:
            steps = []
            while isinstance(document, dict | list) and document and self.random.random() < 0.8:
                step = self.random.choice(list(document if isinstance(document, dict) else range(len(document))))
                document = document[step]
                steps.append(str(step).replace("~", "~0").replace("/", "~1"))
            return "".join(f"/{step}" for step in steps)
        steps = [self.few(self.STEPS) for _ in range(self.random.randrange(4))]
        start = self.random.choice(("/", "/", "/", "/", "", "x/"))
        return start + "/".join(steps) if steps else ""

    def operation(self, record: Any) -> dict[str, Any]:
        op = self.random.choice(("add", "remove", "replace", "move", "copy", "test") * 3 + ("Test", "COPY"))
        return {"op": op, "path": self.path(record), "from": self.path(record), "value": self.value()}

    def few(self, of: Sequence[Any]) -> Any:
        """Return one of them, the first ones more often."""
        return of[min(self.random.randrange(len(of)), self.random.randrange(len(of)))]


@pytest.mark.zjsonpatch
@pytest.mark.parametrize("seed", range(3))
def test_any_patch_makes_of_any_record_what_the_library_makes(library: Zjsonpatch, seed: int) -> None:
    generator = Generator(seed)
    applicable = 0
    for _ in range(5_000):
        record = generator.record()
        operations = [generator.operation(record) for _ in range(generator.random.randrange(1, 4))]
        made = applied(operations, record)
        assert same(made, applied_by_adobe(library, operations, record)), (operations, record)
        applicable += made is not FAILS
    assert applicable > 800


@pytest.mark.zjsonpatch
def test_an_operation_that_is_refused_fails_with_the_library_on_every_record(library: Zjsonpatch) -> None:
    generator = Generator(0)
    refused = 0
    for _ in range(1_000):
        record = generator.record()
        operation = generator.operation(record)
        operation.pop(generator.random.choice(list(operation)))
        try:
            made = applied([operation], record)
        except EntriesError:
            made, refused = FAILS, refused + 1
        assert same(made, applied_by_adobe(library, [operation], record)), (operation, record)
    assert refused > 200


def test_where_the_dialects_differ_is_said_of_each_operation() -> None:
    assert differences(
        [
            {"op": "add", "path": "/a", "value": 1},
            {"op": "replace", "path": "", "value": {}},
            {"op": "remove", "path": "/a"},
            {"op": "move", "from": "/a", "path": "/b"},
            {"op": "copy", "from": "", "path": "/body"},
            {"op": "test", "path": "/a", "value": "text"},
            {"op": "test", "path": "/a", "value": {"n": [1]}},
            {"op": "ADD", "path": "a/b~01", "value": 1},
            {"op": "replace", "path": "/a/01", "value": 1},
            {"op": "test", "path": "/a/-", "value": None},
            {"op": "replace", "path": "/a/" + "9" * 5_000, "value": None},
        ]
    ) == [
        "operation 2 (remove /a): does nothing where an object has no such field",
        "operation 3 (move /b): sets null where the source is absent",
        "operation 4 (copy /body): sets null, and not the record",
        "operation 6 (test /a): 1 and 1.0 are different",
        "operation 7 (ADD a/b~01): is taken as add, path is read as /b~1",
        "operation 8 (replace /a/01): 01 in path is the index 1 of an array",
        "operation 9 (test /a/-): - is the last item of an array",
    ]


def test_operations_of_which_no_difference_is_said_have_none() -> None:
    generator = Generator(0)
    applicable = 0
    for _ in range(20_000):
        record = generator.record()
        operation = generator.operation(record)
        if differences([operation]):
            continue
        try:
            found: Any = compile_patch([operation], "rfc6902").apply(copy.deepcopy(record))
        except EntriesError:
            found = PatchFault("", "")
        made = applied([operation], record)
        assert same(made, FAILS if isinstance(found, PatchFault) else found), (operation, record)
        applicable += made is not FAILS
    assert applicable > 2_000


def test_a_patch_of_adobes_travels_and_does_not_change_from_record_to_record() -> None:
    patch = compile_patch(
        [{"op": "add", "path": "/a", "value": {}}, {"op": "add", "path": "/a/b", "value": [1]}], "adobe"
    )
    assert pickle.loads(pickle.dumps(patch)) == patch
    assert patch != compile_patch([{"op": "add", "path": "/a", "value": {}}], "rfc6902")
    first = patch.apply({})
    assert isinstance(first, dict)
    first["a"]["b"].append(2)
    assert patch.apply({}) == {"a": {"b": [1]}}


def test_a_copy_is_not_what_it_was_copied_from() -> None:
    patch = compile_patch(
        [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/b/0", "value": 1}], "adobe"
    )
    assert patch.apply({"a": []}) == {"a": [], "b": [1]}


def test_a_fault_names_the_operation_and_its_place() -> None:
    operations = [{"op": "remove", "path": "/x"}, {"op": "MOVE", "from": "a/b", "path": "/c"}]
    fault = compile_patch(operations, "adobe").apply({"b": 1, "c": 1})
    assert fault == {"c": 1}
    fault = compile_patch([*operations, {"op": "Copy", "from": "/n/x", "path": "/c"}], "adobe").apply({})
    assert fault == PatchFault(
        "/c", "operation 2 of the patch (Copy /c from /n/x) does not apply: the record has no such path"
    )
