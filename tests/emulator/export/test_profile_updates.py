"""Random histories of profiles against a model that knows no tables: each change is exported once, no other is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from emulator.export.profile_updates import ProfileUpdates
from emulator.export.queue import ExportQueue
from emulator.state.destinations import DESTINATION_FLOW, Destinations
from emulator.state.identities import Named
from emulator.state.memberships import MembershipStore
from emulator.state.profile_store import Operation, ProfileStore, Source
from emulator.state.repository import Repository
from emulator.state.segments import Segments
from emulator.state.store import Store

ORG = "ACME@AdobeOrg"
RULES = {
    "gold": 'tier = "gold"',
    "buyers": 'exists E from xEvent where E.total > 5 and tier = "gold"',
    "quiet": "not (exists E from xEvent where E.total > 5)",
}
MAPPED = ("gold", "buyers")


@dataclass(frozen=True)
class Step:
    """A record or an event; the first identity is primary."""

    identities: tuple[str, ...]
    entity: Mapping[str, Any]
    operation: Operation | None  # None for an event


IDENTITIES = st.lists(st.sampled_from("abcd"), min_size=1, max_size=2, unique=True).map(tuple)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "tier": st.sampled_from(["gold", "silver"]),
        "city": st.sampled_from(["Rome", "Paris"]),
        "other": st.integers(0, 1),
    },
)
EVENTS = st.fixed_dictionaries({"total": st.integers(4, 7)})
OPERATIONS: st.SearchStrategy[Operation] = st.sampled_from(["create", "create", "merge", "delete"])
STEPS = st.lists(
    st.one_of(st.builds(Step, IDENTITIES, RECORDS, OPERATIONS), st.builds(Step, IDENTITIES, EVENTS, st.none())),
    max_size=12,
)


@dataclass
class Person:
    """A profile of the model."""

    identities: set[str] = field(default_factory=set)
    statuses: dict[str, str] = field(default_factory=dict)
    bought: set[str] = field(default_factory=set)  # segments whose condition an event has met

    def absorb(self, other: Person) -> None:
        self.identities |= other.identities
        self.bought |= other.bought
        for name, status in other.statuses.items():
            if self.statuses.get(name) != "realized":
                self.statuses[name] = status


class Model:
    """What must be exported, by going through all that was ever sent."""

    def __init__(self) -> None:
        self.people: list[Person] = []
        self.records: dict[str, dict[str, Any]] = {}  # by primary identity, the one written last at the end

    def entity(self, identities: set[str]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for primary, record in self.records.items():
            if primary in identities:
                merged.update(record)
        return merged

    def take(self, step: Step) -> dict[str, Any] | None:
        """Return the record that a step has exported, if it has any."""
        links = set(step.identities[:1] if step.operation == "delete" else step.identities)
        touched = [each for each in self.people if each.identities & links]
        before = [(set(each.identities), self.entity(each.identities)) for each in touched]
        primary = step.identities[0]
        written: Mapping[str, Any] = {}
        if step.operation == "delete":
            self.records.pop(primary, None)
            if not touched:
                return None
            person = touched[0]
        else:
            person = touched[0] if touched else Person()
            self.people = [each for each in self.people if each not in touched] + [person]
            for each in touched[1:]:
                person.absorb(each)
            person.identities |= links
            if step.operation is not None:
                old = self.records.pop(primary, {}) if step.operation == "merge" else {}
                self.records.pop(primary, None)
                self.records[primary] = {**old, **step.entity}
                written = step.entity
        entity = self.entity(person.identities)
        changed = self.evaluate(person, entity, step)
        belongs = any(person.statuses.get(each) == "realized" for each in MAPPED)
        moved = [old.get("city") for _, old in before] != [entity.get("city")] * len(before)
        added = not before or any(person.identities - old for old, _ in before)
        noticed = "city" in written or (step.operation is not None and moved) or added
        if not (changed & set(MAPPED) or (belongs and noticed)):
            return None
        return {
            "city": entity.get("city"),
            "statuses": {
                name: status
                for name, status in person.statuses.items()
                if status == "realized" or name in changed & set(MAPPED)
            },
            "identities": sorted(person.identities),
        }

    def members(self, name: str) -> set[tuple[str, ...]]:
        return {tuple(sorted(each.identities)) for each in self.people if each.statuses.get(name) == "realized"}

    def evaluate(self, person: Person, entity: dict[str, Any], step: Step) -> set[str]:
        gold = entity.get("tier") == "gold"
        if step.operation is None and step.entity["total"] > 5:
            person.bought.add("quiet")
            if gold:
                person.bought.add("buyers")
        now = {"gold": gold, "buyers": "buyers" in person.bought, "quiet": "quiet" not in person.bought}
        changed = set()
        for name, belongs in now.items():
            if belongs != (person.statuses.get(name) == "realized") and (belongs or name in person.statuses):
                person.statuses[name] = "realized" if belongs else "exited"
                changed.add(name)
        return changed


def make_destinations(store: Store, segment_ids: Sequence[str]) -> Destinations:
    """Return the destinations of a database, with one that has these audiences and the attribute `city`."""
    kinds = ("connection", "target_connection", "flow")
    connections, targets, flows = (Repository(store, kind) for kind in kinds)
    connections.put(ORG, "base", {"auth": {"params": {"accessKeyId": "key", "secretKey": "secret"}}})
    targets.put(ORG, "target", {"baseConnectionId": "base", "params": {"stream": "s", "region": "us-east-1"}})
    audiences = [{"value": {"id": each, "createTime": "0", "updateTime": "0"}} for each in segment_ids]
    selectors = {
        "segmentSelectors": {"selectors": audiences},
        "profileSelectors": {"selectors": [{"value": {"path": "city"}}]},
    }
    flow = {
        "name": "flow",
        "state": "enabled",
        "flowSpec": {"id": DESTINATION_FLOW},
        "targetConnectionIds": ["target"],
        "transformations": [{"name": "GeneralTransform", "params": selectors}],
    }
    flows.put(ORG, "flow", flow)
    return Destinations(connections, targets, flows)


class System:
    """The emulator's own code over a database in memory, without its server."""

    def __init__(self) -> None:
        self.store = Store(None)
        self.names: dict[str, str] = {}
        segments = Segments(self.store)
        for name, rule in RULES.items():
            expression = {"type": "PQL", "format": "pql/text", "value": rule}
            info = {"continuous": {"enabled": True}}
            made = segments.create(ORG, "prod", {"name": name, "expression": expression, "evaluationInfo": info})
            self.names[made["id"]] = name
        destinations = make_destinations(self.store, [key for key, name in self.names.items() if name in MAPPED])
        self.profiles = ProfileStore(self.store)
        self.memberships = MembershipStore(self.store)
        self.queue = ExportQueue(self.store, lambda: 0)
        self.updates = ProfileUpdates(
            self.profiles,
            segments,
            self.memberships,
            destinations,
            self.queue,
            lambda: "realized/exited",
            lambda: 0,
            lambda: None,
        )

    def take(self, number: int, step: Step) -> list[dict[str, Any]]:
        """Return the records that a step has exported."""
        source = Source(ORG, "dataset", number, str(number), 0)
        identities = [Named("id", each) for each in step.identities]
        with self.store.transaction():
            if step.operation is None:
                entity = {"_id": str(number), **step.entity}
                self.updates.take_event(source, identities, entity, 10, 0)
            else:
                self.updates.take_record(source, identities, dict(step.entity), 10, step.operation)
        waiting = self.queue.oldest("flow", 100)
        self.queue.settle(waiting, (), ())
        return [self._shown(orjson.loads(each.data)) for each in waiting]

    def evaluate(self) -> None:
        """Evaluate over all events, which must not change what was found event by event.

        Except for buyers: whether an event counts depends on the profile at that time.
        """
        with self.store.transaction():
            self.updates.evaluate_some(ORG, 0)
        self.queue.settle(self.queue.oldest("flow", 100), (), ())

    def members(self, name: str) -> set[tuple[str, ...]]:
        """Return the members of an audience, each by the values of its identities."""
        (segment_id,) = [key for key, each in self.names.items() if each == name]
        found = self.memberships.members(segment_id, until_ms=0, after=0, limit=100)
        return {tuple(identity.value for identity in self.profiles.identities(each)) for each in found}

    def _shown(self, record: dict[str, Any]) -> dict[str, Any]:
        memberships = record["segmentMembership"]["ups"]
        return {
            "city": record.get("city"),
            "statuses": {self.names[key]: each["status"] for key, each in memberships.items()},
            "identities": [each["id"] for each in record["identityMap"]["id"]],
        }


@given(STEPS)
def test_each_change_is_exported_once(steps: list[Step]) -> None:
    system, model = System(), Model()
    for number, step in enumerate(steps):
        expected = model.take(step)
        assert system.take(number, step) == ([] if expected is None else [expected])
    system.evaluate()
    assert system.members("gold") == model.members("gold")
    assert system.members("quiet") == model.members("quiet")
    (counts,) = [(run.records_in, run.records_out) for run in system.queue.runs(ORG)] or [(0, 0)]
    assert counts[0] == counts[1]
    assert system.queue.waiting() == 0
