"""Routes: which topics go to which destination in AEP, and by which schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from aep.streaming import Destination
from aep.xdm.schema import ResolvedSchema

Auth = Literal["none", "oauth", "token"]


@dataclass(frozen=True)
class Route:
    """Ties topics to a destination.

    Attributes:
      name: how counts and dead letters call it.
      topics: names; one that starts with ``^`` is a regular expression.
      destination: the inlet and the envelope.
      schema: what records must fit; None validates nothing (raw payloads without a schema).
      auth: how requests to the inlet authenticate.
    """

    name: str
    topics: tuple[str, ...]
    destination: Destination
    schema: ResolvedSchema | None = None
    auth: Auth = "none"

    def takes(self, topic: str) -> bool:
        """Whether records of this topic take this route."""
        return any(re.match(name, topic) if name.startswith("^") else name == topic for name in self.topics)


class Routes:
    """The routes of a pipeline, asked by topic or by name. Where several take a topic, the first does."""

    def __init__(self, routes: Sequence[Route]):
        self._routes = {route.name: route for route in routes}
        self._by_topic: dict[str, Route] = {}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def __getitem__(self, name: str) -> Route:
        return self._routes[name]

    def for_topic(self, topic: str) -> Route:
        """The route of a topic.

        Raises:
          LookupError: no route takes it. It cannot happen to a topic that was read because a route names it.
        """
        route = self._by_topic.get(topic)
        if route is None:
            route = next((route for route in self if route.takes(topic)), None)
            if route is None:
                raise LookupError(f"no route takes the topic {topic}")
            self._by_topic[topic] = route
        return route

    @property
    def topics(self) -> list[str]:
        """All the topics that the routes name, each once."""
        return list(dict.fromkeys(topic for route in self for topic in route.topics))
