from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from aep.ingestion.delivery import Answer, Counts, Delivery
from aep.ingestion.envelope import MessageResult
from aep.ingestion.received import Received

MESSAGES = 4
kinds = st.sampled_from([Answer("unsent", "", 0), Answer("rejected", "no", 1), Answer("", "", 1, "before")])


@given(
    st.lists(kinds, min_size=MESSAGES, max_size=MESSAGES),
    st.lists(st.integers(0, MESSAGES - 1), unique=True),
    st.booleans(),
)
def test_messages_received_together_are_answered_as_each_alone(
    before: list[Answer], some: list[int], nothing_else_is_said: bool
) -> None:
    for indices in (sorted(some), range(MESSAGES)):
        together, alone = Delivery(answers=list(before)), Delivery(answers=list(before))
        for delivery in (together, alone):
            delivery.count(Counts(accepted=sum(answer.accepted for answer in before)))
        results = [MessageResult(200, "", f"id-{index}") for index in indices]
        ids = Received([result.xaction_id for result in results], partial(MessageResult, 200, ""))
        received = together.receive(indices, ids if nothing_else_is_said else results, 3)
        firsts = [
            alone.answer(index, Answer("", "", 3, result.xaction_id))
            for index, result in zip(indices, results, strict=True)
        ]
        assert received == sum(firsts)
        assert together == alone
        assert {type(answer) for answer in together.answers} == {Answer}
        # Whatever is said of one of them later, the others keep their answers.
        assert together.answer(0, Answer("rejected", "no", 4)) == alone.answer(0, Answer("rejected", "no", 4))
        assert list(together.answers) == list(alone.answers)


def test_what_was_received_together_is_a_sequence_like_any_other() -> None:
    results = Received(["a", "b", "c"], partial(MessageResult, 200, ""))
    alone = [MessageResult(200, "", one) for one in "abc"]
    assert (list(results), results[-1], results[1:], len(results)) == (alone, alone[-1], alone[1:], 3)
    assert results == alone
    assert results != alone[1:]
