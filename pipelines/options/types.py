"""Types of option values that need more than Python's own: what is accepted, and why the rest is refused.

Each check takes a value and returns it, or raises ValueError with a sentence for the person who wrote it.
The sentence never repeats a value that may be secret.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, ValidationInfo
from pydantic_core import PydanticUseDefault

from aep.http import secrets
from aep.ingestion.envelope import is_inlet_url
from aep.mapping.conditions import Condition, compile_conditions
from aep.mapping.entries import EntriesError
from aep.mapping.field_map import FieldMap, compile_map
from aep.mapping.ids import OFFSET
from aep.mapping.json_patch import Patch, PatchDialect, compile_patch
from aep.mapping.transform import check_reference
from aep.mapping.upserts import operations_fault
from aep.xdm.pointers import is_pointer
from transforms.records.stages import DeadLetterStage
from transforms.sinks.places import topic_of

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Statuses with a treatment of their own, which sending the same request again would only delay.
_NEVER_TRANSIENT = {
    400: "the batch is halved to find the record",
    401: "the token is refreshed once, then the run stops",
    403: "the token is refreshed once, then the run stops",
    413: "the batch is halved until it passes",
    422: "the batch is halved to find the record",
}


def check_secret_reference(value: str) -> str:
    """Accept references to secrets only, because options travel with the job and show in its UI."""
    if not secrets.is_well_formed(value):
        raise ValueError(f"a secret must be given by reference: {secrets.FORMS} (the value is not shown)")
    return value


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """Refuse malformed headers, those that carry credentials or belong to the client, and references to secrets.

    References are resolved on the worker, and headers are not: they travel with the job.
    """
    problems = {}
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            problems[name] = f"{name!r} is not a valid HTTP header name"
        elif fault := _header_fault(value):
            problems[name] = f"the value of {name} {fault}"
        elif secrets.is_reference(value):
            problems[name] = (
                f"the value of {name} looks like a reference to a secret, and would be sent as it stands: headers take "
                "none"
            )
        elif name.lower() in ("authorization", "cookie"):
            problems[name] = f"{name} would carry a secret in plain: use aep_auth"
        elif name.lower() == "proxy-authorization":
            problems[name] = f"{name} would carry a secret in plain: use aep_proxy_user and aep_proxy_password"
        elif name.lower() in ("content-type", "content-length", "content-encoding", "host"):
            problems[name] = f"{name} is set by the client itself"
    if problems:
        raise EntriesError(problems)
    return headers


def check_header_value(value: str) -> str:
    """Refuse what can't be sent as the value of an HTTP header."""
    if fault := _header_fault(value):
        raise ValueError(f"{fault}: it is sent in an HTTP header")
    return value


def _header_fault(value: str) -> str | None:
    if re.search(r"[\r\n\0]", value):
        return "has a line break or NUL"
    if value[:1].isspace():
        return "starts with a blank"
    return None if all(ord(char) < 256 for char in value) else "has a character beyond Latin-1"


def check_url(value: str, *, login: str = "aep_auth") -> str:
    """Accept an http or https address without credentials, query or fragment."""
    try:
        url = urlsplit(value)
        known = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is not a number, a broken IPv6 address
        known = False
    if not known:
        raise ValueError("must be an address like https://HOST/PATH")
    if url.username or url.password:
        raise ValueError(f"must not contain a user name or password: use {login}")
    if url.query or url.fragment or re.search(r"\s", value):
        raise ValueError("must not have a query, a fragment or blanks")
    return value


def check_proxy_url(value: str, *, login: str = "use aep_proxy_user and aep_proxy_password") -> str:
    """Accept the address of an HTTP proxy: a host and a port, without credentials."""
    try:
        url = urlsplit(value)
        known = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is not a number, a broken IPv6 address
        known = False
    if known and (url.username is not None or url.password is not None):
        raise ValueError(f"must not contain a user name or password: {login}")
    if not known or url.path not in ("", "/") or url.query or url.fragment or re.search(r"\s", value):
        raise ValueError("must be http://HOST:PORT, or https://HOST:PORT for a proxy that is itself reached by TLS")
    return value


def check_proxy_user(value: str) -> str:
    """Accept a user name as HTTP's Basic authentication takes it (RFC 7617, 2)."""
    if re.search(r"[:\x00-\x1f\x7f]", value):
        raise ValueError("must not have a colon or a control character: the password has an option of its own")
    return value


def check_inlet_url(value: str) -> str:
    """Accept the inletUrl of a streaming connection, with or without `batch/` (Streaming Ingestion API)."""
    check_url(value)
    if not is_inlet_url(value):
        raise ValueError("must be the inletUrl of a streaming connection: https://HOST/collection/INLET_ID")
    return value


def iso_time(value: str) -> datetime:
    """Read an ISO 8601 time that has an offset; `Z` is one (Python 3.10 would not take it)."""
    try:
        time = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", value))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError("an ISO 8601 time with its offset, such as 2026-01-31T08:00:00+00:00")
    return time


def seconds_of(value: str | None) -> float | None:
    """Return the seconds since 1970 of a time, where one is given."""
    return None if value is None else iso_time(value).timestamp()


def check_time(value: str) -> str:
    """Accept a time with its offset from UTC."""
    try:
        iso_time(value)
    except ValueError as error:
        raise ValueError(f"must be {error}") from None
    return value


def check_folder(value: str) -> str:
    """Accept a folder, which a topic is not."""
    if topic_of(value) is not None:
        raise ValueError("must be a folder: a topic has an option of its own, which ends in _topic")
    return value


def check_pointers(pointers: tuple[str, ...]) -> tuple[str, ...]:
    """Accept JSON pointers (RFC 6901) to a field."""
    for pointer in pointers:
        if not pointer or not is_pointer(pointer):
            raise ValueError(f"{pointer!r} is not a JSON pointer: write /_acme/memberId")
    return pointers


def check_id_rule(rule: tuple[str, ...]) -> tuple[str, ...]:
    """Accept what an `_id` is made of: `offset`, or JSON pointers to fields."""
    if OFFSET in rule and len(rule) > 1:
        raise ValueError(f"{OFFSET} must be alone: topic, partition and offset need no field besides them")
    return rule if rule == (OFFSET,) else check_pointers(rule)


def check_operations(operations: dict[str, str]) -> dict[str, str]:
    """Accept `header.operations` of an upsert (Streaming upserts)."""
    if fault := operations_fault(operations):
        raise ValueError(fault)
    return operations


def compile_mapping(value: Any, dialect: PatchDialect) -> Any:
    """Make a patch of a list of operations, and a map of a mapping of fields; a file's path stays as it is.

    They are told apart by their form, so that a route cannot have both.
    """
    if isinstance(value, list):
        return compile_patch(value, dialect)
    if isinstance(value, dict):
        return compile_map(value)
    if value is None or isinstance(value, str | Patch | FieldMap):
        return value
    raise ValueError("must be a list of JSON Patch operations, a mapping of fields to sources, or a file with either")


def _compile_mapping(value: Any, info: ValidationInfo, dialect: str = "map_patch_dialect") -> Any:
    # The dialect is declared before the mapping. One that is wrong was refused, and is not among the data.
    if dialect not in info.data:
        raise PydanticUseDefault
    return compile_mapping(value, info.data[dialect])


def _check_mapping(value: Any, info: ValidationInfo) -> Any:
    """Return a mapping as it was written, after a look at whether it can be compiled."""
    _compile_mapping(value, info, "patch_dialect")
    return value


def compile_when(value: Any) -> Any:
    """Make conditions of a mapping of JSON pointers to values."""
    if isinstance(value, tuple):
        return value
    if not isinstance(value, dict):
        raise ValueError("must be a mapping of JSON pointers to values, such as {/eventType: [commerce.purchases]}")
    return compile_conditions(value)


def check_sha256(digest: str) -> str:
    """Accept a digest as sha256sum writes it."""
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", digest):
        raise ValueError(f"{digest!r} is not a SHA-256: 64 hexadecimal digits, as sha256sum FILE prints")
    return digest


def check_retry_statuses(statuses: tuple[int, ...]) -> tuple[int, ...]:
    """Accept HTTP statuses of errors for which the same request is worth sending again."""
    for status in statuses:
        if not 400 <= status <= 599:
            raise ValueError(f"{status} is not an HTTP status of an error (400 to 599)")
        if reason := _NEVER_TRANSIENT.get(status):
            raise ValueError(f"{status} can't be retried as it is: {reason}")
    return statuses


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_files(value: Any) -> Any:
    """Return one file as a list of it, none as an empty list: the option took one file before it took several."""
    if value is None or isinstance(value, str):
        return () if value is None else (value,)
    return _as_tuple(value)


def _as_strings(value: Any) -> Any:
    """Allow unquoted numbers and booleans in a mapping whose values are strings (fetch.min.bytes: 1)."""
    if not isinstance(value, Mapping):
        return value
    return {key: _scalar_text(item) for key, item in value.items()}


def _scalar_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class _Secret:
    """Marks a type whose values, or a part of them, may be secret: they are not shown in errors."""


SECRET = _Secret()

Strings = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Files = Annotated[tuple[str, ...], BeforeValidator(_as_files)]
StringMap = Annotated[dict[str, str], BeforeValidator(_as_strings)]
SecretReference = Annotated[str, AfterValidator(check_secret_reference), SECRET]
Sha256 = Annotated[str, AfterValidator(check_sha256)]
Url = Annotated[str, AfterValidator(check_url)]
ProxyUrl = Annotated[str, AfterValidator(check_proxy_url), SECRET]
ProxyUser = Annotated[str, AfterValidator(check_proxy_user)]
InletUrl = Annotated[str, AfterValidator(check_inlet_url)]
Pointers = Annotated[Strings, AfterValidator(check_pointers)]
IdRule = Annotated[Strings, AfterValidator(check_id_rule)]
Operations = Annotated[StringMap, AfterValidator(check_operations)]
RecordMapping = Annotated[InstanceOf[Patch] | InstanceOf[FieldMap] | str | None, BeforeValidator(_compile_mapping)]
WrittenMapping = Annotated[str | list[Any] | dict[str, Any] | None, BeforeValidator(_check_mapping)]
TransformReference = Annotated[str, AfterValidator(check_reference)]
When = Annotated[tuple[InstanceOf[Condition], ...], BeforeValidator(compile_when)]
Time = Annotated[str, AfterValidator(check_time)]
Folder = Annotated[str, AfterValidator(check_folder)]
Stages = Annotated[tuple[DeadLetterStage, ...], BeforeValidator(_as_tuple)]
Statuses = Annotated[tuple[int, ...], BeforeValidator(_as_tuple), AfterValidator(check_retry_statuses)]
Headers = Annotated[StringMap, AfterValidator(check_headers), SECRET]
HeaderValue = Annotated[str, AfterValidator(check_header_value)]
Count = Annotated[int, Field(gt=0)]
Port = Annotated[int, Field(ge=0, le=65_535)]
# No more than clocks, sockets and locks take: 30 years.
Seconds = Annotated[float, Field(gt=0, le=1_000_000_000)]
Window = Annotated[float, Field(ge=0, le=1_000_000_000)]
Share = Annotated[float, Field(gt=0, lt=1)]
