"""Where dead letters and receipts are, as options name it: a folder or files, or `topic:NAME`."""

from __future__ import annotations

TOPIC = "topic:"


def topic_place(topic: str) -> str:
    return f"{TOPIC}{topic}"


def topic_of(place: str) -> str | None:
    """Return the topic that a place is; None for a folder or files."""
    return place.removeprefix(TOPIC) if place.startswith(TOPIC) else None
