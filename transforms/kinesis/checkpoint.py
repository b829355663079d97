"""The checkpoint of a local run: opened before it, written as its bundles are finalised, closed at its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from kinesis.checkpoint_file import CheckpointError, CheckpointFile
from kinesis.positions import Checkpoint
from transforms.kinesis.errors import as_user_error
from transforms.kinesis.source import KinesisSource
from transforms.worker import process

_LOG = logging.getLogger(__name__)

# How often the file is written while nothing arrives, so that the positions in it do not grow older than the stream
# keeps records.
_IDLE_SECONDS = 60.0


class LocalCheckpoint:
    """The checkpoint file of a source, of which a process has one.

    Attributes:
        start: What the file held when it was opened; None for a new one.

    Args:
        source: With the file's name.
        clock: Seconds, never going back.

    Raises:
        KinesisError: The file cannot be used.
    """

    def __init__(self, source: KinesisSource, clock: Callable[[], float] = time.monotonic):
        assert source.checkpoint_file is not None
        self._file = CheckpointFile(source.checkpoint_file, source.stream)
        self.start = self._file.open()
        self._clock = clock
        self._lock = threading.Lock()
        self._made = self._newest = 0
        self._written: dict[str, object] = {}
        self._written_at = float("-inf")

    def write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint.

        Raises:
            KinesisError: That is not possible.
        """
        self._file.write(checkpoint)

    def write_later(self, checkpoint: Checkpoint) -> Callable[[], None]:
        """Return what to call once all that was read before the checkpoint is delivered."""
        self._made += 1
        return partial(self._finalise, self._made, checkpoint)

    def _finalise(self, number: int, checkpoint: Checkpoint) -> None:
        positions: dict[str, object] = {shard: state.position for shard, state in checkpoint.shards.items()}
        with self._lock:
            if number < self._newest:
                return
            self._newest = number
            now = self._clock()
            if positions == self._written and now - self._written_at < _IDLE_SECONDS:
                return
            try:
                self._file.write(checkpoint)
            except CheckpointError as error:
                # Nothing is lost: what was read since the last one is read again after a restart.
                _LOG.warning("%s; it is tried again after the next records", error)
                return
            self._written, self._written_at = positions, now

    @staticmethod
    def close_of(source: KinesisSource) -> None:
        """Close the source's file, if it is open."""
        opened = process.take(_key(source))
        if isinstance(opened, LocalCheckpoint):
            opened._file.close()


def local_checkpoint(source: KinesisSource) -> LocalCheckpoint:
    """Return the process's open checkpoint file of a source; the first caller opens it.

    Raises:
        UserError: It cannot be used.
    """
    with as_user_error():
        return process.shared(_key(source), lambda: LocalCheckpoint(source))


def _key(source: KinesisSource) -> tuple[str, str]:
    return "kinesis checkpoint", source.id
