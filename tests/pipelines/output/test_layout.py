"""What fits into a width, for any table."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipelines.output.layout import BLANKS, LINES, Column, Frame, lay_out, shorten, shorten_words

ID = "https://ns.adobe.com/acme/schemas/3f6ca0a93b5b4b6d8c1f0e2d4a5b6c7d"
MEMBERS = (
    Column("stage", rank=2),
    Column("code"),
    Column("schema", "id"),
    Column("count", "number"),
    Column("last", rank=1),
    Column("problem", "text"),
)
ROWS = [("validate", "integer_range", ID, "1,234,567", "2026-11-28 22:13:20", "12345678901 is more than 2147483647")]


def shown(width: int | None) -> list[str]:
    return [MEMBERS[index].name for index in lay_out(MEMBERS, ROWS, width, LINES).widths]


def test_a_pipe_gets_everything_whole() -> None:
    layout = lay_out(MEMBERS, ROWS, None, LINES)
    assert list(layout.widths.values()) == [len(cell) for cell in ROWS[0]]
    assert layout.total == sum(map(len, ROWS[0])) + 3 * len(MEMBERS) + 1


def test_where_space_is_short_text_wraps_then_ids_are_shortened_then_columns_are_dropped() -> None:
    wrapped = lay_out(MEMBERS, ROWS, 167, LINES)
    assert (wrapped.widths[2], wrapped.widths[5] < len(ROWS[0][5])) == (len(ID), True)
    shortened = lay_out(MEMBERS, ROWS, 130, LINES)
    assert (len(shortened.widths), shortened.widths[2] < len(ID)) == (6, True)
    assert shown(105) == ["code", "schema", "count", "last", "problem"]
    assert shown(85) == ["code", "schema", "count", "problem"]
    assert lay_out(MEMBERS, ROWS, 60, LINES).stacked


def test_an_id_within_a_text_is_shortened_where_it_does_not_fit() -> None:
    columns = Column("what", "text"), Column("state"), Column("found", "text")
    rows = [("schema of the route", "ok", f"found {ID}")]
    assert not (layout := lay_out(columns, rows, 60, LINES)).stacked
    assert layout.total <= 60
    assert shorten_words(f"found  {ID} here", 21) == "found  https://ns…2d4a5b6c7d here"


def test_an_id_keeps_its_beginning_and_its_end() -> None:
    assert shorten("abcdefghij", 10) == "abcdefghij"
    assert shorten("abcdefghij", 9) == "abcd…ghij"
    assert shorten("日本語日本語", 9) == "日本…本語"


CELL = st.text(st.sampled_from("ab1 日/\n"), max_size=40)
COLUMN = st.builds(Column, CELL, st.sampled_from(["word", "text", "number", "id"]), st.integers(0, 3))
COLUMNS = st.lists(COLUMN, min_size=1, max_size=6)


@given(st.data(), COLUMNS, st.integers(20, 200), st.sampled_from([LINES, BLANKS]))
def test_what_is_shown_fits_and_no_word_is_broken(
    data: st.DataObject, columns: list[Column], width: int, frame: Frame
) -> None:
    rows = data.draw(st.lists(st.tuples(*[CELL] * len(columns)), max_size=4))
    layout = lay_out(columns, rows, width, frame)
    if layout.stacked:
        assert len(layout.widths) == len(columns)
        return
    assert sum(layout.widths.values()) + len(layout.widths) * frame.of_column + frame.more == layout.total <= width
    assert all(column.rank for index, column in enumerate(columns) if index not in layout.widths)
    for index, room in layout.widths.items():
        for row in rows:
            pieces = row[index].split() if columns[index].kind == "text" else row[index].split("\n")
            longest = max(map(cell_len, pieces), default=0)
            assert longest <= room or columns[index].kind == "id" or (columns[index].kind == "text" and room >= 24)
