"""Routes: which topics go to which destination, and by which schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aep.errors import ConfigurationError
from aep.formats.json import ParsedObject, ParseFailure, load_object, load_objects, parse_object, parse_objects
from aep.mapping.conditions import Condition
from aep.mapping.field_map import FieldMap
from aep.mapping.ids import IdRule
from aep.mapping.json_patch import Patch
from aep.mapping.transform import RecordTransform
from aep.xdm.rules import XdmRules
from aep.xdm.schema import ResolvedSchema
from transforms.records.destination import Destination
from transforms.records.live_schema import RegistrySchema
from transforms.records.record import Headers
from transforms.records.topic_names import covers

Parse = Callable[[bytes, Headers], ParsedObject | ParseFailure]
"""Makes an object of a record's value, with the help of the record's headers."""


def parse_json(value: bytes, headers: Headers = ()) -> ParsedObject | ParseFailure:
    """Parse a value that is JSON; the headers say nothing about it."""
    return parse_object(value)


def keep_json(value: bytes, headers: Headers = ()) -> ParsedObject | ParseFailure:
    """Parse a value that is JSON, and keep its bytes for a destination that takes records as they are.

    A step that changes the object has to ask `aep.formats.json.write_exactly` first whether it has lost nothing.
    """
    entity = load_object(value) if value else ParseFailure("empty", "the value is empty")
    return entity if isinstance(entity, ParseFailure) else ParsedObject(entity, value)


ParseTogether = Callable[[Sequence[bytes | None]], tuple[list[dict[str, Any]], list[bytes]] | None]
"""Makes objects of the values of several records, see `aep.formats.json.parse_objects`."""


def _keep_together(values: Sequence[bytes | None]) -> tuple[list[dict[str, Any]], list[bytes]] | None:
    entities = load_objects(values)
    return None if entities is None else (entities, [value for value in values if value is not None])


def together(parse: Parse) -> ParseTogether | None:
    """Return what parses several records at once to what `parse` makes of each; None where nothing does."""
    if parse == parse_json:
        return parse_objects
    return _keep_together if parse == keep_json else None


@dataclass(frozen=True)
class Route:
    """Ties topics to a destination.

    Attributes:
        name: How counts and dead letters call it.
        topics: Names; one that starts with `^` is a regular expression.
        destination: Where its records go; see `transforms.records.destination`.
        parse: Makes an object of a record's value. Compared by value, and sent to workers.
        schema: What records must fit; None validates nothing (raw payloads without a schema).
        id_from: Where the `_id` of a record that has none comes from; see `aep.mapping.ids`.
        when: What must hold for a record, as it was parsed, to take the route; empty for any.
        drop: What must hold for a record, as it was parsed, to be left out and only counted; empty leaves out none.
        mapping: What makes an XDM record of the parsed one; None leaves it as it is.
        transform: A function of the user's that the record goes through after the mapping.
        registered: Where `schema` is looked up again while records are validated; None for one from a file.
        rules: Its rules beyond the schema; None for those of the run.
    """

    name: str
    topics: tuple[str, ...]
    destination: Destination
    parse: Parse
    schema: ResolvedSchema | None = None
    id_from: IdRule = ()
    when: tuple[Condition, ...] = ()
    drop: tuple[Condition, ...] = ()
    mapping: Patch | FieldMap | None = None
    transform: RecordTransform | None = None
    registered: RegistrySchema | None = None
    rules: XdmRules | None = None

    def fits(self, entity: dict[str, Any]) -> bool:
        """Return whether a record of one of the topics takes this route."""
        return all(condition.fits(entity) for condition in self.when)

    def drops(self, entity: dict[str, Any]) -> bool:
        """Return whether a record that takes this route is left out."""
        return bool(self.drop) and all(condition.fits(entity) for condition in self.drop)

    def takes(self, topic: str) -> bool:
        return any(covers(name, topic) for name in self.topics)


Turns = Mapping[str, Sequence[str]]
"""For the name of each route those of others: what of these came before a record of it must go before that. Empty
where order does not matter."""


def _share_topic(one: Route, other: Route) -> bool:
    """Return whether there may be a topic that both take: of two regular expressions that is not known."""
    patterns = [name.startswith("^") for name in (*one.topics, *other.topics)]
    return any(patterns) or not set(one.topics).isdisjoint(other.topics)


class Routes:
    """The routes of a pipeline, asked by topic or by name.

    Where several take a topic, a record of it takes the first whose conditions it fits.
    """

    def __init__(self, routes: Sequence[Route]):
        self._routes = {route.name: route for route in routes}
        self._by_topic: dict[str, tuple[Route, ...]] = {}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def __getitem__(self, name: str) -> Route:
        return self._routes[name]

    def of_topic(self, topic: str) -> tuple[Route, ...]:
        """Return the routes that records of a topic may take, in their order: if one has no conditions, it is the last.

        Raises:
            LookupError: No route takes it. It cannot happen to a topic that was read because a route names it.
            ConfigurationError: They read its records in different formats.
        """
        found = self._by_topic.get(topic)
        if found is None:
            found = self._by_topic[topic] = self._find(topic)
        return found

    def takes(self, topic: str) -> bool:
        """Return whether one of the routes takes the topic."""
        try:
            self.of_topic(topic)
        except LookupError:
            return False
        return True

    def _find(self, topic: str) -> tuple[Route, ...]:
        found: list[Route] = []
        for route in self:
            if route.takes(topic):
                found.append(route)
                if route.parse != found[0].parse:
                    raise ConfigurationError(
                        f"the routes {found[0].name} and {route.name} read the topic {topic} in different formats"
                    )
                if not route.when:
                    break
        if not found:
            raise LookupError(f"no route takes the topic {topic}")
        return tuple(found)

    def in_turn(self, place: Callable[[Destination], object]) -> Turns:
        """Return what must go first where the order of keys matters: routes that share topics and lead to one place.

        Args:
            place: Within which order is kept.
        """
        return {
            one.name: tuple(
                other.name
                for other in self
                if other is not one and place(other.destination) == place(one.destination) and _share_topic(one, other)
            )
            for one in self
        }

    @property
    def topics(self) -> list[str]:
        """All the topics that the routes name, each once."""
        return list(dict.fromkeys(topic for route in self for topic in route.topics))
