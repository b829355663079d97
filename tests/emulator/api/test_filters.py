"""The query parameter `property`."""

from __future__ import annotations

import pytest

from emulator.api.filters import matching

A = {"title": "Loyalty test", "version": "1.10", "meta:extends": ["p", "q"], "auth": {"params": {"sourceId": "web"}}}
B = {"title": "Visits, 2026", "version": "2", "$id": "https://x/y", "inherited": {"isSourceFlow": True}}


@pytest.mark.parametrize(
    ("properties", "found"),
    [
        ([], [A, B]),
        (["title==Loyalty test"], [A]),
        (["title!=Loyalty test"], [B]),
        (["title~^Loyalty"], [A]),
        (["title~test$"], [A]),
        (["version<2"], [A]),
        (["version<=2"], [A, B]),
        (["version>1.9"], [B]),
        (["version>=2"], [B]),
        (["title>Loyalty"], [A, B]),
        (["meta:extends"], [A]),
        (["meta:extends==q"], [A]),
        (["meta:extends!=q"], [B]),
        (["meta:extends==z"], []),
        (["$id==https://x/y"], [B]),
        (["auth.params.sourceId==web"], [A]),
        (["inherited.isSourceFlow==true"], [B]),
        (["title~i", "version==2"], [B]),
        (["title~i,version==2"], [B]),
        (["title==Visits, 2026"], [B]),
        (["title.length==1"], []),
    ],
)
def test_matching(properties: list[str], found: list[dict[str, object]]) -> None:
    """[XDM-APPENDIX] each operator, lists, paths, several conditions."""
    assert matching([A, B], properties) == found


@pytest.mark.parametrize(("text", "words"), [("==x", "such as title==Loyalty"), ("title~(", "not a valid regular")])
def test_not_to_be_read(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        matching([A], [text])
