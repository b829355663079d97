"""What the Schema Registry shows of a resource for each `Accept` header. Pure functions.

Sources: "Schema Registry API: getting started" (media types), "Schemas endpoint", "Descriptors endpoint" (xdm media
types), and for refusals the Schema Registry's OpenAPI document (XDM-1006 to XDM-1009, 406 for another version). The
older troubleshooting guide answers 406 where the document says 400; the newer one is followed. The `xdm` media types
of resources, which aepp asks for, are those of `xed` in standard notation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple
from uuid import uuid4

from emulator.api.filters import matching
from emulator.api.numbers import is_whole_number
from emulator.state.errors import ApiError, bad_request

MAX_PAGE = 300
LIST_TYPES = frozenset(["xed-id", "xed"])
LOOKUP_TYPES = frozenset(["xed", "xed-full", "xed-notext", "xed-full-notext", "xed-full-desc", "xed-deprecatefield"])
DESCRIPTOR_LIST_TYPES = frozenset(["xdm-id", "xdm-link", "xdm", "xdm-v2"])
DESCRIPTOR_TYPES = frozenset(["xdm"])
UNRESOLVED_TYPES = frozenset(["xed", "xed-notext"])

_ACCEPT = re.compile(
    r"application/vnd\.adobe\.(?P<name>(xed|xdm)(-[a-z0-9]+)*)\+json\s*(;\s*version=(?P<version>\d+(\.\d+)*))?\s*"
)
_TEXTS = ("title", "description", "meta:enum")


class MediaType(NamedTuple):
    """What an `Accept` header asks for.

    Attributes:
        name: `xed-full` and the like.
        version: The version, if it names one.
        standard: It asked for standard notation (`xdm:timestamp`), as `xdm-full` and the like.
    """

    name: str
    version: str | None
    standard: bool = False


def media_type(accept: str, known: frozenset[str], code: str) -> MediaType:
    """Read an `Accept` header.

    Args:
        accept: The header, "" if there is none.
        known: The names that the call knows.
        code: The error code of the call for a header it cannot use, such as `XDM-1006-400`.

    Raises:
        ApiError: None of the media types is known.
    """
    for part in accept.split(","):
        match = _ACCEPT.fullmatch(part.strip())
        if match is None:
            continue
        if match["name"] in known:
            return MediaType(match["name"], match["version"])
        name = match["name"].replace("xdm", "xed", 1)
        if name in known:
            return MediaType(name, match["version"], standard=True)
    wanted = ", ".join(f"application/vnd.adobe.{name}+json" for name in sorted(known))
    raise registry_error(code, "Accept header invalid", f"Accept header {accept!r} is invalid; supply one of {wanted}")


def registry_error(code: str, title: str, detail: str) -> ApiError:
    """Return an error in the form of the OpenAPI document; the status ends the code."""
    status = int(code.rsplit("-", 1)[1])
    return ApiError(
        status,
        {
            "type": f"http://ns.adobe.com/aep/errors/{code}",
            "title": title,
            "status": status,
            "report": {
                "registryRequestId": str(uuid4()),
                "timestamp": datetime.now(timezone.utc).strftime("%m-%d-%Y %H:%M:%S"),
                "detailed-message": detail,
                "sub-errors": [],
            },
            "detail": detail,
        },
    )


def not_found(name: str, version: str = "1") -> ApiError:
    """Return the refusal of a resource that does not exist."""
    detail = f"Requested resource {name} with version {version} is not found"
    return registry_error("XDM-1012-404", "Resource Not Found", detail)


def check_version(wanted: MediaType, resource: dict[str, Any]) -> None:
    """See that a lookup names a version, and one that there is.

    Raises:
        ApiError: It does not.
    """
    if wanted.version is None:
        raise bad_request("version must be supplied in the accept header.")
    if wanted.version not in ("1", resource["version"], f"{resource['version']}.0"):
        raise ApiError(
            406,
            {
                "type": "/placeholder/type/uri",
                "status": 406,
                "title": "NotAcceptableError",
                "detail": f"Version {wanted.version} of {resource['$id']} is not available",
            },
        )


def shown(
    resource: dict[str, Any],
    wanted: MediaType,
    resolve: Callable[[], dict[str, Any]],
    descriptors: Callable[[], list[dict[str, Any]]],
) -> dict[str, Any]:
    found = resource if wanted.name in UNRESOLVED_TYPES else resolve()
    if wanted.standard:
        found = standard_notation(found)
    if wanted.name == "xed-full-desc":
        return {**found, "meta:descriptors": descriptors()}
    return without_texts(found) if wanted.name.endswith("-notext") else found


def standard_notation(node: Any) -> Any:
    """Return a schema with the standard names of its fields, from `meta:xdmField`."""
    if isinstance(node, list):
        return [standard_notation(each) for each in node]
    if not isinstance(node, dict):
        return node
    renamed = {key: standard_notation(value) for key, value in node.items() if key not in ("properties", "required")}
    renamed.pop("meta:xdmField", None)
    if "properties" in node:
        fields = dict(_standard_fields(node["properties"]))
        renamed["properties"] = {name: standard_notation(field) for name, field in fields.items()}
        names = {own: field.get("meta:xdmField", own) for own, field in node["properties"].items()}
        if "required" in node:
            renamed["required"] = [names.get(each, each) for each in node["required"]]
    elif "required" in node:
        renamed["required"] = node["required"]
    return renamed


def _standard_fields(properties: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield fields by their standard names; those of objects that only compatibility notation has come out of them."""
    for name, field in properties.items():
        if field.get("meta:xedConverted"):
            yield from _standard_fields(field["properties"])
        else:
            yield field.get("meta:xdmField", name), field


def without_texts(node: Any) -> Any:
    """Return a schema without the titles, descriptions and labels of its fields; a field may have such a
    name itself.
    """
    if isinstance(node, list):
        return [without_texts(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: without_texts(field) for name, field in value.items()}
        if key in ("properties", "definitions") and isinstance(value, dict)
        else without_texts(value)
        for key, value in node.items()
        if key not in _TEXTS
    }


def in_list(resource: dict[str, Any], wanted: MediaType) -> dict[str, Any]:
    if wanted.name == "xed":
        return resource
    return {key: resource[key] for key in ("$id", "meta:altId", "version", "title")}


def page(items: Sequence[dict[str, Any]], query: Any, path: str, key: str) -> tuple[list[dict[str, Any]], Any, Any]:
    """Filter, sort and cut a list by the parameters `property`, `orderby`, `start` and `limit`.

    Args:
        items: All resources.
        query: The parameters.
        path: Address of the list, for the link to the next page.
        key: Name of the id of an item; `start` of the next page is such an id.

    Returns:
        The items of the page, its `_page` and its `_links`.

    Raises:
        ApiError: A `property` cannot be read.
    """
    try:
        found = matching(items, query.getlist("property"))
    except ValueError as error:
        raise bad_request(str(error)) from error
    order = query.get("orderby", "updated")
    name = order.lstrip("+- ")
    if name != "updated":
        found.sort(key=lambda each: str(each.get(name, "")), reverse=order.startswith("-"))
    text = query.get("limit", "")
    limit = min(int(text), MAX_PAGE) if is_whole_number(text) and int(text) else MAX_PAGE
    start = query.get("start")
    first = next((number for number, each in enumerate(found) if each[key] == start), 0)
    cut = found[first : first + limit]
    following = found[first + limit][key] if first + limit < len(found) else None
    links = {"next": {"href": f"{path}?start={following}&orderby={order}&limit={limit}"}} if following else {}
    return cut, {"orderby": order, "next": following, "count": len(cut)}, links
