"""Tables for people: drawn by rich as `layout` decides, whole in a pipe, fitted to a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table as Grid
from rich.text import Text

from pipelines.output.layout import BLANKS, LINES, Column, Layout, lay_out, shorten, shorten_words

_LEAST_VALUE = 20  # characters of a line that a value gets beside its name


@dataclass
class Table:
    """A table; the cells are plain text.

    Attributes:
        title: Printed above it.
        columns: See `Column`.
        headings: Whether the names of the columns are shown above them.
        lines: Whether lines are drawn around the cells.
        note: Printed below it.
        rows: A cell for each column, and the style of the row; None separates sections.
    """

    title: str
    columns: Sequence[Column]
    headings: bool = True
    lines: bool = True
    note: str = ""
    rows: list[tuple[tuple[Text, ...], str] | None] = field(default_factory=list)

    def add(self, *cells: str | Text, style: str = "") -> None:
        """Add a row."""
        self.rows.append((tuple(Text(cell) if isinstance(cell, str) else cell for cell in cells), style))

    def section(self) -> None:
        """Draw a line below the rows so far."""
        self.rows.append(None)


def show(console: Console, table: Table) -> None:
    """Print a table: fitted to a terminal, and as wide as it needs to be where the output goes elsewhere."""
    width = console.width if console.file.isatty() else None
    rows = [row[0] for row in table.rows if row]
    texts = [[cell.plain for cell in cells] for cells in rows]
    layout = lay_out(table.columns, texts, width, LINES if table.lines else BLANKS)
    if table.title:
        console.print(Text(table.title, style="table.title"), soft_wrap=True)
    if layout.stacked:
        for cells in rows:
            names = (column.name for column in table.columns)
            _show_stacked(console, list(zip(names, cells, strict=True)))
            console.print()
    else:
        console.print(_Drawn(_grid(table, layout), layout.total), crop=False)
    dropped = [column.name for index, column in enumerate(table.columns) if index not in layout.widths]
    left_out = (
        f"not shown for lack of space: {', '.join(dropped)} (a wider terminal or a pipe shows all)" if dropped else ""
    )
    for words in (table.note, left_out):
        if words:
            console.print(Text(words, style="table.caption"), soft_wrap=True)


def show_fields(console: Console, fields: Iterable[tuple[str, str | Text]], title: str = "") -> None:
    """Print names and values, one below the other. Values are whole; on a terminal they wrap between words."""
    shown = [(name, Text(value) if isinstance(value, str) else value) for name, value in fields]
    if title:
        console.print(Text(title, style="table.title"), soft_wrap=True)
    indent = _indent(name for name, _ in shown)
    room = _room(console, indent) if console.file.isatty() else None
    for name, value in shown:
        lines = [line for part in value.plain.split("\n") for line in (_wrapped(part, room) if room else [part])]
        for number, line in enumerate(lines):
            head = f"{name if number == 0 else '':<{indent}}"
            console.print(Text.assemble((head, "bold"), (line, value.style)), soft_wrap=True)


def _show_stacked(console: Console, fields: Sequence[tuple[str, Text]]) -> None:
    """Print a row of a table that does not fit: its fields, with words shortened as in the table."""
    room = _room(console, _indent(name for name, _ in fields))
    show_fields(console, [(name, _with_short_words(value, room)) for name, value in fields])


def _indent(names: Iterable[str]) -> int:
    return max(map(len, names), default=0) + 2


def _room(console: Console, indent: int) -> int:
    return max(console.width - indent, _LEAST_VALUE)


def _with_short_words(text: Text, width: int) -> Text:
    short = shorten_words(text.plain, width)
    return text if short == text.plain else Text(short, style=text.style)


def _wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text, in which no word is broken: one that is longer than a line stays whole."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _grid(table: Table, layout: Layout) -> Grid:
    grid = Grid(show_header=table.headings)
    if not table.lines:
        grid.box, grid.pad_edge = None, False
    for index, width in layout.widths.items():
        column = table.columns[index]
        grid.add_column(
            Text(column.name),
            width=width,
            justify="right" if column.kind in ("number", "figure") else "left",
        )
    for row in table.rows:
        if row is None:
            grid.add_section()
            continue
        cells, style = row
        grid.add_row(
            *(_fitted(cells[index], width, table.columns[index]) for index, width in layout.widths.items()), style=style
        )
    return grid


def _fitted(cell: Text, width: int, column: Column) -> Text:
    if column.kind == "id":
        return Text(shorten(cell.plain, width), style=cell.style)
    return _with_short_words(cell, width) if column.kind == "text" else cell


@dataclass(frozen=True)
class _Drawn:
    """A grid in the width that it was laid out for, whatever the console takes its own to be."""

    grid: Grid
    width: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in console.render_lines(self.grid, options.update(width=self.width)):
            while line and not line[-1].text.strip():  # where no line follows, blanks fill up the last cell
                line.pop()
            yield from line[:-1]
            yield from (Segment(last.text.rstrip(), last.style) for last in line[-1:])
            yield Segment.line()
