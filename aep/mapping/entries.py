"""Problems of a mapping or list written by the user, by entry."""

from __future__ import annotations

from collections.abc import Mapping


class EntriesError(ValueError):
    """The problems: a sentence for each entry, by its key, or by its index from 0 in a list."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        self.entries = dict(entries)
        super().__init__("; ".join(self.entries.values()))
