from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aep.ingestion.delivery import Answer, Counts, Delivery
from aep.ingestion.envelope import MessageResult

MESSAGES = 4
kinds = st.sampled_from([Answer("unsent", "", 0), Answer("rejected", "no", 1), Answer("", "", 1, "before")])


@given(st.lists(kinds, min_size=MESSAGES, max_size=MESSAGES), st.lists(st.integers(0, MESSAGES - 1), unique=True))
def test_messages_received_together_are_answered_as_each_alone(before: list[Answer], some: list[int]) -> None:
    for indices in (sorted(some), range(MESSAGES)):
        together, alone = Delivery(answers=list(before)), Delivery(answers=list(before))
        for delivery in (together, alone):
            delivery.count(Counts(accepted=sum(answer.accepted for answer in before)))
        results = [MessageResult(200, "", f"id-{index}") for index in indices]
        received = together.receive(indices, results, 3)
        firsts = [
            alone.answer(index, Answer("", "", 3, result.xaction_id))
            for index, result in zip(indices, results, strict=True)
        ]
        assert received == sum(firsts)
        assert together == alone
        assert {type(answer) for answer in together.answers} == {Answer}
