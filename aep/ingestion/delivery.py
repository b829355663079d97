"""The result of a batch: an answer for each message, and counts of what the delivery took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from aep.ingestion.envelope import MessageResult
from aep.ingestion.received import Received


class Answer(NamedTuple):
    """The result of one message. An empty `code` means that AEP has received it."""

    code: str
    message: str
    attempts: int
    xaction_id: str = ""

    @property
    def accepted(self) -> bool:
        """Whether AEP has received the message."""
        return not self.code

    @property
    def receipt(self) -> dict[str, str]:
        """AEP's id of the message, for receipts."""
        return {"xactionId": self.xaction_id}


@dataclass
class Counts:
    """Numbers of a delivery.

    Attributes:
        requests: Requests sent, token requests not counted.
        sent_bytes: Bytes of their bodies.
        accepted: Messages that AEP has received.
        retries: Retries by cause: a status, `element` of a 207, `mismatch`, `token`, or a network cause. One that waits
            to be sent does not count yet.
        duplicates_possible: Messages sent again although AEP may have received them the first time.
    """

    requests: int = 0
    sent_bytes: int = 0
    accepted: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    duplicates_possible: int = 0

    def add(self, more: Counts) -> None:
        """Add the counts of `more` to these."""
        self.requests += more.requests
        self.sent_bytes += more.sent_bytes
        self.accepted += more.accepted
        self.retries += more.retries
        self.duplicates_possible += more.duplicates_possible


Observer = Callable[[Counts], None]
"""Called by the delivering thread with the numbers of each step at once, so that they are known whatever follows."""


@dataclass
class Delivery(Counts):
    """The result of a batch: an answer for each message, in order, and what the delivery took.

    Attributes:
        answers: One for each message.
        seconds: From the call to the last answer.
        in_flight: Most concurrent requests to the inlet when one of these was sent, itself included.
        observer: See `Observer`; None for none.
    """

    answers: Sequence[Answer] = field(default_factory=list)
    seconds: float = 0.0
    in_flight: int = 0
    observer: Observer | None = None

    def count(self, more: Counts) -> None:
        """Add the numbers of a step, and pass them to the observer."""
        self.add(more)
        if self.observer is not None:
            self.observer(more)

    def receive(self, indices: Sequence[int], results: Sequence[MessageResult], attempts: int) -> int:
        """Note that AEP has received all of these messages; return how many of them for the first time."""
        if isinstance(results, Received) and not self.accepted and indices == range(len(self.answers)):
            self.answers = Received(results.ids, partial(Answer, "", "", attempts))
            return len(results)
        answers = [Answer("", "", attempts, result.xaction_id) for result in results]
        return sum(map(self.answer, indices, answers))

    def answer(self, index: int, answer: Answer) -> bool:
        """Note the answer to a message; return whether it is the first to say that AEP has received it.

        An acceptance is final: a later rejection of a re-send (for ordering) does not undo it.
        """
        if not isinstance(self.answers, list):
            self.answers = list(self.answers)
        received = self.answers[index].accepted
        if not received or answer.accepted:
            self.answers[index] = answer
        return answer.accepted and not received
