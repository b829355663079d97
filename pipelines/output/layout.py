"""Which columns of a table fit into a width, and how wide each is: pure decisions, drawn by `table`.

Values are never broken: text wraps between words, ids are shortened in the middle, also those within a text, columns
that do not fit are dropped, and where even the indispensable ones do not fit, each row becomes a list of its fields.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from rich.cells import cell_len, chop_cells

Kind = Literal["word", "text", "number", "figure", "id"]
"""How a value behaves when space is short: `text`, and `figure`, which may be words instead of a number, wrap between
words, `id` is shortened, the others stay whole."""

WRAPS = ("text", "figure")

_LEAST_TEXT = 24
_LEAST_SHORTENED: dict[Kind, int] = {"id": 17, "text": _LEAST_TEXT}


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: Its heading.
        kind: How its values behave.
        rank: 0 for one that is never dropped; of the others, the highest is dropped first.
    """

    name: str
    kind: Kind = "word"
    rank: int = 0


class Frame(NamedTuple):
    """Characters that a table takes beside its cells: those of each column, and what is added to their sum."""

    of_column: int
    more: int


LINES, BLANKS = Frame(3, 1), Frame(2, -2)
"""With a line and a blank on both sides of each column, or with two blanks between columns."""


class Layout(NamedTuple):
    """What is shown.

    Attributes:
        widths: Of each column by its index, without those that are dropped.
        total: Of a line with its frame.
        stacked: Each row is a list of its fields; no width then counts.
    """

    widths: dict[int, int]
    total: int
    stacked: bool = False


def lay_out(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None, frame: Frame) -> Layout:
    """Decide which columns are shown, and how wide.

    Args:
        columns: All columns.
        rows: A cell for each column; a cell may have several lines.
        width: Characters of a line; None for as many as needed, where nothing is dropped or shortened.
        frame: What is drawn between columns.
    """
    cells = {index: [row[index] for row in rows] for index in range(len(columns))}
    whole = {index: max(cell_len(column.name), *map(_longest_line, cells[index]), 0) for index, column in _of(columns)}
    natural = sum(whole.values()) + _frame(frame, len(whole))
    if width is None or natural <= width:
        return Layout(whole, natural)
    least = {index: _least(column, cells[index]) for index, column in _of(columns)}
    least_shortened = {
        index: min(least[index], max(_longest_word(column.name), _LEAST_SHORTENED.get(column.kind, least[index])))
        for index, column in _of(columns)
    }
    expendable = sorted((index for index, column in _of(columns) if column.rank), key=lambda i: -columns[i].rank)
    for dropped in range(len(expendable) + 1):
        kept = [index for index in range(len(columns)) if index not in expendable[:dropped]]
        room = width - _frame(frame, len(kept))
        for smallest in (least, least_shortened):
            if sum(smallest[index] for index in kept) <= room:
                widths = _shrunk({i: whole[i] for i in kept}, {i: smallest[i] for i in kept}, room)
                return Layout(widths, sum(widths.values()) + _frame(frame, len(kept)))
    return Layout(whole, width, stacked=True)


def fit_line(parts: Sequence[tuple[str, int]], width: int | None) -> str:
    """Join parts to a line, without those that do not fit.

    Args:
        parts: Each with its rank: 0 for one that is never left out; of the others, the highest goes first.
        width: Characters of the line; None for as many as needed.
    """
    kept = list(parts)
    while (line := "  ".join(text for text, _ in kept)) and width is not None and cell_len(line) > width:
        if not (rank := max(rank for _, rank in kept)):
            break
        kept = [part for part in kept if part[1] != rank]
    return line


def shorten(text: str, width: int) -> str:
    """Return an id with its middle left out, so that it fits."""
    if cell_len(text) <= width:
        return text
    tail = (width - 1) // 2
    start, end = chop_cells(text, width - 1 - tail)[0], chop_cells(text[::-1], tail)[0][::-1]
    return f"{start}…{end}"


def shorten_words(text: str, width: int) -> str:
    """Return a text whose words all fit: of those that do not, such as ids, the middle is left out."""
    return re.sub(r"\S+", lambda word: shorten(word[0], width), text)


def _frame(frame: Frame, columns: int) -> int:
    return frame.of_column * columns + frame.more


def _of(columns: Sequence[Column]) -> list[tuple[int, Column]]:
    return list(enumerate(columns))


def _least(column: Column, cells: Sequence[str]) -> int:
    """Return the width that a column needs without shortening anything; its heading may wrap."""
    longest = max(map(_longest_line, cells), default=0)
    if column.kind in WRAPS:
        longest = min(longest, max([_LEAST_TEXT, *map(_longest_word, cells)]))
    return max(_longest_word(column.name), longest)


def _longest_line(cell: str) -> int:
    return max(map(cell_len, cell.split("\n")))


def _longest_word(cell: str) -> int:
    return max(map(cell_len, cell.split()), default=0)


def _shrunk(widths: dict[int, int], least: dict[int, int], room: int) -> dict[int, int]:
    """Take from the widest column that can give, until all fit."""
    widths = dict(widths)
    for _ in range(sum(widths.values()) - room):
        widest = max((index for index in widths if widths[index] > least[index]), key=lambda index: widths[index])
        widths[widest] -= 1
    return widths
