"""The steps of a plan: what is to be done with each object, or why nothing is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from aep.provision.model import (
    Connection,
    DataSetEntry,
    Destination,
    FieldGroup,
    Flow,
    IdentityField,
    Path,
    Problem,
    Schema,
    Segment,
)

_ALONE = "left alone: change it in AEP, or in this file"


class Action(Enum):
    """What becomes of an object."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    RIGHT = "right"
    DIFFERS = "differs"
    KEPT = "kept"  # to be deleted, but that was not asked for


class CreateFieldGroup(NamedTuple):
    """Creates a field group."""

    entry: FieldGroup


class PatchFieldGroup(NamedTuple):
    """Adds fields to a field group by a JSON Patch."""

    group_id: str
    operations: tuple[Mapping[str, Any], ...]


class CreateSchema(NamedTuple):
    """Creates a schema."""

    entry: Schema


class AddFieldGroups(NamedTuple):
    """Adds field groups, by title or `$id`, to a schema."""

    schema_id: str
    names: tuple[str, ...]


class CreateIdentity(NamedTuple):
    """Describes a field of a schema, by its title, as an identity."""

    schema: str
    identity: IdentityField


class EnableSchema(NamedTuple):
    """Lets a schema take part in the union, for good."""

    schema_id: str


class CreateDataSet(NamedTuple):
    """Creates a dataset."""

    entry: DataSetEntry


class EnableDataSet(NamedTuple):
    """Sends the records of a dataset to Profile from now on."""

    dataset_id: str


class CreateConnection(NamedTuple):
    """Creates a streaming connection, by either API."""

    entry: Connection


class CreateSource(NamedTuple):
    """Creates the source connection of a dataflow."""

    entry: Flow


class CreateTarget(NamedTuple):
    """Creates the target connection of a dataflow."""

    entry: Flow


class CreateFlow(NamedTuple):
    """Creates the mapping set of a dataflow, if it has one, and the dataflow."""

    entry: Flow


class CreateSegment(NamedTuple):
    """Creates a segment definition."""

    entry: Segment


class ChangeSegment(NamedTuple):
    """Changes rule, description and evaluation of a segment definition; `kept` is what of it is to stay."""

    segment_id: str
    entry: Segment
    kept: Mapping[str, Any]


class Part(Enum):
    """What a destination is made of, in the order of its creation; the values are kinds of steps."""

    STORE = "Profile connection"
    SOURCE = "Profile source"
    STREAM = "Kinesis connection"
    TARGET = "Kinesis target"
    FLOW = "destination"


class CreatePart(NamedTuple):
    """Creates one of the five objects of a destination."""

    part: Part
    entry: Destination


class RotateCredentials(NamedTuple):
    """Sends the credentials of a base connection to Kinesis again."""

    connection_id: str
    entry: Destination


class ChangeStreamTarget(NamedTuple):
    """Changes the stream and the options of a target connection."""

    target_id: str
    entry: Destination


class AudienceToActivate(NamedTuple):
    """An audience by the id of its segment definition, or by the name of one that is created before."""

    name: str
    id: str | None
    description: str = ""


class Activate(NamedTuple):
    """Makes a destination export these audiences and attributes, and no others."""

    name: str
    audiences: tuple[AudienceToActivate, ...]
    attributes: tuple[str, ...]
    actions: tuple[str, ...]


class SetState(NamedTuple):
    """Enables or disables a destination, by its name."""

    name: str
    enabled: bool


class Delete(NamedTuple):
    """Deletes an object by its id, or first another one and then it."""

    ids: tuple[tuple[str, str], ...]  # kind and id, in this order


Work = (
    CreateFieldGroup
    | PatchFieldGroup
    | CreateSchema
    | AddFieldGroups
    | CreateIdentity
    | EnableSchema
    | CreateDataSet
    | EnableDataSet
    | CreateConnection
    | CreateSource
    | CreateTarget
    | CreateFlow
    | CreateSegment
    | ChangeSegment
    | CreatePart
    | RotateCredentials
    | ChangeStreamTarget
    | Activate
    | SetState
    | Delete
)


@dataclass(frozen=True)
class Step:
    """What is to be done with an object, or why nothing is.

    Attributes:
        kind: Kind of the object, as people say it: `field group`, `schema`, `identity`, `dataset`, ...
        name: Its title or name.
        action: What becomes of it.
        reasons: Why, or what of it.
        work: To be carried out; None if there is nothing to do.
    """

    kind: str
    name: str
    action: Action
    reasons: tuple[str, ...] = ()
    work: Work | None = None


@dataclass
class Plan:
    """The steps in the order in which they are to be done, and the ids of what is there.

    Attributes:
        steps: One or more for each object.
        ids: (kind, name) to id.
        problems: What must be fixed first.
    """

    steps: list[Step] = field(default_factory=list)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def work(self) -> list[Step]:
        """The steps that change something."""
        return [step for step in self.steps if step.work is not None]


def settle(plan: Plan, kind: str, name: str, notes: Sequence[str], *, changed: bool = False) -> None:
    """Add the row of an existing object: it differs, or matches unless a change of it has its own row."""
    if notes:
        plan.steps.append(Step(kind, name, Action.DIFFERS, (*notes, _ALONE)))
    elif not changed:
        plan.steps.append(Step(kind, name, Action.RIGHT))


def ambiguous(kind: str, name: str, ids: Iterable[object], path: Path) -> Problem:
    """Return the problem that several objects have the name of one entry."""
    found = [str(each) for each in ids]
    text = f"name: {len(found)} {kind} are called {name} ({', '.join(found)}): rename the others"
    return Problem((*path, "name"), text)


def text_notes(found: Mapping[str, Any], description: str) -> list[str]:
    """Return what differs in what is there for people to read."""
    return ["has another description"] if description and found.get("description") != description else []
