"""Error bodies of Flow Service.

Sources: "Destinations API" (OpenAPI: 400 without a valid spec id, 404, 412, 422) and "Flow Service error messages"
(codes, titles and texts). The JSON around the codes is not published: `code` and `title` beside the documented
`errorMessage` and `errorDetails` are ours.
"""

from __future__ import annotations

from typing import Any

from emulator.state.errors import ApiError

_OPERATIONS = ("add", "replace", "remove", "test")


def refused(status: int, message: str) -> ApiError:
    """Make a refusal that Adobe documents no text for."""
    return ApiError(status, {"errorMessage": message})


def coded(code: str, message: str, title: str = "Invalid request") -> ApiError:
    """Make a refusal with a code of Flow Service, such as `1414-400`, which ends in its HTTP status."""
    body = {"code": code, "title": title, "errorMessage": message, "errorDetails": message}
    return ApiError(int(code.partition("-")[2]), body)


def not_found(kind: str, object_id: str) -> ApiError:
    """Make the 404 of an object that is looked up, such as `flows not found with id = [...]`."""
    text = f"{kind} not found with id = [{object_id}]"
    return ApiError(404, {"errorMessage": text, "errorDetails": text})


def reference_not_found(kind: str, object_id: object) -> ApiError:
    """Make the refusal of a body that names an object that does not exist."""
    text = f"The requested {kind} resource {object_id} is not found. Verify the resource ID before trying again."
    return coded("1439-400", text, "Resource not found")


def stale(supplied: str, current: str) -> ApiError:
    """Make the 412 of a change that supplies another etag than the current one."""
    text = f"Supplied version=[{supplied}] does not match the current version on entity=[{current}]"
    return ApiError(412, {"errorMessage": text, "errorDetails": text})


def invalid_spec() -> ApiError:
    """Make the 400 of a specification that is missing or unknown."""
    return ApiError(400, {"message": "Please provide a valid spec id"})


def missing_field(name: object) -> ApiError:
    """Make the refusal of a JSON Patch that leads nowhere or lacks a member."""
    text = f'An error has occurred while validating patch instructions: Missing field "{name}".'
    return coded("1455-400", text)


def unsupported(operation: str) -> ApiError:
    text = (
        f"Unsupported operation '{operation}' received. Please use one of the supported operation types and try again."
    )
    return coded("1434-400", text)


def empty_body() -> ApiError:
    """Make the refusal of a request without content."""
    text = "The request body cannot be null or empty. Please provide a request body and try again."
    return coded("1405-400", text)


def check_operations(operations: Any) -> None:
    """Check a JSON Patch as far as that needs no document.

    Raises:
        ApiError: It is empty, or an operation lacks a member or is not supported.
    """
    if not operations:
        raise empty_body()
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        raise refused(400, "a JSON Patch is a list of operations")
    for operation in operations:
        for name in ("op", "path"):
            if name not in operation:
                raise missing_field(name)
        kind = str(operation["op"])
        if kind.lower() not in _OPERATIONS:
            raise unsupported(kind)
        if kind.lower() != "remove" and "value" not in operation:
            raise missing_field("value")


def text_of(body: dict[str, Any], name: str) -> str:
    """Return a member of a body that must be text.

    Raises:
        ApiError: It is missing, empty or of another type.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise refused(400, f"{name} is required")
    return value


def spec_id(body: dict[str, Any], name: str) -> str:
    """Return the id of a body's specification; `name` is `connectionSpec` or `flowSpec`.

    Raises:
        ApiError: It names none.
    """
    spec = body.get(name)
    if not isinstance(spec, dict) or not isinstance(spec.get("id"), str):
        raise invalid_spec()
    return str(spec["id"])
