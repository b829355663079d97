"""Schemas, classes, field groups, data types and descriptors of the organisations, and the rules they must keep.

Sources: "Schema Registry API" (schemas, classes, field groups, descriptors, unions), "Schema Registry
troubleshooting guide" (texts of the refusals), "Ingest streaming record data" (what creation answers).
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from aep.xdm.compose import compose
from aep.xdm.schema import SchemaError
from emulator.state.errors import ApiError, bad_request
from emulator.state.repository import Repository
from emulator.state.schemas import load_schema
from emulator.state.standard_xdm import COMPONENTS, alternate_id
from emulator.state.store import Store

EXPERIENCE_EVENT = "https://ns.adobe.com/xdm/context/experienceevent"
TIME_SERIES = "https://ns.adobe.com/xdm/data/time-series"
IDENTITY = "xdm:descriptorIdentity"
# What a client sends and the registry decides itself.
_DECIDED = ("$id", "meta:altId", "version", "imsOrg", "meta:registryMetadata", "meta:resourceType", "meta:containerId")


def tenant_of(org_id: str) -> str:
    """Return the tenant id of an organisation: letters and digits of the part before its `@`."""
    return "".join(each for each in org_id.partition("@")[0].lower() if each.isalnum()) or "tenant"


class Registry:
    """All that the organisations have defined, besides the standard components."""

    def __init__(self, store: Store) -> None:
        self._resources = Repository(store, "registry")
        self._descriptors = Repository(store, "descriptor")
        self.revision = 0  # of everything: whatever was derived at another revision may be out of date

    def organisations(self) -> set[str]:
        """Return the organisations that have defined something."""
        return self._resources.organisations()

    def resources(self, org_id: str, container: str, resource_type: str) -> list[dict[str, Any]]:
        """Return the resources of a type in a container, `global` or `tenant`, in the order of their creation."""
        found = COMPONENTS.values() if container == "global" else [each for _, each in self._resources.of(org_id)]
        return [each for each in found if each["meta:resourceType"] == resource_type]

    def find(self, org_id: str, name: str) -> dict[str, Any] | None:
        """Return the standard or own resource of this `$id` or `meta:altId`."""
        found = COMPONENTS.get(name) or self._resources.get(org_id, name)
        if found is None:
            own = [each for _, each in self._resources.of(org_id)]
            found = next((each for each in (*COMPONENTS.values(), *own) if each["meta:altId"] == name), None)
        return found

    def resolved(self, org_id: str, resource: dict[str, Any]) -> dict[str, Any]:
        """Return a resource with all that it refers to, in compatibility notation.

        Raises:
            ApiError: It refers to something that does not exist, or contradicts it.
        """
        try:
            return compose(resource, lambda name: self.find(org_id, name))
        except SchemaError as error:
            raise bad_request(f"The resource cannot be resolved: {error}") from error

    def create(self, org_id: str, client_id: str, resource_type: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create a resource.

        Raises:
            ApiError: It breaks a rule.
        """
        tenant = tenant_of(org_id)
        now = _now_ms()
        resource_id = f"https://ns.adobe.com/{tenant}/{resource_type}/{secrets.token_hex(24)}"
        created = {
            "$id": resource_id,
            "meta:altId": alternate_id(resource_id),
            "meta:resourceType": resource_type,
            "version": "1.0",
            **{key: value for key, value in body.items() if key not in _DECIDED},
            "imsOrg": org_id,
            "meta:containerId": "tenant",
            "meta:tenantNamespace": f"_{tenant}",
            "meta:registryMetadata": {
                "repo:createDate": now,
                "repo:lastModifiedDate": now,
                "xdm:createdClientId": client_id,
                "xdm:lastModifiedClientId": client_id,
                "eTag": secrets.token_hex(16),
            },
        }
        return self._keep(org_id, created)

    def change(self, org_id: str, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        """Replace a resource by its next minor version.

        Raises:
            ApiError: The new one breaks a rule.
        """
        _check_shape(new)
        tags = set(old.get("meta:immutableTags", ()))
        new_tags = set(new.get("meta:immutableTags", ()))
        if not tags <= new_tags:
            raise bad_request("meta:immutableTags cannot be taken away")
        if "union" in new_tags - tags and not self.has_primary_identity(org_id, old):
            raise bad_request("To enable profile datasets the schema should be valid")
        minor = int(old["version"].partition(".")[2] or 0) + 1
        metadata = {**old["meta:registryMetadata"], "repo:lastModifiedDate": _now_ms(), "eTag": secrets.token_hex(16)}
        changed = {
            **{key: value for key, value in new.items() if key not in _DECIDED},
            **{key: old[key] for key in _DECIDED if key in old},
            "version": f"1.{minor}",
            "meta:registryMetadata": metadata,
        }
        kept = self._keep(org_id, changed)
        try:
            for _, other in self._resources.of(org_id):
                if kept["$id"] in other.get("meta:extends", ()):
                    self._check_usable(org_id, other)
        except ApiError:
            self._resources.put(org_id, old["$id"], old)
            raise
        return kept

    def delete(self, org_id: str, resource: dict[str, Any]) -> None:
        """Delete a resource and the descriptors of it.

        Raises:
            ApiError: Another resource is made of it.
        """
        resource_id = resource["$id"]
        for _, other in self._resources.of(org_id):
            if resource_id in other.get("meta:extends", ()):
                raise bad_request(f"{resource_id} is used by {other['$id']} and cannot be deleted")
        for descriptor in self.descriptors(org_id, resource_id):
            self._descriptors.remove(descriptor["@id"])
        self._resources.remove(resource_id)
        self.revision += 1

    def descriptors(self, org_id: str, schema_id: str | None = None) -> list[dict[str, Any]]:
        """Return the descriptors of an organisation, or those of one of its schemas."""
        found = [each for _, each in self._descriptors.of(org_id)]
        return [each for each in found if schema_id is None or each.get("xdm:sourceSchema") == schema_id]

    def descriptor(self, org_id: str, descriptor_id: str) -> dict[str, Any] | None:
        """Return the descriptor of this `@id`."""
        return self._descriptors.get(org_id, descriptor_id)

    def describe(self, org_id: str, body: dict[str, Any], descriptor_id: str | None = None) -> dict[str, Any]:
        """Create a descriptor, or replace the one of this `@id`.

        Raises:
            ApiError: It breaks a rule.
        """
        kind = body.get("@type")
        if not isinstance(kind, str) or not kind.startswith("xdm:"):
            raise bad_request("@type must name a type of descriptor, such as xdm:descriptorIdentity")
        schema = self.find(org_id, str(body.get("xdm:sourceSchema")))
        if schema is None:
            raise bad_request(f"xdm:sourceSchema {body.get('xdm:sourceSchema')!r} does not exist")
        descriptor_id = descriptor_id or secrets.token_hex(24)
        if kind == IDENTITY:
            self._check_identity(org_id, schema, body, descriptor_id)
        kept = {**body, "@id": descriptor_id, "meta:containerId": "tenant", "version": "1", "imsOrg": org_id}
        self._descriptors.put(org_id, descriptor_id, kept)
        self.revision += 1
        return kept

    def remove_descriptor(self, descriptor_id: str) -> None:
        self._descriptors.remove(descriptor_id)
        self.revision += 1

    def identities(self, org_id: str, schema_id: str) -> list[dict[str, Any]]:
        """Return the identity descriptors of a schema, the primary one first."""
        found = [each for each in self.descriptors(org_id, schema_id) if each["@type"] == IDENTITY]
        return sorted(found, key=lambda each: not each.get("xdm:isPrimary"))

    def has_primary_identity(self, org_id: str, schema: dict[str, Any]) -> bool:
        """Return whether records of a schema can identify a person: by a descriptor, or by an `identityMap`."""
        if any(each.get("xdm:isPrimary") for each in self.identities(org_id, schema["$id"])):
            return True
        return "identityMap" in self.resolved(org_id, schema).get("properties", {})

    def _check_identity(self, org_id: str, schema: dict[str, Any], body: dict[str, Any], descriptor_id: str) -> None:
        path = body.get("xdm:sourceProperty")
        if not isinstance(path, str) or not path.startswith("/") or path.endswith("/") or "/properties/" in path:
            raise bad_request("xdm:sourceProperty must begin with /, not end with it, and leave out properties")
        node: Any = self.resolved(org_id, schema)
        for step in path[1:].split("/"):
            node = node.get("properties", {}).get(step) if isinstance(node, dict) else None
        if node is None:
            raise bad_request(f"xdm:sourceProperty {path} is not a field of {schema['$id']}")
        if not isinstance(body.get("xdm:namespace"), (str, int)) or body["xdm:namespace"] == "":
            raise bad_request("xdm:namespace is required")
        if body.get("xdm:property", "xdm:code") not in ("xdm:code", "xdm:id"):
            raise bad_request("xdm:property must be xdm:code or xdm:id")
        others = [each for each in self.identities(org_id, schema["$id"]) if each["@id"] != descriptor_id]
        if body.get("xdm:isPrimary") and any(each.get("xdm:isPrimary") for each in others):
            raise bad_request(f"{schema['$id']} has a primary identity already")

    def _keep(self, org_id: str, resource: dict[str, Any]) -> dict[str, Any]:
        _check_shape(resource)
        self._check_title(org_id, resource)
        resource_type = resource["meta:resourceType"]
        if resource_type == "schemas":
            self._check_schema(org_id, resource)
        if resource_type != "datatypes":
            self._check_custom_fields(org_id, resource)
        resolved = self._check_usable(org_id, resource)
        extends = resolved.get("meta:extends", [])
        resource = {**resource, "meta:extends": extends, "meta:xdmType": "object"}
        if resource_type == "schemas":
            resource["meta:class"] = next(each for each in extends if self._is_class(org_id, each))
            resource.update({"meta:abstract": False, "meta:extensible": False})
            if TIME_SERIES in extends:
                resource["required"] = ["@id", "xdm:timestamp"]
        self._resources.put(org_id, resource["$id"], resource)
        self.revision += 1
        return resource

    def _check_usable(self, org_id: str, resource: dict[str, Any]) -> dict[str, Any]:
        """Resolve a resource and see that records can be validated with it."""
        resolved = self.resolved(org_id, resource)
        if resolved.get("properties"):
            try:
                load_schema(resolved, resource["$id"])
            except ValueError as error:
                raise bad_request(str(error)) from error
        return resolved

    def _check_title(self, org_id: str, resource: dict[str, Any]) -> None:
        title = resource.get("title")
        if not isinstance(title, str) or not title.strip():
            raise bad_request("A title is required")
        for _, other in self._resources.of(org_id):
            if other["title"] == title and other["$id"] != resource["$id"]:
                raise bad_request(f"Title must be unique. An object {other['$id']} already exists with the same title.")

    def _check_schema(self, org_id: str, schema: dict[str, Any]) -> None:
        references = [each["$ref"] for each in schema.get("allOf", ()) if "$ref" in each]
        classes = [each for each in references if self._is_class(org_id, each)]
        if len(classes) != 1:
            raise bad_request(f"allOf must reference one class, not {len(classes)}")

    def _is_class(self, org_id: str, name: str) -> bool:
        found = self.find(org_id, name)
        return found is not None and found["meta:resourceType"] == "classes"

    def _check_custom_fields(self, org_id: str, resource: dict[str, Any]) -> None:
        """Check that a resource declares fields under its tenant's field only, at the root or in standard objects."""
        own = [each for each in resource.get("allOf", ()) if each.get("$ref", "#").startswith("#")]
        namespace = f"_{tenant_of(org_id)}"
        for name, field in self.resolved(org_id, {**resource, "allOf": own}).get("properties", {}).items():
            if name != namespace and not _holds(field, namespace):
                raise bad_request(f"For custom fields, you must use a top level field named {namespace} (found {name})")


def _check_shape(resource: dict[str, Any]) -> None:
    """Check the members that the registry itself looks at."""
    branches = resource.get("allOf", [])
    if not isinstance(branches, list) or not all(isinstance(each, dict) for each in branches):
        raise bad_request("allOf must be a list of objects")
    if not all(isinstance(each.get("$ref", ""), str) for each in branches):
        raise bad_request("allOf: each $ref must be a string")
    tags = resource.get("meta:immutableTags", [])
    if not isinstance(tags, list) or not all(isinstance(each, str) for each in tags):
        raise bad_request("meta:immutableTags must be a list of strings")


def _holds(field: Any, namespace: str) -> bool:
    """Return whether an object or array contains a field of this name."""
    if not isinstance(field, dict):
        return False
    fields = field.get("properties", {})
    inner = [*fields.values(), field.get("items")]
    return namespace in fields or any(_holds(each, namespace) for each in inner)


def _now_ms() -> int:
    return int(time.time() * 1000)
