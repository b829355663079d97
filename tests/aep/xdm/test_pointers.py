from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.xdm.pointers import pointer, resolve

DOCUMENT = {"a/b": [{"c~d": {"": 1}}, None], "n": None}


def test_pointers_are_written_with_their_escapes() -> None:
    assert pointer([]) == ""
    assert pointer(["a/b", 0, "c~d", ""]) == "/a~1b/0/c~0d/"


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("", DOCUMENT),
        ("/a~1b/0/c~0d/", 1),
        ("/a~1b/1", None),
        ("/a~1b/2", None),
        ("/a~1b/-1", None),
        ("/a~1b/x", None),
        ("/a~1b/00", None),
        ("/a~1b/" + "9" * 5_000, None),
        ("/n/x", None),
        ("/b", None),
    ],
)
def test_pointers_are_followed(place: str, found: Any) -> None:
    assert resolve(DOCUMENT, place) == found


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_what_is_written_leads_back(path: list[str]) -> None:
    document: Any = "found"
    for step in reversed(path):
        document = {step: document}
    assert resolve(document, pointer(path)) == "found"
