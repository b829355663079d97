"""Resolved XDM schemas: what they are and where they come from."""

import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from aep.errors import UserError
from aep.xdm.harden import field_path, harden
from aep.xdm.identities import Identity, descriptor_fault, identities
from aep.xdm.pointers import pointer

FULL_MEDIA_TYPE = "application/vnd.adobe.xed-full+json"
_DESCRIBED_MEDIA_TYPE = "application/vnd.adobe.xed-full-desc+json"  # the same with identity descriptors

_TIME_SERIES = ("https://ns.adobe.com/xdm/context/experienceevent", "https://ns.adobe.com/xdm/data/time-series")
_STANDARD_PREFIXES = ("xdm:", "@", "http://", "https://")


class SchemaError(UserError):
    """A schema that records cannot be validated with; the message says what, where and what to do."""


@dataclass(frozen=True)
class ResolvedSchema:
    """One schema with nothing left to look up, in compatibility notation (`_id`, not `@id`).

    Attributes:
        document: The JSON, the only part that matters for validation.
        id: Its `$id`.
        version: Its `version`, such as "1.4"; "1" when it has none.
        sha256: Hex digest of the file or reply that it came in.
        title: Its title, or its `$id`.
        where: The file or address it came from, for messages.
        is_event: Whether it belongs to a time-series class, such as XDM ExperienceEvent.
        tenant: Its tenant namespace (`meta:tenantNamespace`), such as `_acme`.
        identities: Its identity descriptors (`meta:descriptors`), the primary one first; empty where the document
            came without descriptors.
    """

    document: bytes
    id: str
    version: str
    sha256: str
    title: str
    where: str
    is_event: bool
    tenant: str | None
    identities: tuple[Identity, ...] = ()

    @property
    def content_type(self) -> str:
        """The `schemaRef.contentType` of a message: the full form at the schema's major version."""
        return f"{FULL_MEDIA_TYPE};version={self.version.partition('.')[0]}"


@dataclass(frozen=True)
class FileSchemaSource:
    """A resolved schema in a JSON file."""

    path: str

    def load(self) -> ResolvedSchema:
        """Read and check the file.

        Raises:
            SchemaError: The file cannot be read or is not a usable schema.
        """
        try:
            document = Path(self.path).read_bytes()
        except OSError as error:
            raise SchemaError(
                f"{self.path}: cannot read the XDM schema ({error.strerror or error}); "
                f"save there what the Schema Registry returns for Accept: {_DESCRIBED_MEDIA_TYPE}; version=1"
            ) from error
        return parse_schema(document, self.path)


def parse_schema(document: bytes, where: str) -> ResolvedSchema:
    """Check that records can be validated with a schema.

    Args:
        document: JSON of a resolved schema, as the Schema Registry returns it for the `xed-full` media types.
        where: File or address, for messages.

    Raises:
        SchemaError: Not JSON, not resolved, not in compatibility notation, or not a schema at all.
    """
    digest = hashlib.sha256(document).hexdigest()
    document = document.removeprefix(codecs.BOM_UTF8)  # as Windows writes it
    schema = _read(document, where)
    identifier = schema.get("$id")
    if not isinstance(identifier, str) or not identifier:
        raise SchemaError(f'{where}: the XDM schema has no "$id"; save it as the Schema Registry returns it')
    if fault := descriptor_fault(schema):
        raise SchemaError(f"{where}: {fault}")
    try:
        _refuse_unresolved(schema, where)
        _refuse_empty(schema, where)
        for path, node in _subschemas(schema):
            _check_node(path, node, where)
        hardened = harden(schema, unknown_fields="reject", integer_ranges=True)
        compile_schema(hardened)
    except SchemaError:
        raise
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        place = f" at #{pointer(error.instance_path)}" if isinstance(error, jsonschema_rs.ValidationError) else ""
        raise SchemaError(f"{where}: not a valid JSON Schema{place}: {reason}") from error
    tenant = schema.get("meta:tenantNamespace")
    return ResolvedSchema(
        document=document,
        id=identifier,
        version=str(schema.get("version", "1")),
        sha256=digest,
        title=str(schema.get("title") or identifier),
        where=where,
        is_event=_is_event(schema, hardened),
        tenant="_" + tenant.lstrip("_") if isinstance(tenant, str) and tenant else None,
        identities=tuple(identities(schema)),
    )


def compile_schema(hardened: dict[str, Any]) -> jsonschema_rs.Draft4Validator:
    """Compile a hardened schema: formats on, no network, patterns in linear time."""
    return jsonschema_rs.Draft4Validator(
        hardened, validate_formats=True, offline=True, pattern_options=jsonschema_rs.RegexOptions()
    )


def _read(document: bytes, where: str) -> dict[str, Any]:
    try:
        schema = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise SchemaError(
            f"{where}: the XDM schema is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    if not isinstance(schema, dict):
        raise SchemaError(f"{where}: the XDM schema is not a JSON object but of type {type(schema).__name__}")
    return schema


def _refuse_unresolved(schema: dict[str, Any], where: str) -> None:
    """Look for `$ref` and `allOf` everywhere but in names of fields and in sample values."""
    for path, node in _subschemas(schema):
        for keyword in ("$ref", "allOf"):
            if keyword not in node:
                continue
            place = f"#{pointer(path)}/{keyword}"
            target = node[keyword]
            if isinstance(target, str) and f"#{pointer(path)}/".startswith(target.rstrip("/") + "/"):
                raise SchemaError(
                    f"{where}: the XDM schema is recursive ({place} points to {target}); "
                    "records of it cannot be validated, so use a schema without this field"
                )
            raise SchemaError(
                f"{where}: the XDM schema is not resolved ({place}); "
                f"ask the Schema Registry for Accept: {FULL_MEDIA_TYPE}; version=1"
            )


def _refuse_empty(schema: dict[str, Any], where: str) -> None:
    if not isinstance(schema.get("properties"), dict) or not schema["properties"]:
        raise SchemaError(
            f'{where}: the XDM schema declares no "properties", so it says nothing about records; '
            f"ask the Schema Registry for Accept: {FULL_MEDIA_TYPE}; version=1"
        )


def _subschemas(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[list[str | int], dict[str, Any]]]:
    """Walk the places of a document that hold schemas, each with its path."""
    if not isinstance(node, dict):
        return
    yield list(path), node
    for keyword in ("properties", "patternProperties"):
        fields = node.get(keyword)
        if isinstance(fields, dict):
            for name, field in fields.items():
                yield from _subschemas(field, (*path, keyword, name))
    for keyword in ("items", "additionalItems", "additionalProperties", "not"):
        yield from _subschemas(node.get(keyword), (*path, keyword))
    for keyword in ("items", "anyOf", "oneOf"):
        branches = node.get(keyword)
        if isinstance(branches, list):
            for index, branch in enumerate(branches):
                yield from _subschemas(branch, (*path, keyword, index))


def _check_node(path: list[str | int], node: dict[str, Any], where: str) -> None:
    properties = node.get("properties", {})
    for name in properties:
        if name.startswith(_STANDARD_PREFIXES):
            raise SchemaError(
                f"{where}: field {name!r} at #{pointer(path)} is in standard notation, but records need "
                "compatibility notation (`_id`, `timestamp`); ask the Schema Registry for a xed media type: "
                f"{FULL_MEDIA_TYPE}; version=1"
            )
    # A branch of an alternative may require what its parent declares; an open object, what no one does.
    is_branch = "anyOf" in path or "oneOf" in path or "not" in path
    for name in () if is_branch or "additionalProperties" in node else node.get("required", ()):
        if properties and field_path(name, properties) is None:
            raise SchemaError(
                f"{where}: #{pointer(path)} requires the field {name!r} but does not declare it; "
                "no record could be valid"
            )
    for pattern in (*node.get("patternProperties", ()), *([node["pattern"]] if "pattern" in node else ())):
        try:
            compile_schema({"pattern": pattern})
        except ValueError as error:
            raise SchemaError(
                f"{where}: the pattern {pattern!r} at #{pointer(path)} cannot be used: it must be a regular expression "
                "of ECMA 262 that runs in linear time, so without look-around and back-references, and without large "
                "repetitions of large classes, such as \\p{L}{1,500}, for which there are minLength and maxLength"
            ) from error


def _is_event(schema: dict[str, Any], hardened: dict[str, Any]) -> bool:
    extends = schema.get("meta:extends")
    parents = [schema.get("meta:class"), *(extends if isinstance(extends, list) else ())]
    if any(parent in _TIME_SERIES for parent in parents):
        return True
    return {"_id", "timestamp"} <= set(hardened.get("required", ()))
