"""What a reader of a stream still has to read: the restriction of the splittable DoFn, and its tracker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import orjson
from apache_beam import coders
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.transforms.core import RestrictionProvider

from kinesis.lineage import owner_of, readable
from kinesis.positions import Change, Checkpoint, ShardState, from_fields


class Share(NamedTuple):
    """The shards that one reader has, one of `of` readers, and where they start (encoded)."""

    number: int
    of: int
    start: bytes

    def owns(self, state: ShardState) -> bool:
        """Return whether this reader has the shard."""
        return owner_of(state, self.of) == self.number


def deal(start: Checkpoint, end: int | None, readers: int) -> list[Share]:
    """Divide a stream among readers, each of which knows all shards and reads its own."""
    encoded = encode(Unread(start, end))
    return [Share(number, readers, encoded) for number in range(readers)]


@dataclass(frozen=True)
class Unread:
    """The restriction.

    Attributes:
        checkpoint: How far the shards are read.
        end: Read what arrived before this time, in milliseconds since 1970; None reads for ever.
        finished: Nothing more will be read.
    """

    checkpoint: Checkpoint
    end: int | None = None
    finished: bool = False


class UnreadTracker(RestrictionTracker):
    """Claims steps until the runner takes a checkpoint or everything is read.

    `try_claim(None)` finishes: nothing more will be read.
    """

    def __init__(self, restriction: Unread):
        self._restriction = restriction
        self._steps = 0
        self._checkpointed = False

    def current_restriction(self) -> Unread:
        """Return what is still to be read; after a checkpoint, what was read here."""
        return self._restriction

    def try_claim(self, position: Change | None) -> bool:
        """Take the step, unless the rest has been given away."""
        if self._restriction.finished or self._checkpointed:
            return False
        if position is None:
            self._restriction = replace(self._restriction, finished=True)
            return False
        self._restriction = replace(self._restriction, checkpoint=self._restriction.checkpoint.apply(position))
        self._steps += 1
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[Unread, Unread] | None:
        """Checkpoint the whole remainder; fractional splits are unsupported, since the restriction is unbounded."""
        if fraction_of_remainder != 0 or self._restriction.finished or self._checkpointed:
            return None
        self._checkpointed = True
        return replace(self._restriction, finished=True), self._restriction

    def check_done(self) -> bool:
        """Return True when the rest was finished or given away.

        Raises:
            ValueError: Neither, so records would be lost.
        """
        if not (self._restriction.finished or self._checkpointed):
            raise ValueError(f"the Kinesis reader ended with work left: {self._restriction}")
        return True

    def current_progress(self) -> RestrictionProgress:
        """Return the steps taken in this bundle, and how many milliseconds the slowest shard is behind."""
        return RestrictionProgress(completed=self._steps, remaining=behind(self._restriction))

    def is_bounded(self) -> bool:
        """Return whether the end is known."""
        return self._restriction.end is not None


def behind(restriction: Unread, now: Callable[[], float] = time.time) -> int:
    """Return how far the slowest shard is behind, in milliseconds, as far as that is known."""
    if restriction.finished:
        return 0
    shards = restriction.checkpoint.shards
    known = [shards[shard].read_to for shard in readable(shards, lambda _: True) if shards[shard].read_to]
    return max(0, int(now() * 1000) - min(known)) if known else 0


def encode(restriction: Unread) -> bytes:
    """Return the restriction as JSON; equal restrictions have equal bytes."""
    fields = {**restriction.checkpoint.to_fields(), "end": restriction.end, "finished": restriction.finished}
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)


def decode(encoded: bytes) -> Unread:
    """Return the restriction of `encode`."""
    fields: Mapping[str, object] = orjson.loads(encoded)
    end = fields["end"]
    assert end is None or isinstance(end, int)
    return Unread(from_fields(fields), end, bool(fields["finished"]))


class UnreadProvider(RestrictionProvider):
    """Restrictions of `Share` elements."""

    def initial_restriction(self, element: Share) -> Unread:
        """Return where the share starts, as it was looked up before the pipeline ran."""
        return decode(element[2])

    def create_tracker(self, restriction: Unread) -> UnreadTracker:
        """Return a tracker."""
        return UnreadTracker(restriction)

    def restriction_size(self, element: Share, restriction: Unread) -> int:
        """Return how far behind it is, in milliseconds; at least 1, as runners divide by it."""
        return max(1, behind(restriction))

    def restriction_coder(self) -> coders.Coder:
        """Return a coder that writes JSON."""
        return _UnreadCoder()

    def truncate(self, element: Share, restriction: Unread) -> None:
        """Read no further on drain."""


class _UnreadCoder(coders.Coder):
    def encode(self, value: Unread) -> bytes:
        return encode(value)

    def decode(self, encoded: bytes) -> Unread:
        return decode(encoded)

    def is_deterministic(self) -> bool:
        return True
