"""Definitions of one kind (connections, schemas, ...) in memory, kept in the store at each change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from emulator.state.depth import is_too_deep
from emulator.state.errors import bad_request
from emulator.state.store import Store


class Repository:
    """JSON objects by id, each of one organisation. Do not change in place what it returns."""

    def __init__(self, store: Store, kind: str) -> None:
        self._store = store
        self._kind = kind
        entries = [(name, *entry) for name, entry in store.definitions(kind)]
        self._entries: dict[str, tuple[str, dict[str, Any]]] = {
            name: (org_id, value) for name, number, org_id, value in sorted(entries, key=lambda entry: entry[1])
        }
        self._numbers = {name: number for name, number, *_ in entries}
        self._last = max(self._numbers.values(), default=0)
        self.on_change: Callable[[], None] = _nothing  # called after each change

    def put(self, org_id: str, name: str, value: dict[str, Any]) -> None:
        """Add an object, or replace the one of the same id.

        Raises:
            ApiError: It is nested more deeply than can be shown.
        """
        if is_too_deep(value):
            raise bad_request("What would be kept is nested too deeply")
        if name not in self._numbers:
            self._last += 1
            self._numbers[name] = self._last
        self._entries[name] = (org_id, value)
        self._store.define(self._kind, name, [self._numbers[name], org_id, value])
        self.on_change()

    def get(self, org_id: str, name: str) -> dict[str, Any] | None:
        """Return the object of this id, if the organisation has it."""
        owner, value = self._entries.get(name, (None, None))
        return value if owner == org_id else None

    def remove(self, name: str) -> None:
        """Forget an object."""
        del self._entries[name], self._numbers[name]
        self._store.undefine(self._kind, name)
        self.on_change()

    def of(self, org_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the objects of an organisation as (id, object), in the order of their creation."""
        return [(name, value) for name, (owner, value) in self._entries.items() if owner == org_id]

    def organisations(self) -> set[str]:
        return {org_id for org_id, _ in self._entries.values()}

    def __iter__(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Return all objects as (organisation, id, object), in the order of their creation."""
        return iter([(org_id, name, value) for name, (org_id, value) in self._entries.items()])


def _nothing() -> None:
    """Ignore a change."""
