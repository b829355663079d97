"""Answers that a bundle leaves to the next one, so that reading goes on while they come.

A bundle that waits for its last answers reads nothing meanwhile: at 50 ms an answer, a fifth of the throughput of small
bundles. So in local runs, whose bundles come one after another in one process, a bundle may end without its last
answers. The next one waits for them, writes the dead letters they bring, and has the offsets of both committed as it is
finalised. Nothing is committed earlier than that; at most two bundles are open.

On a cluster no bundle may do so: a checkpoint there takes its positions as done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from transforms.worker import process


class Awaited(Protocol):
    """A delivery that is under way."""

    @property
    def future(self) -> Future[Any]:
        """Its answer."""


D = TypeVar("D", bound=Awaited)


class LateAnswers(Generic[D]):
    """What the bundles of one source leave to one another; all calls come from the thread that bundles run on.

    Attributes:
        allowed: Whether the current bundle may leave answers to a next one, which the source says as it stops reading,
            because only the source knows that there will be a next one.
    """

    def __init__(self) -> None:
        self.allowed = False
        self._left: Sequence[D] = ()  # by the bundle before, or at its end by the current one
        self._held: Callable[[], None] | None = None

    def start_bundle(self) -> Sequence[D]:
        """Return the deliveries that the bundle before has left, which the current one must wait for."""
        self.allowed = False
        return self._left

    def finish_bundle(self, left: Sequence[D]) -> None:
        """Take the deliveries that the current bundle leaves; those it was given are settled.

        Raises:
            RuntimeError: It may leave none.
        """
        if left and not self.allowed:
            raise RuntimeError(f"{len(left)} deliveries have no answer at the end of the last bundle")
        self._left = left

    @property
    def owes_commit(self) -> bool:
        """Whether offsets of the bundle before wait for the current one to be finalised."""
        return self._held is not None

    def are_in(self) -> bool:
        """Return whether all answers are there that the bundle before has left."""
        return all(one.future.done() for one in self._left)

    def as_finalised(self, commit: Callable[[], None]) -> Callable[[], None]:
        """Return what the current bundle's finalisation has to do, for a commit of its offsets."""

        def finalised() -> None:
            held, self._held = self._held, None
            if held is not None:
                held()
            if self._left:
                self._held = commit
            else:
                commit()

        return finalised


def late_answers(source_id: str) -> LateAnswers[Any]:
    """Return what the bundles of a source leave to one another in this process."""
    return process.shared(_key(source_id), LateAnswers)


def forget_late_answers(source_id: str) -> None:
    """Forget them, at the end of a run."""
    process.take(_key(source_id))


def _key(source_id: str) -> tuple[str, str]:
    return "late answers", source_id
