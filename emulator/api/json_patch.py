"""JSON Patch (RFC 6902) as the management APIs take it: add, replace, remove, test. Pure functions.

Flow Service writes the operations in capitals in its specification and in small letters in its tutorials; both do.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from aep.xdm.pointers import steps_of


class PatchPathError(ValueError):
    """A path leads nowhere, or a test failed there."""

    def __init__(self, text: str, path: str) -> None:
        super().__init__(text)
        self.path = path


def apply_patch(document: dict[str, Any], operations: Any) -> dict[str, Any]:
    """Apply operations to a copy of a document.

    Raises:
        ValueError: An operation is malformed, or its path leads nowhere (PatchPathError); the message says which.
    """
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        raise ValueError("a JSON Patch is a list of operations")
    document = copy.deepcopy(document)
    for number, operation in enumerate(operations):
        kind, path = str(operation.get("op")).lower(), operation.get("path")
        if kind not in ("add", "replace", "remove", "test"):
            raise ValueError(f"operation {number}: op must be add, replace, remove or test")
        if not isinstance(path, str) or not path.startswith("/"):
            raise ValueError(f"operation {number}: path must begin with /")
        if kind != "remove" and "value" not in operation:
            raise ValueError(f"operation {number}: value is missing")
        try:
            _apply(document, kind, steps_of(path), copy.deepcopy(operation.get("value")))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise PatchPathError(f"operation {number}: cannot {kind} {path}", path) from error
    return document


def _apply(document: Any, kind: str, steps: list[str], value: Any) -> None:
    parent = document
    for step in steps[:-1]:
        parent = parent[_index(step)] if isinstance(parent, list) else parent[step]
    last = steps[-1]
    key: Any = last
    if isinstance(parent, list):
        key = len(parent) if last == "-" else _index(last)
        if kind == "add":
            if not 0 <= key <= len(parent):
                raise IndexError(key)
            parent.insert(key, value)
            return
    elif not isinstance(parent, dict):
        raise TypeError(last)
    if kind == "add":
        parent[key] = value
    elif kind == "remove":
        del parent[key]
    elif kind == "test":
        if parent[key] != value:
            raise ValueError("the test failed")
    else:
        if isinstance(parent, dict) and key not in parent:
            raise KeyError(key)
        parent[key] = value


def _index(step: str) -> int:
    """Return the index that a step of a path is (RFC 6901: digits, without a zero before others)."""
    if not re.fullmatch("0|[1-9][0-9]*", step):
        raise ValueError(step)
    return int(step)
