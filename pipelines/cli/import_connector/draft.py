"""What becomes of a connector's properties while they are turned into options: taken one by one, noted, checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

Level = Literal["to do", "changed", "dropped", "better"]
LEVELS: tuple[Level, ...] = ("to do", "changed", "dropped", "better")

# What Connect's config providers replace: ${PROVIDER:KEY} or ${PROVIDER:PATH:KEY} (KIP-297).
_PROVIDED = re.compile(r"\$\{([^}:]*):(?:([^}]*):)?([^}:]*)\}")


class Note(NamedTuple):
    """A remark for the user about a property, or about the migration as a whole.

    Attributes:
        level: `to do`, something is needed from them; `changed`, it means something else here; `dropped`, there is no
            equivalent, or no need of one; `better`, it is done without being asked for.
        about: The property, or the subject.
    """

    level: Level
    about: str
    text: str


@dataclass
class Draft:
    """Properties that are not yet dealt with, and what came of the others.

    Attributes:
        left: Properties nobody has taken.
        options: Options by name.
        origins: The property that each option comes from, for problems.
        missing: Options that the configuration does not give and a run needs, each with a stand-in for its value.
        variables: Environment variables to set, each with what it holds.
        patches: Operations of JSON Patch by topic; None stands for all topics.
    """

    left: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    patches: dict[str | None, list[Any]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def take(self, name: str) -> str | None:
        """Return the property's value; None when it is not there, blank, or only a config provider knows it (noted)."""
        value = self.left.pop(name, "").strip()
        if place := provided(value):
            self.note("to do", name, f"its value comes from a config provider, {place}: insert it yourself")
            return None
        return value or None

    def take_number(self, name: str) -> int | None:
        """Return the property's value as Java's Integer.parseInt has it; anything else is a problem."""
        value = self.take(name)
        if value is None or re.fullmatch(r"[-+]?[0-9]{1,10}", value):
            return None if value is None else int(value)
        self.problems.append(f"{name}: must be a whole number: the connector does not start with this value")
        return None

    def take_secret(self, name: str, variable: str) -> str | None:
        """Return a reference to the secret that the property holds; None when there is none."""
        value = self.left.pop(name, "").strip()
        return self.secret(name, value, variable) if value else None

    def secret(self, name: str, value: str, variable: str) -> str:
        """Return a reference to a secret in place of its value, which goes nowhere else.

        Args:
            name: The property it is from.
            variable: The environment variable that is to hold it, unless a config provider's place can be named.
        """
        reference = _PROVIDED.fullmatch(value)
        if reference is not None:
            provider, path, key = reference.groups()
            if provider == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
                self.variables[key] = f"as Connect's workers have it, for {name}"
                return f"env:{key}"
            if provider in ("dir", "directory") and path:
                return f"file:{path.rstrip('/')}/{key}"
            self.variables[variable] = f"what {value} gave for {name}"
        else:
            self.variables[variable] = f"the value of {name}, which is not copied"
        return f"env:{variable}"

    def is_provided(self, name: str) -> bool:
        """Return whether only a config provider knows the property's value."""
        return provided(self.left.get(name, "")) is not None

    def set(self, option: str, value: Any, origin: str) -> None:
        self.options[option] = value
        self.origins[option] = origin

    def note(self, level: Level, about: str, text: str) -> None:
        self.notes.append(Note(level, about, text))

    def drop(self, reasons: Mapping[str, str]) -> None:
        """Take the properties that are there and note why each has no equivalent."""
        for name, reason in reasons.items():
            if self.left.pop(name, None) is not None:
                self.note("dropped", name, reason)

    def take_all(self, prefix: str) -> dict[str, str]:
        """Take the properties that begin with the prefix, without it."""
        names = [name for name in self.left if name.startswith(prefix)]
        return {name.removeprefix(prefix): self.left.pop(name).strip() for name in names}


def provided(value: str) -> str | None:
    """Return the part of a value that a config provider replaces, if there is one."""
    found = _PROVIDED.search(value)
    return found[0] if found else None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known property that looks most like `name`."""
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None
