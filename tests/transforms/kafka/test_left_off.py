from __future__ import annotations

import pytest

from transforms.kafka.left_off import LeftOff
from transforms.kafka.offsets import Committed

P = ("events", 0)


@pytest.mark.parametrize(
    ("committed", "was_committed", "expected"),
    [
        (Committed(10), False, 30),  # nobody went on
        (Committed(30, "id"), True, 30),
        (Committed(20, "id"), True, 30),  # others were behind
        (Committed(31, "id"), True, None),  # others went on
        (Committed(9), True, None),  # somebody went back
        (Committed(20, "another"), True, None),
        (None, False, 30),
        (None, True, None),  # the topic was deleted, and its offsets with it
    ],
)
def test_a_partition_that_comes_back_is_read_on_unless_others_went_further(
    committed: Committed | None, was_committed: bool, expected: int | None
) -> None:
    left = LeftOff()
    assert left.resume(P, committed, was_committed) is None
    left.note(P, Committed(10), Committed(30, "id"))
    at = left.resume(P, committed, was_committed)
    assert at == (None if expected is None else Committed(expected, "id"))


def test_what_a_bundle_has_read_in_vain_is_read_again() -> None:
    left = LeftOff()
    left.note(P, Committed(10), Committed(30, "id"))
    left.go_back({P: 25})
    left.go_back({P: 40})
    assert left.resume(P, Committed(12), True) == Committed(25, "id")
    left.go_back({})
    assert left.resume(P, Committed(12), True) is None
    assert left.resume(P, Committed(10), True) == Committed(10, "id")


def test_a_partition_that_is_read_on_has_begun_where_it_did_before() -> None:
    left = LeftOff()
    left.note(P, Committed(10), Committed(30, "id"))
    assert left.take(P, Committed(30, "id"), None) == Committed(10)
    left.note(P, Committed(10), Committed(30, "id"))
    assert left.take(P, Committed(50, "id"), Committed(50, "id")) == Committed(50, "id")
    assert left.take(P, Committed(30, "id"), Committed(50, "id")) == Committed(30, "id")


def test_what_others_have_committed_of_a_stretch_is_not_of_this_member() -> None:
    left = LeftOff()
    for committed, began in (Committed(25, "id"), Committed(25, "id")), (Committed(5, "id"), Committed(10)):
        left.note(P, Committed(10), Committed(30, "id"))
        assert left.take(P, Committed(30, "id"), committed) == began
