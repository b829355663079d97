"""What a provision file declares.

The words are Adobe's, in snake case where they are keys of an API's body. Fields of field groups are declared by their
XDM types ("XDM field type constraints").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

TENANT_ID = "{TENANT_ID}"
"""Stands in names, pointers and paths for the tenant id of the organisation, which only the registry knows."""

CLASSES: Mapping[str, str] = {
    "profile": "https://ns.adobe.com/xdm/context/profile",
    "experienceevent": "https://ns.adobe.com/xdm/context/experienceevent",
}
"""Short names of the two classes that most schemas are of."""

STANDARD = "https://ns.adobe.com/"
"""How the `$id` of a resource begins that is in the registry already."""

XdmType = Literal[
    "string", "number", "long", "int", "short", "byte", "boolean", "date", "date-time", "object", "array", "map"
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class FieldSpec(_Model):
    """A field by its XDM type, and what its values must keep. `points: int` is short for `points: {type: int}`.

    Attributes:
        type: The XDM type.
        required: Whether the object that holds the field must have it.
        fields: Fields of an object.
        items: Items of an array.
        values: Type of the values of a map.
    """

    type: XdmType
    title: str | None = None
    description: str | None = None
    required: bool = False
    enum: list[str] | None = None
    pattern: str | None = None
    format: str | None = None
    min_length: int | None = Field(default=None, alias="minLength")
    max_length: int | None = Field(default=None, alias="maxLength")
    minimum: int | float | None = None
    maximum: int | float | None = None
    fields: dict[str, FieldSpec] = Field(default_factory=dict)
    items: FieldSpec | None = None
    values: Literal["string", "integer"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value


class FieldGroup(_Model):
    """A field group of the organisation.

    Attributes:
        title: Unique among all resources of the organisation.
        classes: That it is meant to extend: `profile`, `experienceevent`, or `$id`s.
        fields: One, the organisation's own `_{TENANT_ID}`, which holds the others.
        delete: Delete with `--prune`.
    """

    title: str
    description: str = ""
    classes: list[str] = Field(default_factory=list)
    fields: dict[str, FieldSpec] = Field(default_factory=dict)
    delete: bool = False


class IdentityField(_Model):
    """An identity descriptor.

    Attributes:
        field: JSON pointer as the descriptor has it, such as `/_{TENANT_ID}/loyalty/memberId`.
        namespace: Its code, such as `Email`.
        primary: Whether it says whom a record is about.
    """

    field: str
    namespace: str
    primary: bool = False


class Schema(_Model):
    """A schema: a class and field groups.

    Attributes:
        title: Unique among all resources of the organisation.
        class_: `profile`, `experienceevent`, or a `$id`.
        field_groups: Titles of those declared, and `$id`s of others.
        profile: Whether it takes part in the union, so that data of it can go to Profile.
        identities: Its identity descriptors.
        delete: Delete with `--prune`.
    """

    title: str
    description: str = ""
    class_: str | None = Field(default=None, alias="class")
    field_groups: list[str] = Field(default_factory=list)
    profile: bool = False
    identities: list[IdentityField] = Field(default_factory=list)
    delete: bool = False

    @property
    def class_id(self) -> str:
        """`$id` of the class."""
        return CLASSES.get(self.class_ or "", self.class_ or "")

    @property
    def parts_elsewhere(self) -> list[str]:
        """`$id`s of the class and of the field groups that are not declared here."""
        return [self.class_id, *(name for name in self.field_groups if name.startswith(STANDARD))]


class DataSetEntry(_Model):
    """A dataset.

    Attributes:
        name: It is found again by its name.
        schema_: Title of a declared schema.
        profile: Whether its records go to Profile.
        delete: Delete with its data, with `--prune`.
    """

    name: str
    description: str = ""
    schema_: str | None = Field(default=None, alias="schema")
    profile: bool = False
    delete: bool = False


class Connection(_Model):
    """A streaming connection.

    Attributes:
        name: It is found again by its name.
        api: `flow_service`, or `inlet` for the older API that made them.
        data_type: `xdm`, or `raw` for a dataflow with mappings.
        authentication_required: Whether requests need an access token.
        source_id: Names the source in messages; the name if not given.
        delete: Delete with `--prune`.
    """

    name: str
    api: Literal["flow_service", "inlet"] = "flow_service"
    data_type: Literal["xdm", "raw"] = "xdm"
    authentication_required: bool = False
    source_id: str | None = None
    delete: bool = False


class MappingEntry(_Model):
    """One mapping of raw data: an attribute, to an XDM path such as `person.name.firstName`."""

    source: str
    destination: str
    identity: bool = False


class Flow(_Model):
    """A dataflow from a streaming connection into a dataset; both must be declared.

    Attributes:
        name: It is found again by its name, and so are its source and target connection, which get the same.
        mappings: For raw data.
        delete: Delete with `--prune`.
    """

    name: str
    connection: str | None = None
    dataset: str | None = None
    mappings: list[MappingEntry] = Field(default_factory=list)
    delete: bool = False


class Segment(_Model):
    """A segment definition, which becomes an audience.

    Attributes:
        name: It is found again by its name.
        rule: In PQL, such as `homeAddress.country = "US"`.
        evaluation: `streaming`, as data arrive, or `batch`, once a day.
        delete: Delete with `--prune`.
    """

    name: str
    description: str = ""
    rule: str | None = None
    evaluation: Literal["streaming", "batch"] = "streaming"
    delete: bool = False


class Destination(_Model):
    """A destination to a data stream of Amazon Kinesis.

    Attributes:
        name: It is found again by its name, and so are the connections that it is made of, which get the same.
        stream, region: Where the stream is.
        access_key_id, secret_access_key: Secret references.
        marketing_actions: What the data are used for: `NAME`, or `core/NAME` or `custom/NAME` where both have it.
        audiences: Names or ids of segment definitions.
        attributes: Dotted paths in the union schema of profiles, such as `person.name.firstName`.
        include_names, include_timestamps: What records say of audiences besides their ids.
        enabled: Whether it exports.
        delete: Delete with `--prune`.
    """

    name: str
    description: str = ""
    stream: str | None = None
    region: str | None = None
    access_key_id: str | None = Field(default=None, repr=False)
    secret_access_key: str | None = Field(default=None, repr=False)
    marketing_actions: list[str] = Field(default_factory=list)
    audiences: list[str] = Field(default_factory=list)
    attributes: list[str] = Field(default_factory=list)
    include_names: bool = False
    include_timestamps: bool = False
    enabled: bool = True
    delete: bool = False


class RouteEntry(BaseModel):
    """A route to write: where it leads, and what else a route says, such as its topics, which is passed on.

    Attributes:
        flow: Name of a declared dataflow; or
        connection, dataset: Names of those declared, without a dataflow between them.
        payload: None for XDM entities on an `xdm` connection; that data is raw follows from the connection.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    name: str
    flow: str | None = None
    connection: str | None = None
    dataset: str | None = None
    payload: Literal["entity", "message", "raw"] | None = None


class Provision(_Model):
    """A whole file."""

    field_groups: list[FieldGroup] = Field(default_factory=list)
    schemas: list[Schema] = Field(default_factory=list)
    datasets: list[DataSetEntry] = Field(default_factory=list)
    connections: list[Connection] = Field(default_factory=list)
    flows: list[Flow] = Field(default_factory=list)
    segments: list[Segment] = Field(default_factory=list)
    destinations: list[Destination] = Field(default_factory=list)
    routes: list[RouteEntry] = Field(default_factory=list)

    def ends_of(self, route: RouteEntry) -> tuple[str, str]:
        """Return names of the connection and the dataset of a route that passed the checks."""
        flow = next((each for each in self.flows if each.name == route.flow), None)
        holder = flow or route
        return holder.connection or "", holder.dataset or ""

    def with_tenant(self, tenant: str) -> Provision:
        """Return the same with the tenant id in place of `{TENANT_ID}`, everywhere."""
        return Provision.model_validate(with_tenant(self.model_dump(by_alias=True, exclude_unset=True), tenant))


def with_tenant(value: Any, tenant: str) -> Any:
    """Return parsed YAML with the tenant id in place of `{TENANT_ID}`, in keys and texts."""
    if isinstance(value, str):
        return value.replace(TENANT_ID, tenant)
    if isinstance(value, dict):
        return {with_tenant(key, tenant): with_tenant(item, tenant) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(with_tenant(item, tenant) for item in value)
    return value


Path = tuple[str | int, ...]
"""Keys and indices that lead to a place in the file."""


class Problem(NamedTuple):
    """What must be fixed before anything is done: where in the file, and why."""

    path: Path
    text: str
