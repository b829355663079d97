"""What the demo shows at its end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from demo.account import Delivered, Expected
from transforms.records.dead_letter import DeadLetter


def arrivals(expected: Expected, delivered: Mapping[str, Delivered]) -> Table:
    """Return a row for each topic: what was put in, and what the emulator counted in its dataset."""
    grid = Table(title="The emulator's count of the dataset of each topic", title_justify="left")
    grid.add_column("topic")
    for heading in ("good put in", "arrived", "duplicates", "requests", "invalid"):
        grid.add_column(heading, justify="right")
    for topic, good in expected.good.items():
        inlet = delivered[topic]
        duplicates = sum(inlet.accepted.values()) - len(inlet.accepted)
        numbers = (len(good), len(inlet.accepted), duplicates, inlet.requests, inlet.invalid)
        grid.add_row(topic, *(f"{number:,}" for number in numbers))
    return grid


def dead_letters(expected: Expected, letters: Sequence[DeadLetter]) -> Table:
    """Return a row for each code: the samples that were broken so, and the dead letters."""
    grid = Table(title="Dead letters", title_justify="left")
    grid.add_column("code")
    for heading in ("broken put in", "dead letters"):
        grid.add_column(heading, justify="right")
    counted = Counter(letter.code for letter in letters)
    for code in sorted(expected.codes | counted):
        grid.add_row(code, f"{expected.codes[code]:,}", f"{counted[code]:,}")
    return grid


def example(letters: Sequence[DeadLetter], folder: Path) -> Table:
    """Return one of the dead letters: of an event that its schema refuses, if there is one."""
    one = next((letter for letter in letters if letter.stage == "validate" and letter.pointer), letters[0])
    grid = Table(title=f"One dead letter of {folder}{os.sep}", show_header=False, title_justify="left")
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in (
        ("record", f"topic {one.topic}, partition {one.partition}, offset {one.record.offset}"),
        ("stage", one.stage),
        ("code", one.code),
        ("pointer", one.pointer or "the whole record"),
        ("message", one.message),
    ):
        grid.add_row(name, Text(value))
    return grid
