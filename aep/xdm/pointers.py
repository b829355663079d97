"""JSON pointers (RFC 6901): writing them, and following them into parsed JSON."""

import re
from collections.abc import Sequence
from typing import Any

_INDEX = re.compile("0|[1-9][0-9]{0,8}")


def pointer(path: Sequence[str | int]) -> str:
    """Write a path as a JSON pointer; XDM keys may contain `/`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def is_pointer(text: str) -> bool:
    """Return whether the text is a JSON pointer; the empty one means the whole document."""
    return re.fullmatch(r"(/([^~/]|~[01])*)*", text) is not None


def steps_of(place: str) -> list[str]:
    """Return the names and indices that a JSON pointer leads along."""
    return [step.replace("~1", "/").replace("~0", "~") for step in place.split("/")[1:]]


def resolve(document: Any, place: str) -> Any:
    """Follow a JSON pointer; None when it leads nowhere, or to null."""
    return follow(document, steps_of(place))


def follow(document: Any, steps: Sequence[str]) -> Any:
    """Follow the names and indices of a JSON pointer; None when they lead nowhere, or to null."""
    for name in steps:
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and _INDEX.fullmatch(name) and int(name) < len(document):
            document = document[int(name)]
        else:
            return None
    return document
