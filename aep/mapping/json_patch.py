"""Change records by JSON Patch (RFC 6902), as Adobe's JsonPatchTransform for Kafka Connect does.

The operations are those of the RFC: `add`, `remove`, `replace`, `move`, `copy` and `test`. They mean what
the RFC says, or what Adobe's transform makes of them (adobe_patch.py). In both dialects, and unlike Adobe's transform,
which logs an error and passes the record on as it was, a patch that does not apply is a fault of the record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import jsonpatch
import orjson

from aep.mapping import adobe_patch
from aep.mapping.entries import EntriesError
from aep.xdm.pointers import is_pointer

PatchDialect = Literal["rfc6902", "adobe"]
"""Whose rules a patch follows: the RFC's, or those of Adobe's JsonPatchTransform."""

_NEEDS = {
    "add": "value",
    "remove": None,
    "replace": "value",
    "move": "from",
    "copy": "from",
    "test": "value",
}


class PatchFault(NamedTuple):
    """Why a patch does not apply to a record: the place of the failed operation, and a message without values."""

    pointer: str
    message: str


@dataclass(frozen=True)
class Patch:
    """Operations validated by `compile_patch`, as JSON: equal, hashable and small to send to workers."""

    operations: bytes
    dialect: PatchDialect

    def apply(self, record: dict[str, Any]) -> dict[str, Any] | PatchFault:
        """Return the record after all operations; it is changed in place, and after a fault it is partly changed: drop
        it.
        """
        document: Any = record
        for index, (operation, apply) in enumerate(_compiled(self)):
            try:
                document = apply(document)
            except adobe_patch.NotApplicableError as error:
                return _fault(index, operation, str(error))
        if not isinstance(document, dict):
            return PatchFault("", "the patch turns the record into something that is not a JSON object")
        return document


def compile_patch(operations: Sequence[Any], dialect: PatchDialect) -> Patch:
    """Return the patch of these operations, as they were written in JSON or YAML.

    Members that an operation does not need are ignored (RFC 6902, 4). Adobe's transform takes more than the RFC: an op
    in any case, and a path that is not a JSON pointer.

    Raises:
        EntriesError: All problems found.
    """
    problems = {
        str(index): f"operation {index}: {problem}"
        for index, operation in enumerate(operations)
        if (problem := _problem(operation, dialect))
    }
    if problems:
        raise EntriesError(problems)
    return Patch(orjson.dumps(operations), dialect)


def _problem(operation: Any, dialect: PatchDialect) -> str | None:
    if not isinstance(operation, dict):
        return "must be a mapping with op, path and what the op needs"
    op = operation.get("op")
    name = op.lower() if isinstance(op, str) and dialect == "adobe" else op
    if not isinstance(name, str) or name not in _NEEDS:
        return f"op must be one of {', '.join(_NEEDS)}" if "op" in operation else "has no op"
    needed = _NEEDS[name]
    for key in ("path", needed):
        if key and key not in operation:
            return f"{op} needs {key}"
    for key in ("path", *(["from"] if needed == "from" else [])):
        if not isinstance(operation[key], str) or (dialect == "rfc6902" and not is_pointer(operation[key])):
            return f"{key} must be a JSON pointer, such as /_acme/memberId"
    if dialect == "rfc6902" and (problem := _never_applies(name, operation["path"], operation.get("from"))):
        return problem
    try:
        orjson.dumps(operation.get("value"))
    except TypeError as error:
        return f"value can't be written as JSON: {error}"
    return None


def _never_applies(op: str, path: str, source: Any) -> str | None:
    if op == "remove" and path == "":
        return "remove can't remove the whole record"
    if op == "move" and path.startswith(f"{source}/"):
        return "move can't move a value into itself"
    return None


@cache
def _compiled(patch: Patch) -> list[tuple[dict[str, Any], Callable[[Any], Any]]]:
    # Each by itself, so that it is known which one failed.
    step = adobe_patch.step if patch.dialect == "adobe" else _step
    return [(operation, step(operation)) for operation in orjson.loads(patch.operations)]


def _step(operation: dict[str, Any]) -> Callable[[Any], Any]:
    """Return what an operation of the RFC does to a record: raises NotApplicableError as Adobe's do."""
    patch = jsonpatch.JsonPatch([operation])

    def apply(document: Any) -> Any:
        try:
            return patch.apply(document, in_place=True)
        except jsonpatch.JsonPatchTestFailed:
            raise adobe_patch.NotApplicableError(adobe_patch.OTHER_VALUE) from None
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
            raise adobe_patch.NotApplicableError(adobe_patch.NO_SUCH_PLACE) from None

    return apply


def _fault(index: int, operation: Mapping[str, Any], reason: str) -> PatchFault:
    op, path = operation["op"], operation["path"]
    source = f" from {operation['from']}" if _NEEDS[op.lower()] == "from" else ""
    return PatchFault(path, f"operation {index} of the patch ({op} {path}{source}) does not apply: {reason}")
