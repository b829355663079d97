from __future__ import annotations

from typing import Any

import pytest

from aep.mapping.conditions import compile_conditions
from aep.mapping.entries import EntriesError


@pytest.mark.parametrize(
    ("given", "record", "fits"),
    [
        ({"/type": "a"}, {"type": "a"}, True),
        ({"/type": "a"}, {"type": "b"}, False),
        ({"/type": "a"}, {}, False),
        ({"/type": ["a", "b"]}, {"type": "b"}, True),
        ({"/x/y~1z/0": 1}, {"x": {"y/z": [1]}}, True),
        ({"/n": 1}, {"n": 1.0}, True),
        ({"/n": 1}, {"n": True}, False),
        ({"/n": True}, {"n": 1}, False),
        ({"/n": "1"}, {"n": 1}, False),
        ({"/n": 0}, {"n": None}, False),
        ({"/n": 1}, {"n": {"n": 1}}, False),
        ({"/a": 1, "/b": 2}, {"a": 1, "b": 2}, True),
        ({"/a": 1, "/b": 2}, {"a": 1, "b": 3}, False),
    ],
)
def test_all_conditions_must_hold(given: dict[str, Any], record: dict[str, Any], fits: bool) -> None:
    assert all(condition.fits(record) for condition in compile_conditions(given)) is fits


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"type": "a"}, "'type' is not a JSON pointer: write /eventType"),
        ({"": "a"}, "'' is not a JSON pointer"),
        ({"/a": None}, "/a: expected a string, a number, true or false"),
        ({"/a": []}, "/a: expected a string"),
        ({"/a": [["b"]]}, "/a: expected a string"),
    ],
)
def test_conditions_that_are_none(given: dict[str, Any], words: str) -> None:
    with pytest.raises(EntriesError) as caught:
        compile_conditions(given)
    assert caught.value.entries[next(iter(given))].startswith(words)
