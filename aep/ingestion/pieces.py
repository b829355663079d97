"""A batch on its way: the pieces of it that are still to be sent, and in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aep.ingestion.decision import Attempt, PerMessage

_NOW = float("-inf")  # due at any time


@dataclass(frozen=True)
class Piece:
    """Some messages of a batch, by index, sent in one request.

    Attributes:
        indices: Indices of the messages.
        sent: This attempt and its history.
        due: Clock reading before which they are not sent.
        why: Why they are sent again; empty for the first attempt.
        retries: What sending them adds to the counts of retries, by cause.
    """

    indices: Sequence[int]
    sent: Attempt
    due: float = _NOW
    why: str = ""
    retries: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class UnsentBatch:
    """A batch in delivery: its records, their keys if order matters, and the pieces still to be sent."""

    records: Sequence[bytes]
    keys: Sequence[bytes | None] | None
    pieces: deque[Piece]
    aside: Callable[[], None]

    def put_back(self, piece: Piece) -> None:
        """Queue for a retry: at the back, so a failing piece does not block others; at the front when order matters."""
        if self.keys is None:
            self.pieces.append(piece)
        else:
            self.pieces.appendleft(piece)

    def take(self, now: float) -> Piece:
        """Take the next piece to send: the one that is due first when none is due now."""
        if self.keys is not None:
            return self.pieces.popleft()
        piece = min(self.pieces, key=lambda one: max(one.due, now))
        self.pieces.remove(piece)
        return piece


def overtaken(settled: PerMessage, keys: Sequence[bytes | None]) -> list[int]:
    """Return the messages that AEP has received though an earlier one of the same key goes again: sent once more after
    it, they arrive last, as they should.

    Args:
        settled: The answers to a request.
        keys: Keys of its messages; order does not matter to one without a key.

    Returns:
        Their positions.
    """
    again = set(settled.again)
    waiting: set[bytes] = set()
    found = []
    for position, (key, result) in enumerate(zip(keys, settled.results, strict=True)):
        if key is None:
            continue
        if position in again:
            waiting.add(key)
        elif result.accepted and key in waiting:
            found.append(position)
    return found
