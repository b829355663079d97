"""The checkpoint of a local run: a file that holds how far a stream is read."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

from kinesis.errors import KinesisError
from kinesis.positions import Checkpoint, from_json


class CheckpointError(KinesisError):
    """The file cannot be used: where, why, and what to do."""


class CheckpointFile:
    """A file that one process at a time reads and writes.

    A write replaces the file, so it is whole whenever the process or the machine stops. The lock is on a second file,
    because it would stay with the one that was replaced.

    Args:
        path: Path of the file; its folder is made.
        stream: The name or ARN of the stream that it is for.
    """

    def __init__(self, path: str, stream: str):
        # A symbolic link stays one, and the file that it leads to is locked and replaced.
        self._path = Path(os.path.realpath(path))
        self._stream = stream
        self._lock: IO[bytes] | None = None

    def open(self) -> Checkpoint | None:
        """Lock the file and return what it holds; None where there is none yet.

        Raises:
            CheckpointError: The folder cannot be written to, another process has the file, or it holds something else
                than a checkpoint of this stream.
        """
        lock = self._path.with_name(f"{self._path.name}.lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = lock.open("ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise CheckpointError(
                f"{self._path}: another process reads stream {self._stream} with this checkpoint; end it, or give "
                "kinesis_checkpoint another file"
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            return self.look()
        except CheckpointError:
            self.close()
            raise

    def look(self) -> Checkpoint | None:
        """Return what the file holds, whoever has it; None where there is none yet.

        Raises:
            CheckpointError: It cannot be read, or holds something else than a checkpoint of this stream.
        """
        try:
            found = from_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointError(f"{self._path}: cannot be read: {error.strerror}; check kinesis_checkpoint") from None
        except ValueError as error:
            raise CheckpointError(
                f"{self._path}: not a whole checkpoint ({error}); put a copy of it back, or delete it to begin at "
                "kinesis_start"
            ) from None
        if found.stream != self._stream:
            raise CheckpointError(
                f"{self._path}: a checkpoint of stream {found.stream}, not of {self._stream}; give kinesis_checkpoint "
                "another file"
            )
        return found

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the content of the file, atomically.

        Raises:
            CheckpointError: That is not possible.
        """
        unfinished = self._path.with_name(f"{self._path.name}.unfinished")
        try:
            with unfinished.open("wb") as file:
                file.write(checkpoint.to_json())
                file.flush()
                with suppress(FileNotFoundError):  # the first
                    os.fchmod(file.fileno(), stat.S_IMODE(self._path.stat().st_mode))
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        except OSError as error:
            with suppress(OSError):  # it takes the room that a full disk lacks
                unfinished.unlink(missing_ok=True)
            raise self._unwritable(error) from None

    def close(self) -> None:
        """Let another process have the file."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _unwritable(self, error: OSError) -> CheckpointError:
        return CheckpointError(f"{self._path}: cannot be written: {error.strerror}; check kinesis_checkpoint")
