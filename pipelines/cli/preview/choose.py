"""The routes of records that were not read from a topic: as if they had been."""

from __future__ import annotations

from dataclasses import replace

from aep.errors import UserError
from transforms.records.route import Route, Routes, keep_json, parse_json


class ChoiceError(UserError):
    """It is not clear which routes are meant, or there are none."""


def choose(routes: Routes, topic: str | None, route: str | None) -> tuple[str, tuple[Route, ...]]:
    """Return a topic, and the routes that its records may take in a run.

    Args:
        routes: All of them.
        topic: The one that is meant; None for the route's first, or for the only one that routes name.
        route: Name of a route that takes the topic; None for any.

    Raises:
        ChoiceError: The topic or the route is unknown, or there are several.
    """
    names = [one.name for one in routes]
    if route is not None and route not in names:
        raise ChoiceError(f"no route is called {route}, only {', '.join(names)}")
    if topic is None:
        topics = routes.topics if route is None else list(routes[route].topics)[:1]
        if len(topics) != 1:
            raise ChoiceError(f"there are several topics: give one of {', '.join(topics)}, or a route")
        (topic,) = topics
    if topic.startswith("^"):
        if route is None:
            raise ChoiceError(f"{topic} is a pattern: give a topic that it covers")
        return topic, (routes[route],)
    try:
        candidates = routes.of_topic(topic)
    except LookupError:
        raise ChoiceError(f"no route takes the topic {topic}, only {', '.join(routes.topics)}") from None
    if route is not None and route not in [one.name for one in candidates]:
        raise ChoiceError(f"a run sends no record of the topic {topic} through the route {route}")
    return topic, candidates


def reads_json(candidates: tuple[Route, ...]) -> bool:
    """Return whether the routes of a topic read JSON."""
    return candidates[0].parse in (parse_json, keep_json)


def that_read_json(candidates: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return the routes for records in JSON, which is easier to write than what a route may read."""
    return candidates if reads_json(candidates) else tuple(replace(each, parse=parse_json) for each in candidates)


def is_json(value: bytes) -> bool:
    """Return whether a value begins as a JSON object or array."""
    return value.lstrip()[:1] in (b"{", b"[")
