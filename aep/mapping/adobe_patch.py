"""JSON Patch as Adobe's JsonPatchTransform for Kafka Connect applies it, which differs slightly from RFC 6902.

The transform uses the Java library zjsonpatch 0.4.4; a test runs that library itself over generated patches and records
and finds no difference. Where the library throws, the transform passes the record on unchanged; here that is a fault.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from aep.xdm.pointers import pointer

# What Java's Integer.parseInt takes, by which the library reads the index of an array.
_INTEGER = re.compile(r"[+-]?\d{1,1000}")
_INT_MAX = 2**31 - 1

NO_SUCH_PLACE = "the record has no such path"
OTHER_VALUE = "the value differs or is absent"


class NotApplicableError(Exception):
    """The operation does not apply to the record; the message says why, without values."""


class _Operation(NamedTuple):
    op: str
    path: list[str]
    source: list[str]  # what stands as `from`
    value: Any


class _Absent:
    """The result of moving or copying from an absent place: null inside an object or array, no record at the root."""


_ABSENT = _Absent()


def step(operation: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return what an operation does to a record, which is changed in place where it can be: gives the record
    afterwards.

    It raises NotApplicableError, and the record is then partly changed.
    """
    op = operation["op"].lower()
    source = _steps(operation["from"]) if op in ("move", "copy") else []
    return partial(_apply, _Operation(op, _steps(operation["path"]), source, operation.get("value")))


def differences(operations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each operation that means, or may mean, something else than in RFC 6902."""
    said = [(index, operation, _differences(operation)) for index, operation in enumerate(operations)]
    return [
        f"operation {index} ({operation['op']} {operation['path']}): {', '.join(found)}"
        for index, operation, found in said
        if found
    ]


def _apply(operation: _Operation, document: Any) -> Any:
    if document is _ABSENT:
        raise NotApplicableError(NO_SUCH_PLACE)
    op, path, source, value = operation
    match op:
        case "add":
            return _add(document, path, _copied(value))
        case "remove":
            return _remove(document, path)
        case "replace":
            return _replace(document, path, _copied(value))
        case "move":
            moved = _child(_parent(document, source), source[-1])
            return _add(_remove(document, source), path, moved)
        case "copy":
            return _add(document, path, _copied(_child(_parent(document, source), source[-1])))
        case _:
            return _test(document, path, value)


def _differences(operation: Mapping[str, Any]) -> list[str]:
    op = operation["op"].lower()
    found = []
    if op != operation["op"]:
        found.append(f"is taken as {op}")
    for name in ("path", "from") if op in ("move", "copy") else ("path",):
        written = operation[name]
        read = pointer(_meant(_steps(written)))
        if read != written and written:
            found.append(f"{name} is read as {read}")
        indices = [each for each in _steps(written) if _INTEGER.fullmatch(each) and each != str(int(each))]
        found += [f"{index} in {name} is the index {int(index)} of an array" for index in indices if int(index) >= 0]
    if op == "remove":
        found.append("does nothing where an object has no such field")
    if op in ("move", "copy"):
        found.append("sets null where the source is absent" if operation["from"] else "sets null, and not the record")
    if op == "test" and operation["path"].endswith("/-"):
        found.append("- is the last item of an array")
    if op == "test" and _has_number(operation["value"]):
        found.append("1 and 1.0 are different")
    return found


def _meant(steps: list[str]) -> list[str]:
    """Return the steps that count: the first one is passed over unless it is the only one."""
    return steps if len(steps) == 1 else steps[1:]


def _steps(path: str) -> list[str]:
    # The library splits the path as it is written in JSON, without any quotation marks, and takes ~0 before ~1.
    written = json.dumps(path, ensure_ascii=False).replace('"', "")
    return [step.replace("~0", "~").replace("~1", "/") for step in written.split("/")]


def _parent(document: Any, steps: list[str]) -> Any:
    """Return the value that the last step is in. Steps below a value that is neither object nor array
    are passed over.
    """
    node = document
    for step in steps[1:-1]:
        if isinstance(node, dict):
            if step not in node:
                raise NotApplicableError(NO_SUCH_PLACE)
            node = node[step]
        elif isinstance(node, list):
            index = _integer(step)
            if not 0 <= index < len(node):
                raise NotApplicableError(NO_SUCH_PLACE)
            node = node[index]
    return node


def _child(parent: Any, step: str) -> Any:
    if isinstance(parent, list):
        index = _integer(step)
        return parent[index] if 0 <= index < len(parent) else _ABSENT
    return parent.get(step, _ABSENT) if isinstance(parent, dict) else _ABSENT


def _add(document: Any, path: list[str], value: Any) -> Any:
    parent, last = _parent(document, path), path[-1]
    if path == [""]:
        return value
    value = None if value is _ABSENT else value
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent)), value)
    else:
        raise NotApplicableError(NO_SUCH_PLACE)
    return document


def _remove(document: Any, path: list[str]) -> Any:
    parent, last = _parent(document, path), path[-1]
    if isinstance(parent, dict):
        parent.pop(last, None)
    elif isinstance(parent, list):
        del parent[_index(last, len(parent) - 1)]
    else:
        raise NotApplicableError(NO_SUCH_PLACE)
    return document


def _replace(document: Any, path: list[str], value: Any) -> Any:
    parent, last = _parent(document, path), path[-1]
    if path == [""]:
        return value
    if isinstance(parent, dict) and last in parent:
        parent[last] = value
    elif isinstance(parent, list):
        parent[_index(last, len(parent) - 1)] = value
    else:
        raise NotApplicableError(NO_SUCH_PLACE)
    return document


def _test(document: Any, path: list[str], value: Any) -> Any:
    parent, last = _parent(document, path), path[-1]
    if path == [""]:
        found = document
    elif isinstance(parent, list):
        index = len(parent) - 1 if last == "-" else _index(last, len(parent))
        found = parent[index] if 0 <= index < len(parent) else _ABSENT
    else:
        found = _child(parent, last)
    if not _equal(found, value):
        raise NotApplicableError(OTHER_VALUE)
    return document


def _index(step: str, highest: int) -> int:
    index = _integer(step)
    if not 0 <= index <= highest:
        raise NotApplicableError(NO_SUCH_PLACE)
    return index


def _integer(step: str) -> int:
    if not _INTEGER.fullmatch(step) or not -_INT_MAX - 1 <= int(step) <= _INT_MAX:
        raise NotApplicableError(NO_SUCH_PLACE)
    return int(step)


def _equal(one: Any, other: Any) -> bool:
    """Return whether values are equal as Jackson's nodes: 1 and 1.0 are not the same, nor are 0.0 and -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


def _copied(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, dict | list) else value


def _has_number(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_number, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int | float) and not isinstance(value, bool)
