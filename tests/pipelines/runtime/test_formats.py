from __future__ import annotations

from typing import get_args

from pipelines.options.declarations import Format
from pipelines.runtime.formats import PARSERS


def test_each_format_of_the_options_has_a_parser() -> None:
    assert PARSERS.keys() == {*get_args(Format)}
