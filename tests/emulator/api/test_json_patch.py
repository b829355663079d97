"""JSON Patch (RFC 6902), as far as the management APIs take it."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.api.json_patch import apply_patch

DOCUMENT: dict[str, Any] = {"a": {"b": [1, 2]}, "x/y": {"m~n": 0}}


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "add", "path": "/c", "value": 3}, {**DOCUMENT, "c": 3}),
        ({"op": "ADD", "path": "/a/b/-", "value": 3}, {**DOCUMENT, "a": {"b": [1, 2, 3]}}),
        ({"op": "add", "path": "/a/b/0", "value": 0}, {**DOCUMENT, "a": {"b": [0, 1, 2]}}),
        ({"op": "REPLACE", "path": "/a/b/1", "value": 9}, {**DOCUMENT, "a": {"b": [1, 9]}}),
        ({"op": "replace", "path": "/x~1y/m~0n", "value": 1}, {**DOCUMENT, "x/y": {"m~n": 1}}),
        ({"op": "remove", "path": "/a/b/0"}, {**DOCUMENT, "a": {"b": [2]}}),
        ({"op": "remove", "path": "/a"}, {"x/y": {"m~n": 0}}),
        ({"op": "test", "path": "/a/b", "value": [1, 2]}, DOCUMENT),
    ],
)
def test_operations(operation: dict[str, Any], result: dict[str, Any]) -> None:
    assert apply_patch(DOCUMENT, [operation]) == result
    assert DOCUMENT == {"a": {"b": [1, 2]}, "x/y": {"m~n": 0}}


@pytest.mark.parametrize(
    ("operations", "hint"),
    [
        ({}, "a list"),
        (["x"], "a list"),
        ([{"op": "move", "path": "/a", "from": "/b"}], "operation 0: op must be"),
        ([{"op": "add", "path": "a", "value": 1}], "operation 0: path must begin"),
        ([{"op": "add", "path": "/c"}], "operation 0: value is missing"),
        ([{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/a"}], "operation 1: cannot remove /a"),
        ([{"op": "replace", "path": "/none", "value": 1}], "cannot replace /none"),
        ([{"op": "replace", "path": "/a/b/7", "value": 1}], "cannot replace"),
        ([{"op": "add", "path": "/a/b/7", "value": 1}], "cannot add"),
        ([{"op": "add", "path": "/a/b/x", "value": 1}], "cannot add"),
        ([{"op": "add", "path": "/a/b/0/c", "value": 1}], "cannot add"),
        ([{"op": "remove", "path": "/a/b/-1"}], "cannot remove"),
        ([{"op": "replace", "path": "/a/b/01", "value": 1}], "cannot replace"),
        ([{"op": "test", "path": "/a/b", "value": 1}], "cannot test"),
    ],
)
def test_refused(operations: Any, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        apply_patch(DOCUMENT, operations)
