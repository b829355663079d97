"""What is known of each option, by name, and what to say of a value that does not fit: made from the declarations."""

from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic_core import ErrorDetails

from aep.mapping.entries import EntriesError
from pipelines.options.declarations import GROUPS
from pipelines.options.types import SECRET
from pipelines.options.yaml_files import describe

TEXT_BY_KEYS = "mapping of str"
"""Name of a type: what is written as a number stays as it is written."""

Kind = Literal["bool", "int", "float", "str", "list", "mapping"]


@dataclass(frozen=True)
class Option:
    """What is known of one option; made from its declaration above.

    Attributes:
        type: The type as a person reads it, as `list of str` or `native|file`.
        nullable: Whether null (not given) is a value.
        secret: Whether its value, or a part of it, may be secret and must not show in an error; its type says so.
    """

    name: str
    group: str
    field: str
    kind: Kind
    type: str
    nullable: bool
    secret: bool
    default: Any
    unit: str | None
    help: str


def describe_type(annotation: Any) -> tuple[Kind, str, bool]:
    """Turn an annotation into its kind, its name for users, and whether it may be null."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        known = [describe_type(arg) for arg in args if arg is not type(None)]
        return known[0][0], " or ".join([name for _, name, _ in known] + ["null"]), True
    if origin is Literal:
        return "str", "|".join(args), False
    if origin is tuple:
        return "list", f"list of {describe_type(args[0])[1]}", False
    if origin is dict:
        return "mapping", "mapping" if args[1] is Any else TEXT_BY_KEYS, False
    if origin is list:
        return "list", "list", False
    return annotation.__name__, annotation.__name__, False


def holds_secret(*parts: Any) -> bool:
    """Return whether an annotation, or its metadata, is marked as secret."""
    return any(part is SECRET or holds_secret(*get_args(part)) for part in parts)


def _options() -> dict[str, Option]:
    options = {}
    for group, (prefix, model) in GROUPS.items():
        for field, info in model.model_fields.items():
            kind, type_name, nullable = describe_type(info.annotation)
            extra = info.json_schema_extra
            unit = extra["unit"] if isinstance(extra, dict) else None
            options[prefix + field] = Option(
                name=prefix + field,
                group=group,
                field=field,
                kind=kind,
                type=type_name,
                nullable=nullable,
                secret=holds_secret(info.annotation, *info.metadata),
                default=info.default,
                unit=unit if isinstance(unit, str) else None,
                help=info.description or "",
            )
    return options


OPTIONS: dict[str, Option] = _options()


def explain(error: ErrorDetails, type_name: str, *, secret: bool = False) -> list[tuple[str | None, str]]:
    """Describe for the user what pydantic found wrong with a value of a type; a secret value is not shown.

    Returns:
        Sentences, each with the key of the mapping's entry that it is about, if it is about one.
    """
    kind, got = error["type"], describe(error["input"], secret=secret)
    if kind == "value_error":  # a check of ours, which words its message itself
        cause = error["ctx"]["error"]
        return list(cause.entries.items()) if isinstance(cause, EntriesError) else [(None, str(cause))]
    part = error["loc"][1] if len(error["loc"]) > 1 else None
    where = "" if part is None else f" in entry {part + 1}" if isinstance(part, int) else f" in {part}"
    if kind == "literal_error":
        values = type_name.removeprefix("list of ").replace("|", ", ")
        return [(None, f"expected one of {values}, got {got}{where}")]
    if kind.startswith(("greater_than", "less_than", "finite_number")):
        return [(None, f"{error['msg'].replace('Input should be', 'must be')}, got {got}")]
    return [(None if part is None else str(part), f"expected {type_name}, got {got}{where}")]
