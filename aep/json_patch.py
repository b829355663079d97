"""Changes to a record by JSON Patch (RFC 6902), as users of Adobe's JsonPatchTransform for Kafka Connect have them.

The operations are those of the RFC: ``add``, ``remove``, ``replace``, ``move``, ``copy`` and ``test``. Unlike Adobe's
transform, which logs an error and passes the record on as it was, a patch that does not apply is a fault of the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jsonpatch
import orjson

from aep.entries import EntriesError
from aep.xdm.pointers import is_pointer

_NEEDS = {
    "add": "value",
    "remove": None,
    "replace": "value",
    "move": "from",
    "copy": "from",
    "test": "value",
}


class PatchFault(NamedTuple):
    """Why a patch does not apply to a record: the place of the operation that failed, and words without values."""

    pointer: str
    message: str


@dataclass(frozen=True)
class Patch:
    """Operations that were found valid by ``compile_patch``, as JSON: equal, hashable and small to send to workers."""

    operations: bytes

    def apply(self, record: dict[str, Any]) -> dict[str, Any] | PatchFault:
        """The record after all operations; it is changed in place, and after a fault it is half changed: drop it."""
        document: Any = record
        for index, (operation, words) in enumerate(_compiled(self.operations)):
            try:
                document = operation.apply(document, in_place=True)
            except jsonpatch.JsonPatchTestFailed:
                return _fault(index, words, "the value there is another, or there is none")
            except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
                return _fault(index, words, "the record has no such place")
        if not isinstance(document, dict):
            return PatchFault("", "the patch makes something of the record that is no JSON object")
        return document


def compile_patch(operations: Sequence[Any]) -> Patch:
    """The patch of these operations, as they were written in JSON or YAML.

    Members that an operation does not need are ignored (RFC 6902, 4).

    Raises:
      EntriesError: with all that is wrong.
    """
    problems = {
        str(index): f"operation {index}: {problem}"
        for index, operation in enumerate(operations)
        if (problem := _problem(operation))
    }
    if problems:
        raise EntriesError(problems)
    return Patch(orjson.dumps(operations))


def _problem(operation: Any) -> str | None:
    if not isinstance(operation, dict):
        return "must be a mapping with op, path and what the op needs"
    op, path, source = operation.get("op"), operation.get("path"), operation.get("from")
    if not isinstance(op, str) or op not in _NEEDS:
        return f"op must be one of {', '.join(_NEEDS)}" if "op" in operation else "has no op"
    needed = _NEEDS[op]
    for name in ("path", needed):
        if name and name not in operation:
            return f"{op} needs {name}"
    for name in ("path", *(["from"] if needed == "from" else [])):
        if not isinstance(operation[name], str) or not is_pointer(operation[name]):
            return f"{name} must be a JSON pointer, as /_acme/memberId"
    if op == "remove" and path == "":
        return "remove can't take away the whole record"
    if op == "move" and str(path).startswith(f"{source}/"):
        return "move can't put a value into itself"
    try:
        orjson.dumps(operation.get("value"))
    except TypeError as error:
        return f"value can't be written as JSON: {error}"
    return None


@cache
def _compiled(operations: bytes) -> list[tuple[jsonpatch.JsonPatch, dict[str, Any]]]:
    # Each by itself, so that it is known which one failed.
    return [(jsonpatch.JsonPatch([operation]), operation) for operation in orjson.loads(operations)]


def _fault(index: int, operation: Mapping[str, Any], reason: str) -> PatchFault:
    op, path = operation["op"], operation["path"]
    source = f" from {operation['from']}" if op in ("move", "copy") else ""
    return PatchFault(path, f"operation {index} of the patch ({op} {path}{source}) does not apply: {reason}")
