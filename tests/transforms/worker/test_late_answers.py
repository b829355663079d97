"""What bundles leave to one another, and when their offsets are committed."""

from __future__ import annotations

from concurrent.futures import Future
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.worker.late_answers import LateAnswers, forget_late_answers, late_answers


class Delivery(NamedTuple):
    """A delivery of the bundle with this number."""

    bundle: int
    future: Future[None]


def delivery(bundle: int) -> Delivery:
    return Delivery(bundle, Future())


def test_answers_left_are_waited_for_by_the_next_bundle_whose_end_commits_both() -> None:
    late: LateAnswers[Delivery] = LateAnswers()
    committed: list[int] = []
    assert late.start_bundle() == ()
    late.allowed = True
    first = late.as_finalised(lambda: committed.append(1))
    left = delivery(1)
    late.finish_bundle([left])
    first()
    assert committed == []
    assert late.owes_commit

    assert late.start_bundle() == [left]
    assert not late.are_in()
    left.future.set_result(None)
    assert late.are_in()
    second = late.as_finalised(lambda: committed.append(2))
    late.finish_bundle([])
    assert committed == []
    second()
    assert committed == [1, 2]
    assert not late.owes_commit


def test_a_bundle_that_leaves_nothing_is_committed_as_it_is_finalised() -> None:
    late: LateAnswers[Delivery] = LateAnswers()
    committed: list[int] = []
    late.start_bundle()
    late.allowed = True
    finalised = late.as_finalised(lambda: committed.append(1))
    late.finish_bundle([])
    finalised()
    assert committed == [1]


def test_leave_is_given_for_one_bundle_alone() -> None:
    late: LateAnswers[Delivery] = LateAnswers()
    late.start_bundle()
    late.allowed = True
    late.finish_bundle([delivery(1)])
    late.start_bundle()
    with pytest.raises(RuntimeError, match="1 deliveries have no answer at the end of the last bundle"):
        late.finish_bundle([delivery(2)])


def test_a_bundle_that_fails_leaves_its_successor_what_it_was_left() -> None:
    late: LateAnswers[Delivery] = LateAnswers()
    committed: list[int] = []
    late.start_bundle()
    late.allowed = True
    finalised = late.as_finalised(lambda: committed.append(1))
    left = delivery(1)
    late.finish_bundle([left])
    finalised()
    assert late.start_bundle() == [left]
    late.as_finalised(lambda: committed.append(2))  # and is never finalised
    assert late.start_bundle() == [left]
    assert committed == []


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "posts": st.integers(0, 3),
                "answered": st.integers(0, 3),
                "goes_on": st.booleans(),
                "fails": st.booleans(),
            }
        ),
        max_size=20,
    )
)
def test_nothing_is_committed_before_a_finalised_bundle_has_its_answers(bundles: list[dict[str, int]]) -> None:
    late: LateAnswers[Delivery] = LateAnswers()
    awaiting: set[int] = set()  # bundles of which an answer is not taken yet
    taken: set[int] = set()  # whose answers were taken in a bundle that is not finalised yet
    committed: list[int] = []

    def commit(number: int) -> None:
        assert number not in awaiting
        assert number not in taken
        committed.append(number)

    expected: list[int] = []
    for number, bundle in enumerate(bundles):
        given_over = late.start_bundle()
        late.allowed = bool(bundle["goes_on"])
        finalised = late.as_finalised(lambda number=number: commit(number))  # type: ignore[misc]
        if bundle["fails"]:
            return  # which ends the run
        own = [delivery(number) for _ in range(bundle["posts"])]
        left = own[bundle["answered"] :] if late.allowed else []
        taken |= {one.bundle for one in given_over} | {one.bundle for one in own if one not in left}
        awaiting -= {one.bundle for one in given_over}
        awaiting |= {one.bundle for one in left}
        late.finish_bundle(left)
        taken.clear()  # its sinks have written
        finalised()
        expected.append(number)
        assert committed == (expected[:-1] if left else expected)  # in order, and late by a bundle at most


def test_a_process_has_one_for_each_source_until_it_is_forgotten() -> None:
    one = late_answers("test-late-answers")
    assert late_answers("test-late-answers") is one
    forget_late_answers("test-late-answers")
    assert late_answers("test-late-answers") is not one
    forget_late_answers("test-late-answers")
