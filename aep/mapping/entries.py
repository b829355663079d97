"""What is wrong with a mapping or a list that a person wrote, entry by entry."""

from __future__ import annotations

from collections.abc import Mapping


class EntriesError(ValueError):
    """What is wrong: a sentence for each entry, by its key, or by its index from 0 in a list."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        self.entries = dict(entries)
        super().__init__("; ".join(self.entries.values()))
