from __future__ import annotations

from typing import get_args

from pipelines.options.formats import FORMATS, Format


def test_each_format_of_the_options_has_its_row() -> None:
    assert FORMATS.keys() == {*get_args(Format)}
