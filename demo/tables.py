"""What the demo shows at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from demo.account import Delivered, Expected
from pipelines.output.layout import Column
from pipelines.output.table import Table
from transforms.records.dead_letter import DeadLetter


def arrivals(expected: Expected, delivered: Mapping[str, Delivered]) -> Table:
    """Return a row for each topic: what was put in, and what the emulator counted in its dataset."""
    columns = (Column(name, "number") for name in ("good put in", "arrived", "duplicates", "requests", "invalid"))
    grid = Table("The emulator's count of the dataset of each topic", (Column("topic"), *columns))
    for topic, good in expected.good.items():
        inlet = delivered[topic]
        duplicates = sum(inlet.accepted.values()) - len(inlet.accepted)
        numbers = (len(good), len(inlet.accepted), duplicates, inlet.requests, inlet.invalid)
        grid.add(topic, *(f"{number:,}" for number in numbers))
    return grid


def dead_letters(expected: Expected, letters: Sequence[DeadLetter]) -> Table:
    """Return a row for each code: the samples that were broken so, and the dead letters."""
    columns = Column("code"), Column("broken put in", "number"), Column("dead letters", "number")
    grid = Table("Dead letters", columns)
    counted = Counter(letter.code for letter in letters)
    for code in sorted(expected.codes | counted):
        grid.add(code, f"{expected.codes[code]:,}", f"{counted[code]:,}")
    return grid


def example(letters: Sequence[DeadLetter]) -> list[tuple[str, str]]:
    """Return one of the dead letters, by names: of an event that its schema refuses, if there is one."""
    one = next((letter for letter in letters if letter.stage == "validate" and letter.pointer), letters[0])
    return [
        ("record", f"topic {one.topic}, partition {one.partition}, offset {one.record.offset}"),
        ("stage", one.stage),
        ("code", one.code),
        ("pointer", one.pointer or "the whole record"),
        ("message", one.message),
    ]
